//! Many networks in an order of their own, of which the first that has an address is found by a search.

use std::net::IpAddr;

use super::{Address, Network};

/// Networks, each with a rank. Those of one address lie in one another, so that a search ends at the
/// smallest of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RankedNetworks {
    /// By first address, larger ones before those that they have.
    networks: Vec<Ranked>,
}

#[derive(Clone, Debug)]
struct Ranked {
    network: Network,
    /// The least of this network and of those around it.
    rank: u32,
    /// The smallest network around it.
    around: Option<u32>,
}

impl RankedNetworks {
    /// Adds a network. It is found once they are sorted.
    pub(crate) fn push(&mut self, network: Network, rank: u32) {
        self.networks.push(Ranked { network, rank, around: None });
    }

    /// Makes the networks ready to be searched.
    pub(crate) fn sort(&mut self) {
        self.networks.sort_unstable_by(|one, other| {
            let by_size = other.network.last.cmp(&one.network.last);
            one.network
                .first
                .cmp(&other.network.first)
                .then(by_size)
                .then(one.rank.cmp(&other.rank))
        });
        self.networks.dedup_by_key(|ranked| ranked.network);
        let mut around: Vec<(u32, Ranked)> = Vec::new();
        for (at, ranked) in (0..).zip(&mut self.networks) {
            let is_around = |(_, other): &(u32, Ranked)| ranked.network.last <= other.network.last;
            while around.last().is_some_and(|last| !is_around(last)) {
                around.pop();
            }
            if let Some((at, other)) = around.last() {
                (ranked.around, ranked.rank) = (Some(*at), ranked.rank.min(other.rank));
            }
            around.push((at, ranked.clone()));
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// The least rank of a network that has this address.
    pub(crate) fn first_with(&self, address: IpAddr) -> Option<u32> {
        let wanted = Address::from(address);
        let before = self.networks.partition_point(|ranked| ranked.network.first <= wanted);
        let mut at = before.checked_sub(1)?;
        loop {
            let ranked = self.networks.get(at)?;
            if wanted <= ranked.network.last {
                return Some(ranked.rank);
            }
            at = ranked.around? as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RankedNetworks;
    use crate::network::Network;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// A network of few addresses, so that many overlap.
    fn network() -> impl Strategy<Value = Network> {
        (any::<bool>(), 0..16_u32, 0..=4_u32).prop_map(|(is_v4, bits, length)| {
            let first = bits & !(15 >> length);
            let text = match is_v4 {
                true => format!("{}/{length}", Ipv4Addr::from_bits(first << 28)),
                false => format!("{}/{length}", Ipv6Addr::from_bits(u128::from(first) << 124)),
            };
            Network::parse(&text).expect("a network")
        })
    }

    proptest! {
        #[test]
        fn first_network_is_that_of_a_look_at_each(
            networks in prop::collection::vec((network(), 0..9_u32), 0..20),
        ) {
            let mut ranked = RankedNetworks::default();
            networks.iter().for_each(|&(network, rank)| ranked.push(network, rank));
            ranked.sort();
            for bits in 0..16 {
                for address in [
                    IpAddr::V4(Ipv4Addr::from_bits(bits << 28 | 7)),
                    IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << 124 | 7)),
                ] {
                    let with = networks.iter().filter(|(network, _)| network.contains(address));
                    let expected = with.map(|&(_, rank)| rank).min();
                    prop_assert_eq!(ranked.first_with(address), expected, "{}", address);
                }
            }
        }
    }
}
