//! How many: the bounds on a connection that speaks HTTP/1. How long is said by
//! [`transport::Limits`](crate::transport::Limits).

use crate::http;

/// The bounds on one connection. Their defaults serve every browser and tool
/// that we know, and starve the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a request may hold.
    pub request: http::Limits,
    /// Empty lines before a request line, which old clients send after a body
    /// (RFC 9112, section 2.2).
    pub empty_lines: usize,
    /// Requests of one connection. Its cost is spread thin by then, and a client
    /// that stays for ever would never meet another worker.
    pub requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { request: http::Limits::default(), empty_lines: 4, requests: 100_000 }
    }
}
