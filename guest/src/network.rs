//! Networks of addresses in the notation of CIDR (RFC 4632, section 3.1; RFC 4291, section 2.3).
//!
//! An IPv4 address that is mapped to IPv6 (RFC 4291, section 2.5.5.2) is that IPv4 address,
//! in a network and in what is looked up: `::ffff:192.0.2.1` is `192.0.2.1`. No network of
//! IPv6 contains an IPv4 address otherwise.
//!
//! ```
//! use innkeeper_guest::network::{Network, Networks};
//!
//! let inside = ["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).expect("a network"));
//! let inside: Networks = inside.into_iter().collect();
//! assert!(inside.contains("10.1.2.3".parse().expect("an address")));
//! assert!(!inside.contains("192.0.2.1".parse().expect("an address")));
//! ```

#[cfg(feature = "rules")]
mod ranked;

use std::fmt;
use std::net::IpAddr;

#[cfg(feature = "rules")]
pub(crate) use ranked::RankedNetworks;

/// All addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: Address,
    last: Address,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What stands before the `/` is no address.
    Address,
    /// What stands behind the `/` is no length: 0 to 32 for IPv4, to 128 for IPv6.
    Length,
    /// The address has bits beyond the length, as `192.0.2.1/24` has.
    HostBits,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Address => "no address; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
            Fault::Length => "no length behind the /; write 0 to 32 for IPv4 and 0 to 128 for IPv6",
            Fault::HostBits => "the address has bits that its length excludes",
        })
    }
}

impl std::error::Error for Fault {}

/// An address. All of IPv4 comes before all of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Address {
    V4(u32),
    V6(u128),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address.to_canonical() {
            IpAddr::V4(address) => Address::V4(address.to_bits()),
            IpAddr::V6(address) => Address::V6(address.to_bits()),
        }
    }
}

impl Network {
    /// The network with this text: an address, or the first address and a length.
    pub fn parse(text: &str) -> Result<Network, Fault> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| Fault::Address)?;
        let bits = if written.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(bits), |length| number(length).ok_or(Fault::Length))?;
        if length > bits {
            return Err(Fault::Length);
        }
        match (written, Address::from(written)) {
            (IpAddr::V6(_), Address::V4(bits)) if length >= 96 => v4(bits, length - 96),
            // The mapped addresses are a part of it, and not among its addresses of IPv6.
            (IpAddr::V6(address), _) => v6(address.to_bits(), length),
            (IpAddr::V4(address), _) => v4(address.to_bits(), length),
        }
    }

    /// Whether the network has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = Address::from(address);
        self.first <= address && address <= self.last
    }
}

fn v4(first: u32, length: u32) -> Result<Network, Fault> {
    let rest = u32::MAX.checked_shr(length).unwrap_or(0);
    if first & rest != 0 {
        return Err(Fault::HostBits);
    }
    Ok(Network { first: Address::V4(first), last: Address::V4(first | rest) })
}

fn v6(first: u128, length: u32) -> Result<Network, Fault> {
    let rest = u128::MAX.checked_shr(length).unwrap_or(0);
    if first & rest != 0 {
        return Err(Fault::HostBits);
    }
    Ok(Network { first: Address::V6(first), last: Address::V6(first | rest) })
}

