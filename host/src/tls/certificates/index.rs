//! Finds the certificates for a name: one that has exactly this name, else one with a wildcard for
//! its first label.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::name::{Host, Name};
use super::pair::Pair;

/// Which pairs have a name, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Box<str>, Vec<usize>>,
    wildcards: HashMap<Box<str>, Vec<usize>>,
    addresses: HashMap<IpAddr, Vec<usize>>,
}

impl Index {
    pub(super) fn of(slots: &[Option<Arc<Pair>>]) -> Index {
        let mut index = Index::default();
        let pairs = slots.iter().enumerate();
        for (number, pair) in pairs.filter_map(|(number, slot)| Some((number, slot.as_ref()?))) {
            for name in &pair.leaf.names {
                let numbers = match name {
                    Name::Exact(name) => index.exact.entry(name.clone()).or_default(),
                    Name::Wildcard(rest) => index.wildcards.entry(rest.clone()).or_default(),
                    Name::Address(address) => index.addresses.entry(*address).or_default(),
                };
                // A certificate may have a name twice.
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
        }
        index
    }

    /// The pairs that have this name.
    pub(super) fn of_name(&self, name: &Name) -> &[usize] {
        let found = match name {
            Name::Exact(name) => self.exact.get(name),
            Name::Wildcard(rest) => self.wildcards.get(rest),
            Name::Address(address) => self.addresses.get(address),
        };
        found.map_or(&[], Vec::as_slice)
    }

    /// The pairs for this host, in the order of the settings: several if their keys are of
    /// several kinds. None is for others.
    pub(super) fn find(&self, host: &str) -> &[usize] {
        let found = match Host::new(host) {
            Host::Address(address) => self.addresses.get(&address),
            Host::Dns(name) => self.exact.get(&*name).or_else(|| {
                let (label, rest) = name.split_once('.')?;
                self.wildcards.get(rest).filter(|_| !label.is_empty())
            }),
        };
        found.map_or(&[], Vec::as_slice)
    }
}
