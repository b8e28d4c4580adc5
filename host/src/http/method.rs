//! Request methods, as far as they matter to a server of files (RFC 9110, section 9).

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// A method of the registry that is not for files.
    Known,
    /// Any other token.
    Unknown,
}

impl Method {
    /// The method with this name. Names are case-sensitive.
    pub fn from_name(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            // RFC 9110, RFC 5789 and WebDAV (RFC 4918), the commonest of the
            // registry: known, and of no use with files.
            "POST" | "PUT" | "DELETE" | "CONNECT" | "TRACE" | "PATCH" | "PROPFIND"
            | "PROPPATCH" | "MKCOL" | "COPY" | "MOVE" | "LOCK" | "UNLOCK" => Method::Known,
            _ => Method::Unknown,
        }
    }
}
