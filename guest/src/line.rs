//! The request line, parsed as RFC 9112, section 3 defines it.

use crate::contract::is_token;

/// A request line: method, target and version with one space between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// The method: a token, and case-sensitive.
    pub method: &'a str,
    /// The request target.
    pub target: Target<'a>,
    /// The minor version; the major version is 1.
    pub minor_version: u8,
}

/// A request target in one of its four forms (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/path?query`, as browsers send it.
    Origin {
        /// The path, still escaped. It begins with `/`.
        path: &'a str,
        /// What follows the first `?`, if there is one.
        query: Option<&'a str>,
    },
    /// `http://host/path?query`: clients send it to proxies, and every server accepts it.
    Absolute {
        /// The host, with its port if the target has one.
        authority: &'a str,
        /// The path, still escaped. It begins with `/`.
        path: &'a str,
        /// What follows the first `?`, if there is one.
        query: Option<&'a str>,
    },
    /// `host:port`, for CONNECT alone.
    Authority(&'a str),
    /// `*`, for OPTIONS alone: the server as a whole.
    Asterisk,
}

/// Why bytes are not a request line of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a request line. The text tells the client what is wrong.
    Malformed(&'static str),
    /// A request line of a version other than HTTP/1.x.
    Version,
}

impl<'a> RequestLine<'a> {
    /// Parses a request line, given without its line end.
    pub fn parse(line: &'a [u8]) -> Result<RequestLine<'a>, Fault> {
        // Only visible ASCII may stand in a request line, and the two spaces
        // that separate its parts.
        let line = std::str::from_utf8(line)
            .ok()
            .filter(|line| line.bytes().all(|byte| matches!(byte, b' '..=b'~')))
            .ok_or(Fault::Malformed("the request line is not visible ASCII"))?;
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Malformed(
                "the request line is not method, target and version with one space between them",
            ));
        };
        if !is_token(method) {
            return Err(Fault::Malformed("the method is not a token"));
        }
        let minor_version = parse_version(version)?;
        let target = Target::parse(method, target).ok_or(Fault::Malformed(
            "the request target has none of the forms that its method allows",
        ))?;
        Ok(RequestLine { method, target, minor_version })
    }
}

impl<'a> Target<'a> {
    fn parse(method: &str, target: &'a str) -> Option<Target<'a>> {
        // A fragment is for the client alone (RFC 9110, section 4.2.5).
        if target.contains('#') {
            return None;
        }
        match method {
            "CONNECT" => {
                let (_, port) = split_port(target)?;
                port.map(|_| Target::Authority(target))
            }
            "OPTIONS" if target == "*" => Some(Target::Asterisk),
            _ if target.starts_with('/') => {
                let (path, query) = split_query(target);
                Some(Target::Origin { path, query })
            }
            _ => {
                let (scheme, rest) = target.split_once(':')?;
                let rest = rest.strip_prefix("//")?;
                if !["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
                    return None;
                }
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                // Checked splits, here and below: one that could panic would bring the
                // formatting of panics into the module, a quarter of its code.
                let (authority, rest) = rest.split_at_checked(end)?;
                split_port(authority)?;
                let (path, query) = split_query(rest);
                // An empty path is the root (RFC 9110, section 4.2.3).
                let path = if path.is_empty() { "/" } else { path };
                Some(Target::Absolute { authority, path, query })
            }
        }
    }
}

/// Splits an authority into its host and its port, if it has one. An empty port is none
/// (RFC 3986, section 3.2.3).
///
/// `None` if it is not `host` or `host:port`. User information is refused: it is
/// deprecated, and is used to deceive (RFC 9110, section 4.2.4).
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        // An IPv6 address: colons inside the brackets belong to it.
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(host_end)?;
    let is_host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => is_ipv6(address.as_bytes()),
        None => !host.is_empty() && host.bytes().all(is_host_byte),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
    };
    is_host.then_some((host, port))
}

/// Splits what follows the authority into path and query.
fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Parses `HTTP/1.x` (RFC 9112, section 2.3) into its minor version.
fn parse_version(version: &str) -> Result<u8, Fault> {
    match version.as_bytes() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => Ok(minor - b'0'),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Fault::Version),
        _ => {
            Err(Fault::Malformed("the version is not HTTP/ with two digits and a dot between them"))
        }
    }
}

/// Whether the byte may stand in a registered name or an IPv4 address (RFC 3986,
/// section 3.2.2). Two bytes that no name in DNS has are left out: the comma would make a
/// list of two hosts, and a percent-escape can hide any byte.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

