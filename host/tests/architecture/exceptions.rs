//! What breaks a rule today: the list is to become empty.

use super::Rule;

/// A rule, who breaks it, and why.
pub const EXCEPTIONS: &[(Rule, &str, &str)] = &[
    (Rule::Direction, "cli → admin", "the address of the listener is no type of its own yet"),
    (Rule::Spelled, "HTTP/1 in commands/check.rs", "a line of a guest's trial"),
    (Rule::Spelled, r"\r\n in commands/explain.rs", "explain reads a head itself"),
    (Rule::Named, "connect in admin/listener.rs", "whether another one serves there already"),
];
