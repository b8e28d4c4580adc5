//! Facts: what a guest may know of a request besides its line and fields, and what a case states
//! of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// A fact, by its name in `wit/policy.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `:client-address`
    ClientAddress,
    /// `:scheme`
    Scheme,
    /// `:protocol`
    Protocol,
    /// `:tls-version`
    TlsVersion,
    /// `:tls-server-name`
    TlsServerName,
    /// `:client-certificate`
    ClientCertificate,
    /// `:client-name`
    ClientName,
}

impl Fact {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Fact; 7] = [
        Fact::ClientAddress,
        Fact::Scheme,
        Fact::Protocol,
        Fact::TlsVersion,
        Fact::TlsServerName,
        Fact::ClientCertificate,
        Fact::ClientName,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Fact::ClientAddress => ":client-address",
            Fact::Scheme => ":scheme",
            Fact::Protocol => ":protocol",
            Fact::TlsVersion => ":tls-version",
            Fact::TlsServerName => ":tls-server-name",
            Fact::ClientCertificate => ":client-certificate",
            Fact::ClientName => ":client-name",
        }
    }

    /// The fact with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Fact> {
        Fact::ALL.into_iter().find(|fact| fact.name() == name)
    }

    /// The values that it may have, if these are a few.
    pub const fn choices(self) -> &'static [&'static str] {
        match self {
            Fact::Scheme => &["http", "https"],
            Fact::Protocol => &["http/1.0", "http/1.1", "h2"],
            Fact::TlsVersion => &["1.2", "1.3"],
            Fact::ClientAddress
            | Fact::TlsServerName
            | Fact::ClientCertificate
            | Fact::ClientName => &[],
        }
    }

    /// What its value is, for a message: `an address, as "192.0.2.1"`.
    fn form(self) -> &'static str {
        match self {
            Fact::ClientAddress => "an address, as \"192.0.2.1\"",
            Fact::Scheme => "\"http\" or \"https\"",
            Fact::Protocol => "\"http/1.0\", \"http/1.1\" or \"h2\"",
            Fact::TlsVersion => "\"1.2\" or \"1.3\"",
            Fact::TlsServerName => {
                "a host name in lower case, without a dot at its end, as \"www.example.com\""
            }
            Fact::ClientCertificate => "a SHA-256 digest, as 64 hex digits in lower case",
            Fact::ClientName => "a name of 1 to 255 bytes without control characters",
        }
    }

    /// The value as the host gives it; `None` if the host never gives it.
    fn checked(self, value: &str) -> Option<String> {
        let is_right = match self {
            Fact::ClientAddress => {
                return value.parse().ok().map(|address: IpAddr| address.to_string());
            }
            Fact::Scheme | Fact::Protocol | Fact::TlsVersion => self.choices().contains(&value),
            Fact::TlsServerName => {
                let is_host = |byte: u8| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte)
                };
                !value.is_empty() && value.bytes().all(is_host) && !value.ends_with('.')
            }
            Fact::ClientCertificate => {
                let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                value.len() == 64 && value.bytes().all(is_hex)
            }
            Fact::ClientName => {
                (1..=255).contains(&value.len()) && !value.contains(char::is_control)
            }
        };
        is_right.then(|| value.to_owned())
    }

    /// Whether only a TLS connection has it.
    fn is_of_tls(self) -> bool {
        !matches!(self, Fact::ClientAddress | Fact::Scheme | Fact::Protocol)
    }
}

/// A value that a fact never has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactError {
    /// The fact.
    pub fact: Fact,
    /// The value.
    pub value: String,
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {:?}; write {}", self.fact.name(), self.value, self.fact.form())
    }
}

impl std::error::Error for FactError {}

/// The facts of one request.
///
/// What is not stated is as on a plain connection of HTTP/1.1 from 127.0.0.1. With a fact of TLS,
/// such as `:client-name`, it is as on a connection of TLS 1.3: `:scheme` is `https`. With a
/// `:client-name` there is a `:client-certificate`, which is 64 zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// In the order of [`Fact::ALL`].
    stated: [Option<String>; Fact::ALL.len()],
}

