//! Who is in a list of access rules: clients by network, and pages by host.

use crate::network::{Network, RankedNetworks};
use crate::origin::HostPattern;
use crate::rules::ask::Ask;
use crate::rules::index::Index;

/// What several rules are about, each with its number.
pub(super) trait Members {
    type Member;

    /// Adds one of a rule. Rules are added in their order.
    fn add(&mut self, member: Self::Member, rule: u32);

    /// Whether there is none.
    fn is_empty(&self) -> bool;

    /// The first rule that is about this request.
    fn first_with(&self, ask: &Ask<'_>) -> Option<u32>;
}

/// Clients, by their networks.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    /// The first rule about all of them.
    all: Option<u32>,
    networks: RankedNetworks,
}

impl Clients {
    /// Whether the client's address is read.
    pub(super) fn has_networks(&self) -> bool {
        !self.networks.is_empty()
    }

    /// Makes networks ready that were added.
    pub(super) fn sort(&mut self) {
        self.networks.sort();
    }
}

impl Members for Clients {
    /// `None` for all.
    type Member = Option<Network>;

    fn add(&mut self, member: Option<Network>, rule: u32) {
        match member {
            Some(network) => self.networks.push(network, rule),
            None => _ = self.all.get_or_insert(rule),
        }
    }

    fn is_empty(&self) -> bool {
        self.all.is_none() && self.networks.is_empty()
    }

    fn first_with(&self, ask: &Ask<'_>) -> Option<u32> {
        first(self.all, ask.client().and_then(|client| self.networks.first_with(client)))
    }
}

/// One entry of a rule about referers.
#[derive(Debug)]
pub(super) enum Referer {
    /// No field.
    None,
    /// Any host, and what names none.
    Any,
    Host(HostPattern),
}

/// Pages that led here, by their hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Referers {
    none: Option<u32>,
    any: Option<u32>,
    /// Names, in lower case: those of hosts, and those of all hosts beneath one.
    hosts: Index,
}

const HOST: u32 = 0;
const BENEATH: u32 = 1;

impl Members for Referers {
    type Member = Referer;

    fn add(&mut self, member: Referer, rule: u32) {
        match member {
            Referer::None => _ = self.none.get_or_insert(rule),
            Referer::Any => _ = self.any.get_or_insert(rule),
            Referer::Host(pattern) => {
                let scope = if pattern.is_beneath() { BENEATH } else { HOST };
                if self.hosts.get(scope, pattern.name()).is_none() {
                    self.hosts.insert(scope, pattern.name(), rule);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.none.is_none() && self.any.is_none() && self.hosts.is_empty()
    }

    fn first_with(&self, ask: &Ask<'_>) -> Option<u32> {
        let given = ask.request.values("referer").next();
        let none = self.none.filter(|_| given.is_none_or(<[u8]>::is_empty));
        let by_host = ask.referring_host().and_then(|host| self.first_with_host(host));
        first(first(none, self.any), by_host)
    }
}

impl Referers {
    fn first_with_host(&self, host: &str) -> Option<u32> {
        let beneath = host.match_indices('.').filter_map(|(dot, _)| {
            host.get(dot + 1..).and_then(|name| self.hosts.get(BENEATH, name))
        });
        self.hosts.get(HOST, host).into_iter().chain(beneath).min()
    }
}

/// The first of two rules that may be there.
fn first(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}
