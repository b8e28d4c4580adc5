//! The other end of a connection, and the network that its address belongs to.

use std::net::{IpAddr, Ipv6Addr};

use super::Scheme;

/// The address of a client that has none, as it is at the other end of a Unix socket and no proxy
/// names it: the unspecified address, which no client can have (RFC 4291, section 2.5.2).
pub const UNIX_CLIENT: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The client of a request, and the worker that serves it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address, or [`UNIX_CLIENT`].
    pub address: IpAddr,
    /// The number of the worker, from 0.
    pub worker: usize,
    /// The scheme that a proxy tells before the first request; `http` without one.
    pub scheme: Scheme,
}

impl Peer {
    /// A client without a proxy.
    pub const fn new(address: IpAddr, worker: usize) -> Peer {
        Peer { address, worker, scheme: Scheme::Http }
    }
}

/// An address of IPv4, or the network of an IPv6 address: its 2^64 addresses are given out
/// together (RFC 6177, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet(IpAddr);

impl Subnet {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Subnet {
        Subnet(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// The address of IPv4, or the first one of the network.
    pub fn address(self) -> IpAddr {
        self.0
    }
}