impl Facts {
    /// States a fact, if it may have this value.
    pub fn state(&mut self, fact: Fact, value: &str) -> Result<(), FactError> {
        let checked = fact.checked(value);
        let checked = checked.ok_or_else(|| FactError { fact, value: value.to_owned() })?;
        self.stated[fact as usize] = Some(checked);
        Ok(())
    }

    /// The facts that are stated, with their values.
    pub fn stated(&self) -> impl Iterator<Item = (Fact, &str)> {
        let stated = Fact::ALL.into_iter().zip(&self.stated);
        stated.filter_map(|(fact, value)| Some((fact, value.as_deref()?)))
    }

    /// The value of a fact; `None` if the request does not have it.
    pub fn value(&self, fact: Fact) -> Option<&str> {
        let stated = self.stated[fact as usize].as_deref();
        let default = match fact {
            Fact::ClientAddress => Some("127.0.0.1"),
            Fact::Scheme => Some(if self.is_tls() { "https" } else { "http" }),
            Fact::Protocol => Some("http/1.1"),
            Fact::TlsVersion => self.is_tls().then_some("1.3"),
            Fact::ClientCertificate => self.stated[Fact::ClientName as usize]
                .as_ref()
                .map(|_| "0000000000000000000000000000000000000000000000000000000000000000"),
            Fact::TlsServerName | Fact::ClientName => None,
        };
        stated.or(default)
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        let address = self.value(Fact::ClientAddress).and_then(|address| address.parse().ok());
        address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Whether the request came on a TLS connection.
    pub fn is_tls(&self) -> bool {
        self.stated().any(|(fact, _)| fact.is_of_tls())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fact, Facts};

    #[test]
    fn facts_have_distinct_names_and_stand_in_order() {
        for (number, fact) in Fact::ALL.into_iter().enumerate() {
            assert_eq!((fact as usize, Fact::from_name(fact.name())), (number, Some(fact)));
        }
        assert_eq!(Fact::from_name(":path"), None);
    }

    #[test]
    fn fact_of_tls_makes_the_request_one_over_tls() {
        let all = |facts: &Facts| {
            let values = Fact::ALL.map(|fact| facts.value(fact).unwrap_or("-").to_owned());
            values.join(" ")
        };
        let mut facts = Facts::default();
        assert_eq!(all(&facts), "127.0.0.1 http http/1.1 - - - -");
        facts.state(Fact::Scheme, "https").expect("a fact");
        assert_eq!(all(&facts), "127.0.0.1 https http/1.1 - - - -", "as a proxy says");
        let mut facts = Facts::default();
        facts.state(Fact::ClientName, "alice").expect("a fact");
        facts.state(Fact::Protocol, "h2").expect("a fact");
        facts.state(Fact::ClientAddress, "2001:DB8:0::1").expect("a fact");
        let zeros = "0".repeat(64);
        assert_eq!(all(&facts), format!("2001:db8::1 https h2 1.3 - {zeros} alice"));
        assert_eq!(facts.client().to_string(), "2001:db8::1");
    }

    #[test]
    fn value_that_the_host_never_gives_is_refused() {
        for (fact, value) in [
            (Fact::ClientAddress, "localhost"),
            (Fact::Scheme, "HTTPS"),
            (Fact::Protocol, "HTTP/1.1"),
            (Fact::TlsVersion, "1.1"),
            (Fact::TlsServerName, "A.example"),
            (Fact::TlsServerName, "a.example."),
            (Fact::TlsServerName, ""),
            (Fact::ClientCertificate, "ab"),
            (Fact::ClientName, ""),
            (Fact::ClientName, "a\nb"),
        ] {
            assert!(Facts::default().state(fact, value).is_err(), "{value:?}");
        }
    }
}
