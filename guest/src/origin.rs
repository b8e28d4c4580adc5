//! Origins (RFC 6454), and the patterns of those that are allowed to do something: read a response
//! (CORS), or link to an image.
//!
//! ```
//! use innkeeper_guest::origin::{HostPattern, OriginPattern, host_of};
//!
//! let apps = OriginPattern::parse("https://*.example.org").expect("a pattern");
//! assert!(apps.matches("https://app.example.org") && !apps.matches("http://app.example.org"));
//! let own = HostPattern::parse("example.org").expect("a pattern");
//! assert!(host_of("https://example.org/page").is_some_and(|host| own.matches(host)));
//! ```

use std::fmt;

/// Which origins are meant: `https://app.example`, `https://*.example`, `http://localhost:*`, or
/// `*` for all.
///
/// `*.` stands for one or more names: `https://*.example` matches `https://a.example` and
/// `https://a.b.example`, and not `https://example`. The opaque origin `null` cannot be meant, as
/// every page can take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// `None` for all.
    one: Option<One>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct One {
    /// In lower case.
    scheme: String,
    host: HostPattern,
    port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    /// That of the scheme, which an origin leaves out.
    Default,
    Is(u16),
    Any,
}

/// Which hosts are meant: `example.org`, or `*.example.org` for all beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case, without `*.`.
    name: String,
    is_beneath: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin with a scheme and `://`.
    Scheme,
    /// There is no host, or one with characters that no host has. A `*` stands elsewhere than
    /// in front.
    Host,
    /// What stands behind the last colon is no port.
    Port,
    /// Something follows the host and the port: a path, or a single `/`.
    Path,
    /// The origin `null`, which every page can take.
    Null,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Scheme => "no scheme; write https://app.example, https://*.example or *",
            Fault::Host => {
                "no host; write https://app.example, or https://*.example for all beneath it"
            }
            Fault::Port => "no port behind the colon; write 1 to 65535, or * for all",
            Fault::Path => "an origin has no path, not even a /; write https://app.example",
            Fault::Null => "every page can take the origin null; write https://app.example",
        })
    }
}

impl std::error::Error for Fault {}

impl OriginPattern {
    /// All origins.
    const ALL: OriginPattern = OriginPattern { one: None };

    /// The pattern with this text, in any letter case.
    pub fn parse(text: &str) -> Result<OriginPattern, Fault> {
        if text == "*" {
            return Ok(OriginPattern::ALL);
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(Fault::Null);
        }
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(Fault::Scheme)?;
        if !is_scheme(scheme) {
            return Err(Fault::Scheme);
        }
        if rest.contains(['/', '?', '#']) {
            return Err(Fault::Path);
        }
        let (host, port) = split_port(rest);
        let port = match port {
            None => Port::Default,
            Some("*") => Port::Any,
            Some(port) => match port_number(port).ok_or(Fault::Port)? {
                number if default_port(scheme) == Some(number) => Port::Default,
                number => Port::Is(number),
            },
        };
        let host = HostPattern::parse(host)?;
        Ok(OriginPattern { one: Some(One { scheme: scheme.to_owned(), host, port }) })
    }

    /// Whether it means all origins.
    pub fn is_all(&self) -> bool {
        self.one.is_none()
    }

    /// Whether it means this origin, a value of the field `origin`.
    ///
    /// A browser leaves out the port of the scheme, and writes all else in lower case. A value that
    /// is no origin, such as `null`, is meant by `*` alone.
    pub fn matches(&self, origin: &str) -> bool {
        let Some(one) = &self.one else { return true };
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let (host, port) = split_port(rest);
        let is_port = match (&one.port, port) {
            (Port::Any, port) => port.is_none_or(|port| port_number(port).is_some()),
            (Port::Default, None) => true,
            (Port::Default, Some(port)) => {
                port_number(port).is_some_and(|port| default_port(scheme) == Some(port))
            }
            (Port::Is(_), None) => false,
            (Port::Is(wanted), Some(port)) => port_number(port) == Some(*wanted),
        };
        one.scheme.eq_ignore_ascii_case(scheme) && is_port && one.host.matches(host)
    }
}

impl HostPattern {
    /// The pattern with this text, in any letter case. An address of IPv6 stands in brackets.
    pub fn parse(text: &str) -> Result<HostPattern, Fault> {
        let (name, is_beneath) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if !is_host(name) {
            return Err(Fault::Host);
        }
        Ok(HostPattern { name: name.to_ascii_lowercase(), is_beneath })
    }

    /// The host, or the one beneath which all are meant, in lower case.
    #[cfg(feature = "rules")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it means all hosts beneath its name, and not that one.
    #[cfg(feature = "rules")]
    pub(crate) fn is_beneath(&self) -> bool {
        self.is_beneath
    }

    /// Whether it means this host, which has no port, in any letter case.
    pub fn matches(&self, host: &str) -> bool {
        let name = self.name.as_str();
        if !self.is_beneath {
            return name.eq_ignore_ascii_case(host);
        }
        let Some(start) = host.len().checked_sub(name.len()) else { return false };
        let (Some(start), Some(end)) = (host.get(..start), host.get(start..)) else { return false };
        end.eq_ignore_ascii_case(name) && start.strip_suffix('.').is_some_and(is_host)
    }
}

