//! Whom a proxy asks for. Only proxies that the operator named are believed: anybody
//! can write an address into a request.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use proxy_header::{Error, ParseConfig, ProxyHeader};

/// Bytes of a PROXY header of version 1, with its line end (PROXY protocol, section 2.1).
const LINE_BYTES: usize = 107;

/// Bytes of one of version 2. The addresses take up to 232; proxies add names and
/// certificates' subjects.
const HEADER_BYTES: usize = 4096;

/// What one of version 1 begins with.
const LINE_START: &[u8] = b"PROXY ";

/// And one of version 2; its version, its family and the number of bytes that follow come next.
const HEADER_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Those that tell in `X-Forwarded-For` for whom they ask.
    pub trusted: Vec<IpNet>,
    /// Those that begin each connection with a PROXY header.
    pub proxy_protocol: Vec<IpNet>,
}

/// What a connection of a proxy that sends the PROXY protocol begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// A header of so many bytes, for this client.
    Client { address: IpAddr, bytes: usize },
    /// A header of so many bytes, for nobody: the proxy itself wants to know whether the
    /// server is well, or cannot tell.
    Nobody { bytes: usize },
    /// The beginning of a header.
    Incomplete,
    /// No header.
    Malformed,
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

    /// For whom a request is made: it came from `peer`, and these are the values of its
    /// `X-Forwarded-For` fields in their order, to each of which a proxy appended who asked
    /// it. The last address that is no proxy of ours; what stands before it, anybody may
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

/// Reads the PROXY header, of version 1 or 2, that a connection begins with.
pub(crate) fn announced(received: &[u8]) -> Announced {
    match ProxyHeader::parse(received, ParseConfig::default()) {
        Ok((header, bytes)) => match header.proxied_address() {
            Some(proxied) => {
                Announced::Client { address: proxied.source.ip().to_canonical(), bytes }
            }
            None => Announced::Nobody { bytes },
        },
        Err(Error::BufferTooShort) if may_go_on(received) => Announced::Incomplete,
        Err(_) => Announced::Malformed,
    }
}

/// Whether what has no end yet may still become a header.
fn may_go_on(received: &[u8]) -> bool {
    let begins_as = |start: &[u8]| received.iter().zip(start).all(|(byte, of)| byte == of);
    match received.first() {
        // One line, which has an end.
        Some(b'P') => {
            begins_as(LINE_START) && received.len() < LINE_BYTES && !received.contains(&b'\n')
        }
        _ => {
            let length = match received.get(HEADER_START.len() + 2..) {
                Some(&[high, low, ..]) => usize::from(u16::from_be_bytes([high, low])),
                _ => HEADER_BYTES,
            };
            // What has all of the bytes that it tells of has too few for its addresses.
            let bytes = HEADER_BYTES.min(HEADER_START.len() + 4 + length);
            begins_as(HEADER_START) && received.len() < bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Announced, Proxies, announced};

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
            // Anybody may have written what stands before.
            (&["127.0.0.1, 192.0.2.1"], "192.0.2.1"),
            (&["127.0.0.1", "192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            // Nobody but proxies: the first of them.
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

    #[test]
    fn headers_of_both_versions_are_read() {
        let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET /";
        let v2 = [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"[..],
            &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 20],
            b"GET /",
        ]
        .concat();
        let address = |text: &str| text.parse().expect("an address");
        for (bytes, client, length) in
            [(&v1[..], address("192.0.2.1"), 40), (&v2, address("2001:db8::1"), 52)]
        {
            assert_eq!(announced(bytes), Announced::Client { address: client, bytes: length });
            for cut in 0..length {
                assert_eq!(announced(&bytes[..cut]), Announced::Incomplete, "{cut}");
            }
        }
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert_eq!(announced(local), Announced::Nobody { bytes: 16 });
        assert_eq!(announced(b"PROXY UNKNOWN\r\n"), Announced::Nobody { bytes: 15 });
    }

    #[test]
    fn what_is_no_header_is_malformed() {
        let longer = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 5000]].concat();
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 a b 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 80\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0",
            // At once, and not when nothing more has come for ten seconds.
            b"PROXX",
            b"PX",
            b"\r\n\r\nX",
            b"\r\n\r\n\0\r\nQUIX",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0",
            &longer,
            &[b'P'; 5000],
        ] {
            assert_eq!(announced(bytes), Announced::Malformed, "{}", bytes.escape_ascii());
        }
    }
}
