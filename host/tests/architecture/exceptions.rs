//! What breaks a rule today: the list is to become empty.

use super::Rule;

/// A rule, who breaks it, and why.
pub const EXCEPTIONS: &[(Rule, &str, &str)] = &[
    (Rule::Direction, "admin → dev", "the page of the loop is served by the admin listener"),
    (Rule::Direction, "cli → admin", "the address of the listener is no type of its own yet"),
    (Rule::Circle, "admin/routes.rs → admin/mod.rs", MODULE),
    (Rule::Spelled, "HTTP/1 in commands/check.rs", "a line of a guest's trial"),
    (Rule::Spelled, r"\r\n in commands/explain.rs", "explain reads a head itself"),
    (Rule::Named, "connect in admin/listener.rs", "whether another one serves there already"),
];

const MODULE: &str = "what its parts share stands in the file of the module";
