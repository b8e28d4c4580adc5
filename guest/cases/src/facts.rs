//! Facts: what a guest may know of a request besides its line and fields, and what a case states
//! of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;

/// Seconds that a grain of `:time/N` may have: up to a day.
const GRAINS: RangeInclusive<u32> = 1..=86_400;

/// Buckets that `:client-bucket/N` may have.
const BUCKETS: RangeInclusive<u16> = 2..=1_000;

/// The time of a case that states none, in Unix seconds: the beginning of 2025, in UTC.
pub const DEFAULT_TIME_S: u64 = 1_735_689_600;

/// The latest time, in Unix seconds: the end of the year 9999.
const LAST_TIME_S: u64 = 253_402_300_799;

/// A fact, by its name in `wit/policy.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// `:time/N`, with the seconds of its grain, 1 to 86,400.
    Time(NonZeroU32),
    /// `:client-bucket/N`, with the number of buckets, 2 to 1,000.
    ClientBucket(NonZeroU16),
}

/// Why a name that begins with a colon is no fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactNameError {
    /// There is no such fact.
    Unknown,
    /// `:time` without a grain, or with another than 1 to 86,400 seconds.
    Grain,
    /// `:client-bucket` without a number of buckets, or with another than 2 to 1,000.
    Buckets,
}

impl fmt::Display for FactNameError {
    /// What the name should be: `write :time/N with …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactNameError::Unknown => {
                f.write_str("the facts are ")?;
                for name in Fact::PLAIN.iter().map(|fact| fact.name()) {
                    write!(f, "`{name}`, ")?;
                }
                f.write_str("`:time/N` and `:client-bucket/N`")
            }
            FactNameError::Grain => write!(
                f,
                "write `:time/N` with a number of seconds from {} to {}, as in `:time/60`",
                GRAINS.start(),
                GRAINS.end()
            ),
            FactNameError::Buckets => write!(
                f,
                "write `:client-bucket/N` with a number of buckets from {} to {}, as in \
                 `:client-bucket/10`",
                BUCKETS.start(),
                BUCKETS.end()
            ),
        }
    }
}

impl std::error::Error for FactNameError {}

impl Fact {
    /// Those without a number, in the order in which messages name them.
    pub const PLAIN: [Fact; 7] = [
        Fact::ClientAddress,
        Fact::Scheme,
        Fact::Protocol,
        Fact::TlsVersion,
        Fact::TlsServerName,
        Fact::ClientCertificate,
        Fact::ClientName,
    ];

    /// Its name.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Fact::ClientAddress => ":client-address",
            Fact::Scheme => ":scheme",
            Fact::Protocol => ":protocol",
            Fact::TlsVersion => ":tls-version",
            Fact::TlsServerName => ":tls-server-name",
            Fact::ClientCertificate => ":client-certificate",
            Fact::ClientName => ":client-name",
            Fact::Time(grain_s) => return Cow::Owned(format!(":time/{grain_s}")),
            Fact::ClientBucket(buckets) => {
                return Cow::Owned(format!(":client-bucket/{buckets}"));
            }
        })
    }

    /// The fact with this name.
    pub fn from_name(name: &str) -> Result<Fact, FactNameError> {
        if let Some(plain) = Fact::PLAIN.into_iter().find(|fact| fact.name() == name) {
            return Ok(plain);
        }
        let (kind, number) = match name.split_once('/') {
            Some((kind, number)) => (kind, number),
            None => (name, ""),
        };
        // As it is printed, so that one fact has one name.
        let begins_well = number.starts_with(|first: char| ('1'..='9').contains(&first));
        let number = begins_well.then_some(number);
        match kind {
            ":time" => {
                let grain_s = number.and_then(|number| number.parse().ok());
                let grain_s = grain_s.filter(|grain: &NonZeroU32| GRAINS.contains(&grain.get()));
                grain_s.map(Fact::Time).ok_or(FactNameError::Grain)
            }
            ":client-bucket" => {
                let buckets = number.and_then(|number| number.parse().ok());
                let buckets = buckets.filter(|count: &NonZeroU16| BUCKETS.contains(&count.get()));
                buckets.map(Fact::ClientBucket).ok_or(FactNameError::Buckets)
            }
            _ => Err(FactNameError::Unknown),
        }
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
            | Fact::ClientName
            | Fact::Time(_)
            | Fact::ClientBucket(_) => &[],
        }
    }

    /// What its value is, for a message: `an address, as "192.0.2.1"`.
    fn form(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Fact::ClientAddress => "an address, as \"192.0.2.1\"",
            Fact::Scheme => "\"http\" or \"https\"",
            Fact::Protocol => "\"http/1.0\", \"http/1.1\" or \"h2\"",
            Fact::TlsVersion => "\"1.2\" or \"1.3\"",
            Fact::TlsServerName => {
                "a host name in lower case, without a dot at its end, as \"www.example.com\""
            }
            Fact::ClientCertificate => "a SHA-256 digest, as 64 hex digits in lower case",
            Fact::ClientName => "a name of 1 to 255 bytes without control characters",
            Fact::Time(grain_s) => {
                return Cow::Owned(format!(
                    "Unix seconds, a multiple of {grain_s}, as \"{}\"",
                    floor(DEFAULT_TIME_S, grain_s)
                ));
            }
            Fact::ClientBucket(buckets) => {
                return Cow::Owned(format!("a number from 0 to {}", buckets.get() - 1));
            }
        })
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
            Fact::Time(grain_s) => number(value).is_some_and(|time_s| {
                time_s <= LAST_TIME_S && time_s.is_multiple_of(grain_s.get().into())
            }),
            Fact::ClientBucket(buckets) => {
                number(value).is_some_and(|bucket| bucket < buckets.get().into())
            }
        };
        is_right.then(|| value.to_owned())
    }

    /// Whether only a TLS connection has it.
    pub fn is_of_tls(self) -> bool {
        match self {
            Fact::TlsVersion | Fact::TlsServerName | Fact::ClientCertificate | Fact::ClientName => {
                true
            }
            Fact::ClientAddress
            | Fact::Scheme
            | Fact::Protocol
            | Fact::Time(_)
            | Fact::ClientBucket(_) => false,
        }
    }
}

