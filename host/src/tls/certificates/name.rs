//! Names that certificates are for (RFC 9525): DNS names, with a wildcard as the whole first label
//! or without, and addresses. The common name of the subject is none.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::http::HostPattern;
use crate::http::host::is_address;
use crate::http::host_pattern::comparable;

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// This DNS name, in lower case.
    Exact(Box<str>),
    /// Any one label, followed by a dot and this, in lower case.
    Wildcard(Box<str>),
    /// This address.
    Address(IpAddr),
}

impl Name {
    /// A DNS name as a certificate has it; `None` if it can be no host's.
    pub(super) fn dns(text: &str) -> Option<Name> {
        match HostPattern::parse(text).ok()? {
            HostPattern::Wildcard(rest) => Some(Name::Wildcard(rest)),
            // Addresses have a form of their own.
            HostPattern::Exact(name) => (!is_address(&name)).then_some(Name::Exact(name)),
        }
    }

    /// An address as a certificate has it: 4 or 16 bytes.
    pub(super) fn address(bytes: &[u8]) -> Option<Name> {
        let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
        let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into());
        v4.or_else(|_| v6()).ok().map(Name::Address)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Exact(name) => f.write_str(name),
            Name::Wildcard(rest) => write!(f, "*.{rest}"),
            Name::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A host that a client asks for: without its port, in any case, with or without the brackets of
/// an IPv6 address and the dot at the end of a DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Dns(String),
    Address(IpAddr),
}

impl Host {
    pub(super) fn new(host: &str) -> Host {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match inner.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Dns(comparable(host).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Name};

    #[test]
    fn names_of_certificates() {
        for (text, shown) in [
            ("Example.ORG", Some("example.org")),
            ("*.Example.org", Some("*.example.org")),
            ("localhost", Some("localhost")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("a_b.example", Some("a_b.example")),
            ("*", None),
            ("*.", None),
            ("a.*.example", None),
            ("w*.example", None),
            ("", None),
            ("a..b", None),
            ("a b", None),
            ("a\nb", None),
            ("b\u{fc}cher.example", None),
        ] {
            let name = Name::dns(text).map(|name| name.to_string());
            assert_eq!(name.as_deref(), shown, "{text:?}");
        }
        assert_eq!(Name::address(&[127, 0, 0, 1]).map(|a| a.to_string()), Some("127.0.0.1".into()));
        assert_eq!(Name::address(&[0; 16]).map(|a| a.to_string()), Some("::".into()));
        assert_eq!(Name::address(&[0; 5]), None);
    }

    #[test]
    fn hosts_of_requests() {
        for (text, host) in [
            ("Example.org.", Host::Dns("example.org".into())),
            ("[::1]", Host::Address([0, 0, 0, 0, 0, 0, 0, 1].into())),
            ("::1", Host::Address([0, 0, 0, 0, 0, 0, 0, 1].into())),
            ("127.0.0.1", Host::Address([127, 0, 0, 1].into())),
        ] {
            assert_eq!(Host::new(text), host, "{text}");
        }
    }
}
