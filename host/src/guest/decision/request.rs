//! The request that a guest is shown.

use std::borrow::Cow;
use std::net::IpAddr;

use innkeeper_cases::Fact;

use super::Field;
use super::ambient::{Ambient, UNSTATED};
use crate::http::{ClientCertificate, Scheme, Tls, TlsVersion, Version};

/// A request, as far as the guest reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Request {
    /// The request line, without its CR LF.
    pub(in crate::guest) line: Vec<u8>,
    /// The facts and header fields that the guest reads.
    pub(in crate::guest) fields: Vec<Field>,
}

/// What is known of a request besides its head.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The scheme that the client uses.
    pub scheme: Scheme,
    /// The version of HTTP.
    pub version: Version,
    /// What TLS tells of the connection, if it has TLS.
    pub tls: Option<&'a Tls>,
    /// The time, and how clients fall into buckets.
    pub ambient: &'a Ambient,
    /// The number of the site, for its turns, if it is one of several: no guest is told.
    pub site: Option<u32>,
}

impl Facts<'static> {
    /// Those of a request by HTTP/1.1 on a plain connection, at the time of a case.
    pub const fn plain(client: IpAddr) -> Facts<'static> {
        let (scheme, version) = (Scheme::Http, Version::Http11);
        Facts { client, scheme, version, tls: None, ambient: &UNSTATED, site: None }
    }
}

impl<'a> Facts<'a> {
    /// The value of a fact, as `wit/policy.wit` has it; `None` if this request does not have it.
    pub(super) fn value(&self, fact: Fact) -> Option<Cow<'a, str>> {
        let client = || self.tls?.client.as_ref();
        Some(match fact {
            Fact::ClientAddress => self.client.to_string().into(),
            Fact::Scheme => self.scheme.name().into(),
            Fact::Protocol => self.version.alpn_name().into(),
            Fact::TlsVersion => self.tls?.version.name().into(),
            Fact::TlsServerName => self.tls?.server_name.as_deref()?.into(),
            Fact::ClientCertificate => (&*client()?.sha256).into(),
            Fact::ClientName => client()?.name.as_deref()?.into(),
            Fact::Time(grain_s) => self.ambient.time_s(grain_s).to_string().into(),
            Fact::ClientBucket(buckets) => {
                self.ambient.bucket(self.client, buckets).to_string().into()
            }
        })
    }
}

/// The facts of a request that is made up.
#[derive(Clone, Debug)]
pub struct StatedFacts {
    /// The client's address.
    pub client: IpAddr,
    /// The scheme that the client uses.
    pub scheme: Scheme,
    /// The version of HTTP.
    pub version: Version,
    /// What TLS tells of the connection, if it has TLS.
    pub tls: Option<Tls>,
    /// The time, and the buckets of the client.
    pub ambient: Ambient,
}

impl StatedFacts {
    /// Those of a request by HTTP/1.1 on a plain connection, at the time of a case.
    pub const fn plain(client: IpAddr) -> StatedFacts {
        let (scheme, version) = (Scheme::Http, Version::Http11);
        StatedFacts { client, scheme, version, tls: None, ambient: Ambient::unstated() }
    }

    /// As they are lent to a guest.
    pub fn lend(&self) -> Facts<'_> {
        let &StatedFacts { client, scheme, version, ref tls, ref ambient } = self;
        Facts { client, scheme, version, tls: tls.as_ref(), ambient, site: None }
    }
}

impl From<&innkeeper_cases::Facts> for StatedFacts {
    fn from(facts: &innkeeper_cases::Facts) -> StatedFacts {
        let text = |fact| facts.value(fact).map(|value| value.into_owned().into_boxed_str());
        let tls = facts.is_tls().then(|| Tls {
            version: named(
                TlsVersion::ALL,
                TlsVersion::name,
                facts.value(Fact::TlsVersion).as_deref(),
            )
            .unwrap_or(TlsVersion::Tls13),
            server_name: text(Fact::TlsServerName),
            client: text(Fact::ClientCertificate)
                .map(|sha256| ClientCertificate { sha256, name: text(Fact::ClientName) }),
        });
        StatedFacts {
            client: facts.client(),
            scheme: named(Scheme::ALL, Scheme::name, facts.value(Fact::Scheme).as_deref())
                .unwrap_or_default(),
            version: named(
                Version::ALL,
                Version::alpn_name,
                facts.value(Fact::Protocol).as_deref(),
            )
            .unwrap_or_default(),
            tls,
            ambient: Ambient::stated(facts),
        }
    }
}

/// The one of `all` that has this name.
fn named<T: Copy, const N: usize>(
    all: [T; N],
    name_of: impl Fn(T) -> &'static str,
    name: Option<&str>,
) -> Option<T> {
    all.into_iter().find(|&one| Some(name_of(one)) == name)
}

#[cfg(test)]
mod tests {
    use innkeeper_cases::Fact;

    use super::StatedFacts;

    /// What a case states is what a guest gets.
    #[test]
    fn stated_facts_have_the_values_that_are_stated() {
        let hex = "0123456789abcdef".repeat(4);
        let mut stated = innkeeper_cases::Facts::default();
        let check = |stated: &innkeeper_cases::Facts| {
            let facts = StatedFacts::from(stated);
            let numbered = [":time/1", ":time/60", ":client-bucket/2", ":client-bucket/1000"];
            let numbered = numbered.map(|name| Fact::from_name(name).expect("a fact"));
            for fact in Fact::PLAIN.into_iter().chain(numbered) {
                assert_eq!(facts.lend().value(fact), stated.value(fact), "{fact:?}");
            }
        };
        check(&stated);
        for (fact, value) in [
            (Fact::ClientAddress, "2001:db8::1"),
            (Fact::TlsServerName, "a.example"),
            (Fact::ClientName, "alice"),
            (Fact::ClientCertificate, hex.as_str()),
            (Fact::from_name(":time/60").expect("a fact"), "1735700040"),
            (Fact::from_name(":client-bucket/1000").expect("a fact"), "999"),
        ] {
            stated.state(fact, value).expect("a fact");
            check(&stated);
        }
        for fact in Fact::PLAIN {
            for value in fact.choices() {
                stated.state(fact, value).expect("a fact");
                check(&stated);
            }
        }
    }
}