/// The time in whole grains: the value of `:time/N`.
pub fn floor(time_s: u64, grain_s: NonZeroU32) -> u64 {
    time_s - time_s % u64::from(grain_s.get())
}

/// A number as the host writes it: digits, without leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Why a fact of a case does not have the value that is stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactError {
    /// It never has this value.
    Value {
        /// The fact.
        fact: Fact,
        /// The value.
        value: String,
    },
    /// At no time do these two have the values that are stated: `:time/60` of one hour, and
    /// `:time/3600` of another.
    Contradiction(Fact, Fact),
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactError::Value { fact, value } => {
                write!(f, "`{}` is {value:?}; write {}", fact.name(), fact.form())
            }
            FactError::Contradiction(one, other) => write!(
                f,
                "`{}` and `{}` state two times; one of them is enough",
                one.name(),
                other.name()
            ),
        }
    }
}

impl std::error::Error for FactError {}

/// The facts of one request.
///
/// What is not stated is as on a plain connection of HTTP/1.1 from 127.0.0.1. With a fact of TLS,
/// such as `:client-name`, it is as on a connection of TLS 1.3: `:scheme` is `https`. With a
/// `:client-name` there is a `:client-certificate`, which is 64 zeros.
///
/// The time is the one that a `:time/N` states, for all grains, and else [`DEFAULT_TIME_S`]. A
/// `:client-bucket/N` that is not stated is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The values as the host gives them.
    stated: BTreeMap<Fact, String>,
}

impl Facts {
    /// States a fact, if it may have this value.
    pub fn state(&mut self, fact: Fact, value: &str) -> Result<(), FactError> {
        let checked = fact.checked(value);
        let checked = checked.ok_or_else(|| FactError::Value { fact, value: value.to_owned() })?;
        if let (Fact::Time(grain_s), Some(from)) = (fact, number(&checked)) {
            let end = |from: u64, grain_s: NonZeroU32| from + u64::from(grain_s.get());
            let apart = self.stated_times().find(|&(other_s, start)| {
                other_s != grain_s && (start >= end(from, grain_s) || from >= end(start, other_s))
            });
            if let Some((other_s, _)) = apart {
                return Err(FactError::Contradiction(Fact::Time(other_s), fact));
            }
        }
        self.stated.insert(fact, checked);
        Ok(())
    }

    /// The facts that are stated, with their values.
    pub fn stated(&self) -> impl Iterator<Item = (Fact, &str)> {
        self.stated.iter().map(|(fact, value)| (*fact, value.as_str()))
    }

    /// The value of a fact; `None` if the request does not have it.
    pub fn value(&self, fact: Fact) -> Option<Cow<'_, str>> {
        if let Some(stated) = self.stated.get(&fact) {
            return Some(Cow::Borrowed(stated));
        }
        Some(Cow::Borrowed(match fact {
            Fact::ClientAddress => "127.0.0.1",
            Fact::Scheme if self.is_tls() => "https",
            Fact::Scheme => "http",
            Fact::Protocol => "http/1.1",
            Fact::TlsVersion if self.is_tls() => "1.3",
            Fact::ClientCertificate if self.stated.contains_key(&Fact::ClientName) => {
                "0000000000000000000000000000000000000000000000000000000000000000"
            }
            Fact::TlsVersion | Fact::ClientCertificate | Fact::TlsServerName | Fact::ClientName => {
                return None;
            }
            Fact::Time(grain_s) => {
                let time_s = self.time_s().unwrap_or(DEFAULT_TIME_S);
                return Some(Cow::Owned(floor(time_s, grain_s).to_string()));
            }
            Fact::ClientBucket(_) => "0",
        }))
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        let address = self.stated.get(&Fact::ClientAddress);
        let address = address.and_then(|address| address.parse().ok());
        address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The time that is stated, in Unix seconds: the earliest that has all of these values.
    pub fn time_s(&self) -> Option<u64> {
        self.stated_times().map(|(_, start)| start).max()
    }