/// The host of a URL, such as a value of `referer`: without a port, and as it was written.
pub fn host_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let (host, port) = split_port(authority);
    let is_port = port.is_none_or(|port| port.is_empty() || port_number(port).is_some());
    (is_scheme(scheme) && is_host(host) && is_port).then_some(host)
}

/// Host and port. The colons of an address in brackets separate nothing.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_inner)
}

/// Whether it is a host as a browser writes it: names, also those of other scripts, which it
/// encodes as `xn--`, or an address.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => text.split('.').all(|name| {
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !name.is_empty() && name.bytes().all(is_inner)
        }),
    }
}

/// A port, 1 to 65535, without leading zeros.
fn port_number(text: &str) -> Option<u16> {
    let begins_well = text.starts_with(|first: char| ('1'..='9').contains(&first));
    begins_well.then(|| text.parse().ok()).flatten()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, HostPattern, OriginPattern, host_of};

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let parsed = OriginPattern::parse(pattern).expect("a pattern");
        matching.iter().for_each(|origin| assert!(parsed.matches(origin), "{origin} by {pattern}"));
        others.iter().for_each(|origin| assert!(!parsed.matches(origin), "{origin} by {pattern}"));
    }

    #[test]
    fn origin_has_scheme_host_and_port() {
        // RFC 6454, section 5: all of the three, and none of them in another letter case.
        check(
            "http://example.com",
            &["http://example.com", "HTTP://Example.com", "http://example.com:80"],
            &[
                "http://example.com:8080",
                "http://www.example.com",
                "https://example.com:80",
                "https://example.com",
                "http://example.org",
                "http://ietf.org",
                "http://example.com/",
                "http://example.com:",
                "http://example.com:080",
                "example.com",
                "null",
                "",
            ],
        );
        check("https://A.example:443", &["https://a.example"], &["https://a.example:444"]);
        check("https://a.example:8443", &["https://a.example:8443"], &["https://a.example"]);
        check("http://[::1]:3000", &["http://[::1]:3000"], &["http://[::1]", "http://[::2]:3000"]);
        check("http://127.0.0.1", &["http://127.0.0.1"], &["http://127.0.0.12"]);
        check("app://desktop", &["app://desktop"], &["app://other"]);
    }

    #[test]
    fn star_stands_for_names_in_front() {
        check(
            "https://*.example",
            &["https://a.example", "https://A.b.Example"],
            &[
                "https://example",
                "https://.example",
                "https://aexample",
                "https://a..example",
                "https://a.example.evil",
                "https://evil/.example",
                "https://evil?.example",
                "https://user@a.example",
                "https://\u{e4}.example",
                "http://a.example",
                "https://a.example:8443",
                "https://",
            ],
        );
    }

    #[test]
    fn star_stands_for_ports() {
        check(
            "http://localhost:*",
            &["http://localhost", "http://localhost:5173", "http://localhost:65535"],
            &[
                "http://localhost:",
                "http://localhost:x",
                "http://localhost:65536",
                "https://localhost",
            ],
        );
    }

    #[test]
    fn star_alone_is_every_origin() {
        check("*", &["https://a.example", "null", ""], &[]);
        assert!(OriginPattern::parse("*").is_ok_and(|pattern| pattern.is_all()));
    }

    #[test]
    fn other_text_is_no_pattern() {
        for (text, fault) in [
            ("", Fault::Scheme),
            ("example.com", Fault::Scheme),
            ("//example.com", Fault::Scheme),
            ("://example.com", Fault::Scheme),
            ("*://example.com", Fault::Scheme),
            ("null", Fault::Null),
            ("https://", Fault::Host),
            ("https://*", Fault::Host),
            ("https://*.", Fault::Host),
            ("https://a.*.example", Fault::Host),
            ("https://*.*.example", Fault::Host),
            ("https://a*.example", Fault::Host),
            ("https://user@a.example", Fault::Host),
            ("https://m\u{fc}nchen.example", Fault::Host),
            ("https://a b", Fault::Host),
            ("https://a:0", Fault::Port),
            ("https://a:", Fault::Port),
            ("https://a:65536", Fault::Port),
            ("https://a:http", Fault::Port),
            ("https://a/", Fault::Path),
            ("https://a/b", Fault::Path),
            ("https://a?b", Fault::Path),
        ] {
            assert_eq!(OriginPattern::parse(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn host_of_a_url_is_the_one_that_a_browser_asks() {
        for (url, host) in [
            ("https://example.org/a?b#c", Some("example.org")),
            ("http://example.org", Some("example.org")),
            ("http://example.org:8080/", Some("example.org")),
            ("http://example.org:/", Some("example.org")),
            ("http://user:password@example.org/", Some("example.org")),
            ("http://example.org@evil.example/", Some("evil.example")),
            ("http://evil.example\\@example.org/", Some("evil.example")),
            ("http://evil.example/@example.org", Some("evil.example")),
            ("http://[::1]:80/", Some("[::1]")),
            ("http:///a", None),
            ("http://a:b/", None),
            ("example.org", None),
            ("", None),
            ("about:blank", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
        let beneath = HostPattern::parse("*.Example.org").expect("a pattern");
        assert!(beneath.matches("a.EXAMPLE.org") && !beneath.matches("example.org"));
    }
}
