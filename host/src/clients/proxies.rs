//! The client that a proxy names. Only proxies that the operator named are trusted: any client
//! can write an address into a request.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Those that name the client in `X-Forwarded-For`.
    pub trusted: Vec<IpNet>,
    /// Those that begin each connection with a PROXY header.
    pub proxy_protocol: Vec<IpNet>,
}

impl Proxies {
    /// Whether connections from there begin with a PROXY header. They must then, and no
    /// others may: what might be either is not guessed at (PROXY protocol, section 2).
    pub fn announces(&self, peer: IpAddr) -> bool {
        contain(&self.proxy_protocol, peer)
    }

    /// Whether requests from there are made for others.
    pub fn forwards(&self, peer: IpAddr) -> bool {
        contain(&self.trusted, peer)
    }

    /// The client of a request: it came from `peer`, and these are the values of its
    /// `X-Forwarded-For` fields in their order, to each of which a proxy appended who asked
    /// it. The last address that is no proxy of ours; what stands before it, any client may
    /// have written.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl Iterator<Item = &'a [u8]>,
    ) -> IpAddr {
        if !self.forwards(peer) {
            return peer;
        }
        let hops: Vec<_> =
            forwarded_for.flat_map(|value| value.split(|&byte| byte == b',')).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.forwards(client) {
                break;
            }
        }
        client
    }
}

fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Reads an address, with or without a port: some proxies add it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::Proxies;

    fn client(forwarded_for: &[&str]) -> String {
        let networks =
            |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect();
        let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
        let proxies = Proxies { trusted, ..Proxies::default() };
        let peer = "10.0.0.1".parse().expect("an address");
        proxies.client(peer, forwarded_for.iter().map(|value| value.as_bytes())).to_string()
    }

    #[test]
    fn the_last_that_is_no_proxy_is_the_client() {
        for (forwarded_for, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1", "fd00::1, 10.0.0.2"], "192.0.2.1"),
            // Any client may have written what stands before.
            (&["127.0.0.1, 192.0.2.1"], "192.0.2.1"),
            (&["127.0.0.1", "192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            // Only proxies: the first of them.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            // What is no address ends what can be told.
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&[""], "10.0.0.1"),
            (&["192.0.2.1,"], "10.0.0.1"),
        ] {
            assert_eq!(client(forwarded_for), expected, "{forwarded_for:?}");
        }
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let peer = "192.0.2.7".parse().expect("an address");
        let told = [&b"127.0.0.1"[..]];
        assert_eq!(Proxies::default().client(peer, told.into_iter()), peer);
    }
}