/// A number as it is usually written: no sign, no leading zero, at most three digits.
fn number(text: &str) -> Option<u32> {
    let is_plain = matches!(text.as_bytes(), [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', ..]);
    (is_plain && text.len() <= 3).then(|| text.parse().ok()).flatten()
}

/// Many networks, in which an address is found by a binary search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// In order of addresses. No two overlap.
    ranges: Vec<Network>,
}

impl Networks {
    /// Whether one of them has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let wanted = Address::from(address);
        let before = self.ranges.partition_point(|range| range.first <= wanted);
        before
            .checked_sub(1)
            .and_then(|index| self.ranges.get(index))
            .is_some_and(|range| wanted <= range.last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Networks {
        let mut networks: Vec<Network> = networks.into_iter().collect();
        networks.sort_unstable_by_key(|network| network.first);
        let mut ranges: Vec<Network> = Vec::with_capacity(networks.len());
        for network in networks {
            match ranges.last_mut() {
                Some(range) if network.first <= range.last => {
                    range.last = range.last.max(network.last)
                }
                _ => ranges.push(network),
            }
        }
        Networks { ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Network, Networks};

    #[track_caller]
    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let network = Network::parse(network).expect("a network");
        let alone: Networks = [network].into_iter().collect();
        let contains = |address: &str| {
            let address = address.parse().expect("an address");
            assert_eq!(alone.contains(address), network.contains(address));
            network.contains(address)
        };
        inside.iter().for_each(|address| assert!(contains(address), "{address} in {network:?}"));
        outside.iter().for_each(|address| assert!(!contains(address), "{address} in {network:?}"));
    }

    #[test]
    fn examples_of_rfc_4632_have_their_addresses() {
        // Sections 3.1 and 5.2.
        check(
            "172.16.0.0/12",
            &["172.16.0.0", "172.31.255.255"],
            &["172.15.255.255", "172.32.0.0"],
        );
        check("10.24.0.0/13", &["10.24.0.0", "10.31.255.255"], &["10.23.255.255", "10.32.0.0"]);
        check("10.32.0.0/20", &["10.32.15.255"], &["10.32.16.0"]);
        check("192.168.99.0/24", &["192.168.99.7"], &["192.168.98.255", "192.168.100.0"]);
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "2001:db8::1"]);
        check("192.0.2.1", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]);
        check("192.0.2.1/32", &["192.0.2.1"], &["192.0.2.0", "192.0.2.2"]);
    }

    #[test]
    fn examples_of_rfc_4291_have_their_addresses() {
        // Section 2.3: three spellings of one prefix of 60 bits.
        for text in [
            "2001:0DB8:0000:CD30:0000:0000:0000:0000/60",
            "2001:0DB8::CD30:0:0:0:0/60",
            "2001:0DB8:0:CD30::/60",
        ] {
            check(
                text,
                &["2001:db8:0:cd30::", "2001:db8:0:cd3f:ffff:ffff:ffff:ffff"],
                &["2001:db8:0:cd40::", "2001:db8:0:cd2f::"],
            );
        }
        check("fe80::/10", &["fe80::1", "febf::"], &["fec0::"]);
        check("::1", &["::1"], &["::", "::2"]);
        check("::/0", &["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &["192.0.2.1"]);
    }

    #[test]
    fn mapped_address_is_the_ipv4_address() {
        check("192.0.2.0/24", &["::ffff:192.0.2.1"], &["::ffff:192.0.3.1", "::192.0.2.1"]);
        check("::ffff:192.0.2.0/120", &["192.0.2.1", "::ffff:192.0.2.1"], &["192.0.3.1"]);
        check("::ffff:0:0/96", &["192.0.2.1"], &["::1"]);
        check("::ffff:192.0.2.1", &["192.0.2.1"], &["192.0.2.2"]);
        check("::/64", &["::1"], &["::ffff:192.0.2.1"]);
    }

    #[test]
    fn other_text_is_no_network() {
        for (text, fault) in [
            ("", Fault::Address),
            ("/8", Fault::Address),
            ("localhost", Fault::Address),
            ("10.0.0/8", Fault::Address),
            ("010.0.0.0/8", Fault::Address),
            ("10.0.0.0.0/8", Fault::Address),
            (" 10.0.0.0/8", Fault::Address),
            ("fe80::1%eth0", Fault::Address),
            ("[::1]", Fault::Address),
            ("10.0.0.0/", Fault::Length),
            ("10.0.0.0/33", Fault::Length),
            ("10.0.0.0/-1", Fault::Length),
            ("10.0.0.0/+8", Fault::Length),
            ("10.0.0.0/08", Fault::Length),
            ("10.0.0.0/8/8", Fault::Length),
            ("10.0.0.0/255.0.0.0", Fault::Length),
            ("::/129", Fault::Length),
            ("::/4294967296", Fault::Length),
            ("192.0.2.1/24", Fault::HostBits),
            ("2001:db8::1/32", Fault::HostBits),
            ("::ffff:192.0.2.1/120", Fault::HostBits),
            ("::ffff:192.0.2.1/64", Fault::HostBits),
        ] {
            assert_eq!(Network::parse(text), Err(fault), "{text:?}");
        }
    }

    /// Against the obvious loop.
    #[test]
    fn networks_have_the_addresses_of_each() {
        let texts = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.255.255.255",
            "192.0.2.4/30",
            "192.0.2.8/29",
            "::/64",
            "2001:db8::/32",
            "::ffff:0.0.0.0/120",
        ];
        let each = texts.map(|text| Network::parse(text).expect("a network"));
        let all: Networks = each.into_iter().collect();
        for address in [
            "0.0.0.0",
            "0.0.0.255",
            "0.0.1.0",
            "9.255.255.255",
            "10.0.0.0",
            "10.1.2.3",
            "10.255.255.255",
            "11.0.0.0",
            "192.0.2.3",
            "192.0.2.4",
            "192.0.2.7",
            "192.0.2.8",
            "192.0.2.15",
            "192.0.2.16",
            "255.255.255.255",
            "::",
            "::1:0:0:0:0",
            "::ffff:ffff:ffff:ffff",
            "2001:db7:ffff::",
            "2001:db8::",
            "2001:db8:ffff::1",
            "2001:db9::",
        ] {
            let address = address.parse().expect("an address");
            let expected = each.iter().any(|network| network.contains(address));
            assert_eq!(all.contains(address), expected, "{address}");
        }
        assert!(!Networks::default().contains("::1".parse().expect("an address")));
    }
}
