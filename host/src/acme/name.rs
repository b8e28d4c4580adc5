//! The name that a certificate is ordered for: a DNS name or an address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::http::HostPattern;
use crate::http::host::is_address;
use crate::http::host_pattern::NoHost;

/// A DNS name in lower case, or an address without brackets. It can be the name of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why an authority that proves names over HTTP or TLS has no certificate for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has a wildcard.
    Wildcard,
    /// It has other characters than ASCII.
    NotAscii,
    /// It is no DNS name with a dot, and no address.
    Malformed,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::Wildcard => {
                "a wildcard is proved by DNS alone, which innkeeper does not do: name each host, \
                 or give the files of certbot or lego to --tls-certificate"
            }
            NameError::NotAscii => "no DNS name can have these letters",
            NameError::Malformed => "write a name as in example.org, or an address",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that it is, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }

    /// Whether a client that asks for this host, without a port, means this name.
    pub fn is_host(&self, host: &str) -> bool {
        host.parse().is_ok_and(|name: Name| name == *self)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        if !text.is_ascii() {
            return Err(NameError::NotAscii);
        }
        let host = match HostPattern::parse(text) {
            Ok(HostPattern::Exact(host)) => host,
            Ok(HostPattern::Wildcard(_)) | Err(NoHost::Wildcard) => {
                return Err(NameError::Wildcard);
            }
            Err(NoHost::NotAlone | NoHost::NoName) => return Err(NameError::Malformed),
        };
        if is_address(&host) {
            return Ok(Name(host.trim_matches(['[', ']']).to_owned()));
        }
        // Authorities take no such label (RFC 1123, section 2.1).
        let is_label = |label: &str| !label.starts_with('-') && !label.ends_with('-');
        let last_is_word =
            host.rsplit('.').next().is_some_and(|l| l.bytes().any(|b| b.is_ascii_alphabetic()));
        match last_is_word && host.split('.').all(is_label) {
            true => Ok(Name(host.into())),
            false => Err(NameError::Malformed),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Name, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};

    #[test]
    fn name_is_as_certificates_have_it() {
        for (text, expected) in [
            ("example.org", Ok("example.org")),
            ("WWW.Example.ORG.", Ok("www.example.org")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("[2001:DB8::1]", Ok("2001:db8::1")),
            ("localhost", Ok("localhost")),
            ("*.example.org", Err(NameError::Wildcard)),
            ("b\u{fc}cher.example", Err(NameError::NotAscii)),
            ("", Err(NameError::Malformed)),
            (".", Err(NameError::Malformed)),
            ("..", Err(NameError::Malformed)),
            ("a/b", Err(NameError::Malformed)),
            ("../x", Err(NameError::Malformed)),
            ("a..b", Err(NameError::Malformed)),
            (".lock", Err(NameError::Malformed)),
            ("1.2.3", Err(NameError::Malformed)),
            ("-a.example", Err(NameError::Malformed)),
            ("a.example:80", Err(NameError::Malformed)),
        ] {
            let parsed = text.parse::<Name>();
            assert_eq!(parsed.as_ref().map(Name::as_str), expected.as_ref().copied(), "{text}");
        }
        assert!("a.example".parse::<Name>().expect("a name").is_host("A.example"));
    }
}
