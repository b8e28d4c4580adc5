//! What a proxy sends before the first request of a connection: the PROXY header, which names
//! the client (PROXY protocol, versions 1 and 2).

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::time::Instant;

use super::stream::{Read, Stream};
use crate::http::Scheme;
use crate::text::Bytes;
use crate::throttle::Throttle;

/// As many as there are connections, of a proxy that is not set up to send it.
static MISSING: Throttle = Throttle::new();

/// Bytes of a PROXY header of version 1, with its line end (PROXY protocol, section 2.1).
const LINE_BYTES: usize = 107;

/// Bytes of one of version 2. The addresses take up to 232; proxies add names and
/// certificates' subjects.
const HEADER_BYTES: usize = 4096;

/// What one of version 1 begins with.
const LINE_START: &[u8] = b"PROXY ";

/// And one of version 2; its version, its family and the number of bytes that follow come next.
const HEADER_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The client of a connection, as the proxy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proxied {
    /// Its address.
    pub(crate) address: IpAddr,
    /// `https` if the proxy tells that TLS secures its connection (PP2_TYPE_SSL, section 2.2.5).
    /// Version 1 cannot tell it.
    pub(crate) scheme: Scheme,
}

/// What a connection of a proxy that sends the PROXY protocol begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// A header of this many bytes, with this client.
    Client { client: Proxied, bytes: usize },
    /// A header of this many bytes, without a client: the proxy itself wants to know whether the
    /// server is well, or cannot tell.
    Local { bytes: usize },
    /// The beginning of a header.
    Incomplete,
    /// No header.
    Malformed,
}

/// Reads the header of a connection from the proxy `peer`, and gives the client. What has arrived
/// behind the header is left in `received`. `None` if the proxy sends none in time.
pub(crate) async fn read(
    stream: &mut Stream<'_>,
    received: &mut Vec<u8>,
    peer: IpAddr,
    deadline: Instant,
) -> Option<Proxied> {
    loop {
        let (client, bytes) = match parse(received) {
            Header::Client { client, bytes } => (client, bytes),
            Header::Local { bytes } => (Proxied { address: peer, scheme: Scheme::Http }, bytes),
            Header::Incomplete => match stream.read(received, deadline).await {
                Read::Data => continue,
                // Some look whether the server is there, and send nothing.
                Read::Eof
                | Read::Truncated
                | Read::TimedOut
                | Read::Disconnected
                | Read::Stalled => {
                    return None;
                }
            },
            Header::Malformed => {
                MISSING.log(|suppressed| {
                    let received = Bytes(&received[..received.len().min(64)]);
                    tracing::warn!(
                        proxy = %peer, %received, suppressed,
                        "PROXY header is missing, connection closed"
                    );
                });
                return None;
            }
        };
        received.drain(..bytes);
        return Some(client);
    }
}

/// Reads the PROXY header, of version 1 or 2, that a connection begins with.
fn parse(received: &[u8]) -> Header {
    match ProxyHeader::parse(received, ParseConfig::default()) {
        Ok((header, bytes)) => match header.proxied_address() {
            Some(proxied) => {
                let is_secured = header.ssl().is_some_and(|tls| tls.client_ssl());
                let scheme = if is_secured { Scheme::Https } else { Scheme::Http };
                let address = proxied.source.ip().to_canonical();
                Header::Client { client: Proxied { address, scheme }, bytes }
            }
            None => Header::Local { bytes },
        },
        Err(Error::BufferTooShort) if may_go_on(received) => Header::Incomplete,
        Err(_) => Header::Malformed,
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
    use super::{Header, Proxied, Scheme, parse};

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
        // One tells of TLS and its version, the other that there is no TLS.
        let tls =
            [&v2[..14], b"\0\x30", &v2[16..52], b"\x20\0\x09\x01\0\0\0\0\x21\0\x01x"].concat();
        let no_tls = [&v2[..14], b"\0\x2c", &v2[16..52], b"\x20\0\x05\0\0\0\0\0"].concat();
        for (bytes, client, scheme, length) in [
            (&v1[..], "192.0.2.1", Scheme::Http, 40),
            (&v2, "2001:db8::1", Scheme::Http, 52),
            (&tls, "2001:db8::1", Scheme::Https, 64),
            (&no_tls, "2001:db8::1", Scheme::Http, 60),
        ] {
            let client = Proxied { address: address(client), scheme };
            assert_eq!(parse(bytes), Header::Client { client, bytes: length });
            for cut in 0..length {
                assert_eq!(parse(&bytes[..cut]), Header::Incomplete, "{cut}");
            }
        }
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert_eq!(parse(local), Header::Local { bytes: 16 });
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Header::Local { bytes: 15 });
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
            assert_eq!(parse(bytes), Header::Malformed, "{}", bytes.escape_ascii());
        }
    }
}