/// Whether these are eight groups, of which one run may be left out and the last two may
/// be an IPv4 address (RFC 3986, section 3.2.2). Zones are refused, as they mean nothing to
/// another machine (RFC 6874, section 1), and so are addresses of future versions.
fn is_ipv6(address: &[u8]) -> bool {
    let (mut rest, mut is_elided) = match address {
        [b':', b':', behind @ ..] => (behind, true),
        _ => (address, false),
    };
    let mut groups = 0;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|&&byte| byte != b':').count();
        let Some((group, behind)) = rest.split_at_checked(length) else { return false };
        groups += match group {
            [_] | [_, _] | [_, _, _] | [_, _, _, _] if group.iter().all(u8::is_ascii_hexdigit) => 1,
            _ if behind.is_empty() && is_ipv4(group) => 2,
            _ => return false,
        };
        rest = match behind {
            [] => break,
            [b':', b':', behind @ ..] if !is_elided => {
                is_elided = true;
                behind
            }
            [b':', behind @ ..] if !behind.is_empty() => behind,
            _ => return false,
        };
    }
    if is_elided { groups < 8 } else { groups == 8 }
}

/// Four numbers of eight bits, without zeroes before them.
fn is_ipv4(address: &[u8]) -> bool {
    let is_octet = |octet: &[u8]| {
        matches!(
            octet,
            [b'0'..=b'9']
                | [b'1'..=b'9', b'0'..=b'9']
                | [b'1', b'0'..=b'9', b'0'..=b'9']
                | [b'2', b'0'..=b'4', b'0'..=b'9']
                | [b'2', b'5', b'0'..=b'5']
        )
    };
    let mut octets = 0;
    address.split(|&byte| byte == b'.').all(|octet| {
        octets += 1;
        is_octet(octet)
    }) && octets == 4
}

#[cfg(test)]
mod tests {
    use super::{RequestLine, Target, is_ipv6, split_port};

    fn target(line: &str) -> Target<'_> {
        RequestLine::parse(line.as_bytes())
            .unwrap_or_else(|fault| panic!("{line:?}: {fault:?}"))
            .target
    }

    #[test]
    fn examples_of_rfc_9112_are_parsed() {
        // Sections 3, 3.2.1, 3.2.2, 3.2.3 and 3.2.4.
        let line = RequestLine::parse(b"GET /hello.txt HTTP/1.1").expect("a request line");
        assert_eq!((line.method, line.minor_version), ("GET", 1));
        assert_eq!(
            target("GET /where?q=now HTTP/1.1"),
            Target::Origin { path: "/where", query: Some("q=now") }
        );
        assert_eq!(
            target("GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1"),
            Target::Absolute {
                authority: "www.example.org",
                path: "/pub/WWW/TheProject.html",
                query: None
            }
        );
        assert_eq!(
            target("CONNECT www.example.com:80 HTTP/1.1"),
            Target::Authority("www.example.com:80")
        );
        assert_eq!(target("OPTIONS * HTTP/1.1"), Target::Asterisk);
    }

    #[test]
    fn ipv6_host_keeps_its_brackets() {
        assert_eq!(
            target("GET http://[::1]:7890/a HTTP/1.1"),
            Target::Absolute { authority: "[::1]:7890", path: "/a", query: None }
        );
        assert_eq!(
            target("CONNECT [2001:db8::1]:443 HTTP/1.1"),
            Target::Authority("[2001:db8::1]:443")
        );
    }

    #[test]
    fn empty_port_is_no_port() {
        assert_eq!(split_port("h:"), Some(("h", None)));
        assert_eq!(split_port("[::1]:"), Some(("[::1]", None)));
        assert_eq!(split_port("h:080"), Some(("h", Some(80))));
        for authority in ["", ":", ":80", "[::1]x", "[::1", "h:+80", "h:65536", "[1.2.3.4]"] {
            assert_eq!(split_port(authority), None, "{authority:?}");
        }
    }

    #[test]
    fn ipv6_address_is_what_the_standard_library_parses() {
        // All texts of up to nine of these parts.
        let parts = ["", "0", "abcd", "12345", "g", "1.2.3.4", "1.2.3.04", "256.0.0.1", "1.2.3"];
        let mut numbers = 0_u64;
        for _ in 0..200_000 {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut left = numbers >> 16;
            let mut text = String::new();
            for nth in 0..=left % 9 {
                if nth > 0 {
                    text.push(':');
                }
                left /= 9;
                // Three of four parts are groups: otherwise few texts would be addresses.
                text.push_str(match left % 4 {
                    0 => parts[(left % 9) as usize],
                    _ => "7f",
                });
            }
            let is_address = text.parse::<std::net::Ipv6Addr>().is_ok();
            assert_eq!(is_ipv6(text.as_bytes()), is_address, "{text}");
        }
    }

    #[test]
    fn empty_query_is_not_no_query() {
        assert_eq!(target("GET /? HTTP/1.1"), Target::Origin { path: "/", query: Some("") });
    }
}
