//! What breaks a rule today: the list is to become empty.

use super::Rule;

/// A rule, who breaks it, and why.
pub const EXCEPTIONS: &[(Rule, &str, &str)] = &[
    (Rule::Direction, "admin → dev", "the page of the loop is served by the admin listener"),
    (Rule::Direction, "admin → send_queue", "the listener becomes that of transport"),
    (Rule::Direction, "cli → admin", "the address of the listener is no type of its own yet"),
    (Rule::Direction, "commands → reply", "explain reads a head itself"),
    (Rule::Direction, "dev → reply", "the script is put into a response of HTTP/1"),
    (Rule::Direction, "http1 → dev", "the script is put into a response of HTTP/1"),
    (Rule::Direction, "http1 → reply", REPLY),
    (Rule::Direction, "http1 → send_queue", "becomes part of transport"),
    (Rule::Module, "reply", REPLY),
    (Rule::Module, "send_queue", "becomes part of transport"),
    (Rule::Circle, "admin/routes.rs → admin/mod.rs", MODULE),
    (Rule::Circle, "helper/mod.rs → helper/spawner.rs", MODULE),
    (Rule::Circle, "http1/account.rs → http1/connection.rs", SERVICE),
    (Rule::Circle, "http1/answer.rs → http1/connection.rs", SERVICE),
    (Rule::Circle, "http1/introduction.rs → http1/connection.rs", SERVICE),
    (Rule::Circle, "metrics/exposition.rs → metrics/mod.rs", MODULE),
    (Rule::Circle, "sandbox/calls.rs → sandbox/mod.rs", MODULE),
    (Rule::Circle, "sandbox/paths.rs → sandbox/mod.rs", MODULE),
    (Rule::Circle, "sandbox/report.rs → sandbox/calls.rs", "reports name calls that are listed"),
    (Rule::Spelled, "HTTP/1 in commands/check.rs", "a line of a guest's trial"),
    (Rule::Spelled, "HTTP/1 in reply/head.rs", REPLY),
    (Rule::Spelled, r"\r\n in clients/proxies.rs", "becomes transport/proxy_protocol"),
    (Rule::Spelled, r"\r\n in commands/explain.rs", "explain reads a head itself"),
    (Rule::Spelled, r"\r\n in reply/head.rs", REPLY),
    (Rule::Named, "connect in admin/listener.rs", "whether another one serves there already"),
    (Rule::Lines, "disk/crew.rs", LONG),
    (Rule::Lines, "http1/body.rs", LONG),
    (Rule::Lines, "http1/connection.rs", LONG),
    (Rule::Lines, "http1/head.rs", LONG),
    (Rule::Direction, "reply → http", REPLY),
    (Rule::Spelled, r"\r\n in guest/decision/mod.rs", REPLY),
];

const REPLY: &str = "reply is divided between http, http1 and transport";
const MODULE: &str = "what its parts share stands in the file of the module";
const SERVICE: &str = "Service becomes a module of its own";
const LONG: &str = "has a second subject";
