//! A request as every version of HTTP means it (RFC 9110, section 3.4).

use super::host::is_host;
use super::token::is_token;
use super::{Method, Peer, Scheme, Tls};

/// A request, without its body and without the bytes that it came in.
///
/// A wire makes it of what it received; the service, the guest and the record of the request
/// see nothing else of the wire.
#[derive(Debug)]
pub struct Request<'a> {
    /// The line that a guest is asked with: `method SP target SP version`, where the version is
    /// that of HTTP/1.1 in every later version, so that all versions share decisions. A wire
    /// that has request lines gives the one that came.
    pub line: &'a [u8],
    /// The method.
    pub method: Method,
    /// The scheme of the target URI.
    pub scheme: Scheme,
    /// The authority where the target names one, with its port if it has one: in `:authority`,
    /// or in the absolute-form of HTTP/1. It counts instead of `Host` (RFC 9112, section
    /// 3.2.2; RFC 9113, section 8.3.1).
    pub authority: Option<&'a str>,
    /// The target: visible ASCII.
    pub target: &'a str,
    /// The version that the client speaks.
    pub version: Version,
    /// The header fields in order of arrival.
    pub fields: Vec<FieldLine<'a>>,
    /// The other end of the connection. Behind a proxy it is not the client.
    pub peer: Peer,
    /// What TLS tells of the connection, if it secures it.
    pub tls: Option<&'a Tls>,
}

/// A field line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLine<'a> {
    /// The name, a token.
    pub name: &'a str,
    /// The value, perhaps with white space around it.
    pub value: &'a [u8],
}

impl Scheme {
    /// That of a connection: TLS secures it, or a proxy says that TLS secures its client's.
    pub fn of(peer: &Peer, tls: Option<&Tls>) -> Scheme {
        if tls.is_some() { Scheme::Https } else { peer.scheme }
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0
    Http10,
    /// 1.1, and later ones of version 1.
    #[default]
    Http11,
    /// 2
    Http2,
    /// 3
    Http3,
}

impl Version {
    /// As the access log has it, where a request has no line of its own that says so.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Version::Http10 | Version::Http11 => None,
            Version::Http2 => Some("HTTP/2.0"),
            Version::Http3 => Some("HTTP/3.0"),
        }
    }
}

impl Version {
    /// All of them.
    pub const ALL: [Version; 4] =
        [Version::Http10, Version::Http11, Version::Http2, Version::Http3];

    /// The name that a client chooses it by (IANA, TLS ALPN Protocol IDs).
    pub fn alpn_name(self) -> &'static str {
        match self {
            Version::Http10 => "http/1.0",
            Version::Http11 => "http/1.1",
            Version::Http2 => "h2",
            Version::Http3 => "h3",
        }
    }
}

impl<'a> Request<'a> {
    /// Whether it keeps the rules that the core relies on: a line and a target in visible ASCII,
    /// names that are tokens, values without CR, LF and NUL (RFC 9110, section 5.5). A wire whose
    /// parser does not hold them asks before it passes the request on: decisions are cached by
    /// line and fields, and responses may repeat a target.
    pub fn is_well_formed(&self) -> bool {
        let is_visible = |byte: &u8| matches!(byte, b'!'..=b'~');
        let parts = self.line.split(|&byte| byte == b' ');
        parts.clone().count() == 3
            && parts.clone().all(|part| !part.is_empty() && part.iter().all(is_visible))
            && self.target.bytes().all(|byte| is_visible(&byte))
            && self.authority.is_none_or(|authority| is_host(authority.as_bytes()))
            && self.fields.iter().all(|field| {
                is_token(field.name) && !field.value.iter().any(|&byte| matches!(byte, 10 | 13 | 0))
            })
    }

    /// The authority that the request is for, as the client names it, with its port if it has
    /// one: that of the target, or else the value of `Host`. `None` where HTTP/1.0 names none.
    pub fn host(&self) -> Option<&'a str> {
        let field = || self.values("host").next().and_then(|host| std::str::from_utf8(host).ok());
        self.authority.or_else(field)
    }

    /// The values of the fields with this name, in order of arrival.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| trim(field.value))
    }

    /// The value of a field that is a list: its lines joined by commas (RFC 9110,
    /// section 5.3).
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.values(name);
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    /// The header fields that a guest sees, in order of arrival. `host` holds the authority, if
    /// the target names one.
    pub fn fields_for_guest(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
        let authority = self.authority.map(str::as_bytes);
        let is_host = |name: &str| name.eq_ignore_ascii_case("host");
        let field = move |field: &FieldLine<'a>| match authority {
            Some(authority) if is_host(field.name) => (field.name, authority),
            _ => (field.name, field.value),
        };
        // A client of HTTP/1.0 need not repeat it, and one of HTTP/2 does not.
        let missing = authority.filter(|_| !self.fields.iter().any(|field| is_host(field.name)));
        self.fields.iter().map(field).chain(missing.map(|authority| ("host", authority)))
    }
}

/// The line of a request that came without one, in a version that has none.
pub fn request_line(method: &str, target: &str) -> Vec<u8> {
    [method, " ", target, " HTTP/1.1"].concat().into_bytes()
}

/// The members of a comma-separated list; empty ones do not count (RFC 9110,
/// section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// Without the white space around a field's value (RFC 9110, section 5.5).
pub fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| is_blank(byte)).count();
    let end = value.iter().rev().take_while(|byte| is_blank(byte)).count();
    value.get(start..value.len() - end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{FieldLine, Method, Peer, Request, Scheme, Version};

    fn request<'a>(line: &'a [u8], fields: &[(&'a str, &'a str)]) -> Request<'a> {
        let fields = fields.iter();
        Request {
            line,
            method: Method::Get,
            scheme: Scheme::Http,
            authority: None,
            target: "/",
            version: Version::Http2,
            fields: fields
                .map(|(name, value)| FieldLine { name, value: value.as_bytes() })
                .collect(),
            peer: Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: None,
        }
    }

    #[test]
    fn line_or_field_that_could_be_two_is_malformed() {
        assert!(request(b"GET / HTTP/1.1", &[("a", "b\tc \u{e9}")]).is_well_formed());
        for line in
            [&b"GET / HTTP/1.1\nhost:a"[..], b"GET /", b"GET  / HTTP/1.1", b"GET /\0 HTTP/1.1"]
        {
            assert!(!request(line, &[]).is_well_formed(), "{}", line.escape_ascii());
        }
        for field in
            [("a", "b\nc:d"), ("a", "b\u{d}"), ("a", "\0"), ("a b", "c"), ("", "c"), (":a", "b")]
        {
            assert!(!request(b"GET / HTTP/1.1", &[field]).is_well_formed(), "{field:?}");
        }
    }

    fn shown(authority: Option<&'static str>, fields: &[(&'static str, &'static str)]) -> String {
        let request = Request { authority, ..request(b"GET / HTTP/1.1", fields) };
        let shown = request.fields_for_guest();
        shown.map(|(name, value)| format!("{name}={};", value.escape_ascii())).collect()
    }

    #[test]
    fn authority_arrives_as_host() {
        assert_eq!(shown(Some("a:1"), &[("accept", "b")]), "accept=b;host=a:1;");
        assert_eq!(shown(Some("a:1"), &[("Host", "c"), ("accept", "b")]), "Host=a:1;accept=b;");
        assert_eq!(shown(None, &[("Host", "c")]), "Host=c;");
    }
}
