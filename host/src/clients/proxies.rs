//! The client that a proxy names. Only proxies that the operator named are trusted: any client
//! can write an address into a request.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::http::Scheme;

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
    /// `X-Forwarded-For` and `X-Forwarded-Proto` fields in their order, to each of which a proxy
    /// appended what it knows of its client.
    ///
    /// The address is the last one that is no proxy of ours; what stands before it, any client may
    /// have written. The scheme is the one that the proxy of that client tells. The proxies behind
    /// it may each have appended one more, or passed it on as it was: then what stands before it is
    /// the client's own. So it is known only if all that may be that proxy's are the same.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl Iterator<Item = &'a [u8]>,
        forwarded_proto: impl Iterator<Item = &'a [u8]>,
    ) -> Forwarded {
        if !self.forwards(peer) {
            return Forwarded { client: peer, scheme: None };
        }
        let mut client = peer;
        let mut hops = 0_usize;
        for hop in members(forwarded_for).into_iter().rev() {
            let Some(address) = address(hop) else { break };
            client = address;
            hops += 1;
            if !self.forwards(client) {
                break;
            }
        }
        let told = members(forwarded_proto);
        // The peer's is the last one at the latest. Each further hop is one proxy more.
        let may_be = &told[told.len().saturating_sub(hops.max(1))..];
        let first = may_be.first().and_then(|name| scheme(name));
        let is_certain = may_be.iter().all(|name| scheme(name) == first);
        Forwarded { client, scheme: first.filter(|_| is_certain) }
    }
}

/// What proxies tell of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The client.
    pub client: IpAddr,
    /// The scheme that it uses, if a trusted proxy tells it and the client cannot have written it.
    pub scheme: Option<Scheme>,
}

/// The members of fields that are lists, in their order.
fn members<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    values.flat_map(|value| value.split(|&byte| byte == b',')).collect()
}

fn scheme(name: &[u8]) -> Option<Scheme> {
    let name = name.trim_ascii();
    let is = |scheme: &Scheme| name.eq_ignore_ascii_case(scheme.name().as_bytes());
    Scheme::ALL.into_iter().find(is)
}

fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Reads an address, with or without a port: some proxies add it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = hop.parse::<IpAddr>().ok().or_else(with_port)?.to_canonical();
    // No client has it.
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::{Forwarded, Proxies};

    fn client(forwarded_for: &[&'static str]) -> String {
        told(forwarded_for, &[]).client.to_string()
    }

    fn told(forwarded_for: &[&'static str], forwarded_proto: &[&'static str]) -> Forwarded {
        let networks =
            |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect();
        let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
        let proxies = Proxies { trusted, ..Proxies::default() };
        let peer = "10.0.0.1".parse().expect("an address");
        let bytes = |value: &&'static str| value.as_bytes();
        let (forwarded_for, forwarded_proto) = (forwarded_for.iter(), forwarded_proto.iter());
        proxies.client(peer, forwarded_for.map(bytes), forwarded_proto.map(bytes))
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
            (&["192.0.2.1, ::"], "10.0.0.1"),
        ] {
            assert_eq!(client(forwarded_for), expected, "{forwarded_for:?}");
        }
    }

    #[test]
    fn scheme_is_the_one_that_only_the_proxy_of_the_client_can_have_told() {
        let direct = &["192.0.2.1"][..];
        let twice = &["192.0.2.1, 10.0.0.2"][..];
        let thrice = &["192.0.2.1, 10.0.0.3, 10.0.0.2"][..];
        for (forwarded_for, forwarded_proto, expected) in [
            (direct, &["https"][..], Some("https")),
            (direct, &["HTTP"], Some("http")),
            (&[], &[" https "], Some("https")),
            (direct, &[], None),
            (direct, &["wss"], None),
            (direct, &[""], None),
            // The client may have written what stands before.
            (direct, &["https, http"], Some("http")),
            (direct, &["https", "http"], Some("http")),
            (&["10.0.0.9, 192.0.2.1"], &["https, http, http"], Some("http")),
            // The outer proxy's, where there are two, if it is known which of them that is: the
            // inner one may have passed on what the client wrote and the outer one appended to.
            (twice, &["https, https"], Some("https")),
            (twice, &["http", "http"], Some("http")),
            (twice, &["https, http"], None),
            (twice, &["http, https"], None),
            (twice, &["http, https, https"], Some("https")),
            (twice, &["https, http, http"], Some("http")),
            (twice, &["http, https, http"], None),
            // The inner one passed on what the outer one told.
            (twice, &["https"], Some("https")),
            (twice, &["https, unknown"], None),
            (twice, &["unknown, https"], None),
            (twice, &["unknown"], None),
            (twice, &[], None),
            // Three, and fewer that tell.
            (thrice, &["https, http"], None),
            (thrice, &["http, https, http"], None),
            (thrice, &["http, https, https, https"], Some("https")),
            (thrice, &["https"], Some("https")),
            // Only proxies: the first of them is the client.
            (&["10.0.0.3, 10.0.0.2"], &["http, https, https"], Some("https")),
            (&["10.0.0.3, 10.0.0.2"], &["https, http"], None),
            (&["unknown, 10.0.0.2"], &["https, http"], Some("http")),
        ] {
            let scheme = told(forwarded_for, forwarded_proto).scheme.map(|scheme| scheme.name());
            assert_eq!(scheme, expected, "{forwarded_for:?} {forwarded_proto:?}");
        }
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let peer = "192.0.2.7".parse().expect("an address");
        let told = |value: &'static [u8]| [value].into_iter();
        let client = Proxies::default().client(peer, told(b"127.0.0.1"), told(b"https"));
        assert_eq!(client, Forwarded { client: peer, scheme: None });
    }
}