    /// The buckets that are stated: how many there are, and which it is.
    pub fn buckets(&self) -> impl Iterator<Item = (NonZeroU16, u16)> {
        self.stated().filter_map(|(fact, value)| match fact {
            Fact::ClientBucket(buckets) => Some((buckets, value.parse().ok()?)),
            _ => None,
        })
    }

    /// The grains of the times that are stated, and where they begin.
    fn stated_times(&self) -> impl Iterator<Item = (NonZeroU32, u64)> {
        self.stated().filter_map(|(fact, value)| match fact {
            Fact::Time(grain_s) => Some((grain_s, number(value)?)),
            _ => None,
        })
    }

    /// Whether the request came on a TLS connection.
    pub fn is_tls(&self) -> bool {
        self.stated().any(|(fact, _)| fact.is_of_tls())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fact, FactNameError, Facts};

    fn named(name: &str) -> Fact {
        Fact::from_name(name).expect("a fact")
    }

    #[test]
    fn fact_has_one_name() {
        let numbered =
            [":time/1", ":time/60", ":time/86400", ":client-bucket/2", ":client-bucket/1000"];
        for fact in Fact::PLAIN.into_iter().chain(numbered.map(named)) {
            assert_eq!(Fact::from_name(&fact.name()), Ok(fact));
        }
        assert_eq!(named(":time/60").name(), ":time/60");
        for (name, error) in [
            (":path", FactNameError::Unknown),
            (":time/", FactNameError::Grain),
            (":time", FactNameError::Grain),
            (":time/0", FactNameError::Grain),
            (":time/07", FactNameError::Grain),
            (":time/+7", FactNameError::Grain),
            (":time/86401", FactNameError::Grain),
            (":time/99999999999", FactNameError::Grain),
            (":time/60/60", FactNameError::Grain),
            (":time/60s", FactNameError::Grain),
            (":client-bucket", FactNameError::Buckets),
            (":client-bucket/0", FactNameError::Buckets),
            (":client-bucket/1", FactNameError::Buckets),
            (":client-bucket/1001", FactNameError::Buckets),
            (":client-bucket/010", FactNameError::Buckets),
            (":times/60", FactNameError::Unknown),
            (":scheme/1", FactNameError::Unknown),
        ] {
            assert_eq!(Fact::from_name(name), Err(error), "{name}");
        }
    }

    #[test]
    fn fact_of_tls_makes_the_request_one_over_tls() {
        let all = |facts: &Facts| {
            let values =
                Fact::PLAIN.map(|fact| facts.value(fact).unwrap_or("-".into()).into_owned());
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
        let mut facts = Facts::default();
        facts.state(named(":time/60"), "60").expect("a fact");
        facts.state(named(":client-bucket/2"), "1").expect("a fact");
        assert!(!facts.is_tls());
    }

    #[test]
    fn stated_time_has_all_grains() {
        let value = |facts: &Facts, name| facts.value(named(name)).expect("a value").into_owned();
        let mut facts = Facts::default();
        assert_eq!(value(&facts, ":time/86400"), "1735689600", "2025-01-01T00:00:00Z");
        assert_eq!(value(&facts, ":time/7"), "1735689599");
        facts.state(named(":time/60"), "7260").expect("a time");
        assert_eq!(value(&facts, ":time/60"), "7260");
        assert_eq!(value(&facts, ":time/1"), "7260");
        assert_eq!(value(&facts, ":time/3600"), "7200");
        facts.state(named(":time/3600"), "7200").expect("the same time");
        facts.state(named(":time/1"), "7319").expect("within both");
        assert_eq!(value(&facts, ":time/10"), "7310");
        let mut other = facts.clone();
        for (name, other_time) in
            [(":time/3600", "3600"), (":time/60", "7200"), (":time/1", "7320")]
        {
            let error = other.state(named(name), other_time).expect_err("another time").to_string();
            assert!(error.contains("state two times"), "{error}");
        }
        assert_eq!((other, facts.time_s()), (facts, Some(7319)));
    }

    #[test]
    fn bucket_that_is_not_stated_is_the_first() {
        let mut facts = Facts::default();
        facts.state(named(":client-bucket/10"), "9").expect("a bucket");
        assert_eq!(facts.value(named(":client-bucket/10")).as_deref(), Some("9"));
        assert_eq!(facts.value(named(":client-bucket/20")).as_deref(), Some("0"));
        assert_eq!(
            facts.buckets().map(|(count, bucket)| (count.get(), bucket)).collect::<Vec<_>>(),
            [(10, 9)]
        );
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
            (named(":time/60"), "1735689601"),
            (named(":time/60"), "060"),
            (named(":time/60"), "-60"),
            (named(":time/60"), "now"),
            (named(":time/60"), ""),
            (named(":time/1"), "253402300800"),
            (named(":client-bucket/10"), "10"),
            (named(":client-bucket/10"), "01"),
            (named(":client-bucket/10"), "-1"),
        ] {
            assert!(Facts::default().state(fact, value).is_err(), "{value:?}");
        }
    }
}
