//! Hosts of a site, as an operator names them, and a host that is asked for, as it is compared with
//! them: in lower case, without port and final dot, an IPv6 address in its one form (RFC 5952).

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::host::{is_address, is_dns_name, without_port};

/// A host of a site, or several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This name in lower case, or this address, of version 6 in brackets.
    Exact(Box<str>),
    /// Any one label, followed by a dot and this name in lower case: as in certificates.
    Wildcard(Box<str>),
}

/// Why a text is no host of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHost {
    /// It has a port, a scheme or a path.
    NotAlone,
    /// It has a `*` that is not its whole first label.
    Wildcard,
    /// It is no DNS name in ASCII, and no address.
    NoName,
}

impl HostPattern {
    /// Reads one: a DNS name in ASCII, maybe behind `*.`, or an address.
    pub fn parse(text: &str) -> Result<HostPattern, NoHost> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(HostPattern::Exact(format!("[{address}]").into()));
        }
        let host = comparable(text);
        if text.contains('/') || without_port(text).len() < text.len() {
            return Err(NoHost::NotAlone);
        }
        if is_address(&host) {
            let is_known = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
            return if is_known {
                Ok(HostPattern::Exact(host.into()))
            } else {
                Err(NoHost::NoName)
            };
        }
        let (name, is_wildcard) = match host.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (&*host, false),
        };
        if name.contains('*') {
            return Err(NoHost::Wildcard);
        }
        // A name whose last label is a number is taken for an address by clients (URL Standard).
        let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        if !is_dns_name(name) || name.rsplit('.').next().is_some_and(is_number) {
            return Err(NoHost::NoName);
        }
        Ok(if is_wildcard {
            HostPattern::Wildcard(name.into())
        } else {
            HostPattern::Exact(name.into())
        })
    }

    /// Whether it is this host, which is [`comparable`].
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Wildcard(rest) => above(host) == Some(rest),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Wildcard(rest) => write!(f, "*.{rest}"),
        }
    }
}

/// The host of an authority as it is compared: in lower case, without port and final dot, an IPv6
/// address in its one form.
pub fn comparable(authority: &str) -> Cow<'_, str> {
    let host = without_port(authority);
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(address) = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        return Cow::Owned(format!("[{address}]"));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// The name behind the first label: that of the wildcard which a host matches.
pub fn above(host: &str) -> Option<&str> {
    if is_address(host) {
        return None;
    }
    host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, NoHost, comparable};

    #[test]
    fn hosts_of_sites() {
        for (text, shown) in [
            ("Example.ORG", Ok("example.org")),
            ("example.org.", Ok("example.org")),
            ("*.Example.org", Ok("*.example.org")),
            ("localhost", Ok("localhost")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("a_b.example", Ok("a_b.example")),
            ("192.0.2.1", Ok("192.0.2.1")),
            ("[::0:1]", Ok("[::1]")),
            ("::1", Ok("[::1]")),
            ("example.org:80", Err(NoHost::NotAlone)),
            ("[::1]:80", Err(NoHost::NotAlone)),
            ("https://example.org", Err(NoHost::NotAlone)),
            ("example.org/a", Err(NoHost::NotAlone)),
            ("*", Err(NoHost::Wildcard)),
            ("a.*.example", Err(NoHost::Wildcard)),
            ("w*.example", Err(NoHost::Wildcard)),
            ("*.", Err(NoHost::Wildcard)),
            ("*.*.example", Err(NoHost::Wildcard)),
            ("", Err(NoHost::NoName)),
            (".", Err(NoHost::NoName)),
            ("a..b", Err(NoHost::NoName)),
            ("a b", Err(NoHost::NoName)),
            ("256.0.2.1", Err(NoHost::NoName)),
            ("example.1", Err(NoHost::NoName)),
            ("*.0.2.1", Err(NoHost::NoName)),
            ("[::x]", Err(NoHost::NoName)),
            ("b\u{fc}cher.example", Err(NoHost::NoName)),
        ] {
            let read = HostPattern::parse(text).map(|host| host.to_string());
            assert_eq!(read, shown.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn wildcard_is_one_label() {
        let check = |pattern: &str, host: &str, expected: bool| {
            let pattern = HostPattern::parse(pattern).expect("a host");
            assert_eq!(pattern.matches(&comparable(host)), expected, "{pattern} {host}");
        };
        check("example.org", "EXAMPLE.org.:80", true);
        check("example.org", "www.example.org", false);
        check("*.example.org", "Www.example.org", true);
        check("*.example.org", "example.org", false);
        check("*.example.org", ".example.org", false);
        check("*.example.org", "a.b.example.org", false);
        check("::1", "[0::1]:8080", true);
    }
}
