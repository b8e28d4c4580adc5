//! What a line of the access log is made of: a request and its response, numbers and addresses.

use std::fmt::Arguments;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use crate::text::Client;

/// One request and its response.
pub struct Entry<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The request line, as far as it was received.
    pub request: &'a [u8],
    /// The method, of what is a request.
    pub method: Option<&'a str>,
    /// The scheme that the client uses, if it is known.
    pub scheme: Option<&'static str>,
    /// The host that the request is for, with its port if it has one.
    pub host: Option<&'a [u8]>,
    /// The site that the request is for, where there are several.
    pub site: Option<&'a str>,
    /// The host of the site in `vhost-combined`: its name, or the one that the client asked for
    /// where there is one site. `None` for a request that is for none of several.
    pub virtual_host: Option<&'a [u8]>,
    /// The path of the target, of what is a request.
    pub path: Option<&'a [u8]>,
    /// The query, if it has one.
    pub query: Option<&'a [u8]>,
    /// The request's id, if requests have one.
    pub request_id: Option<&'a str>,
    /// The version of HTTP, by its ALPN name.
    pub protocol: &'static str,
    /// The version of TLS, if the connection has TLS.
    pub tls_version: Option<&'static str>,
    /// The host name that the client asked for in its TLS handshake.
    pub server_name: Option<&'a str>,
    /// The name in the client's certificate.
    pub client_name: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// `Referer`, if there was one.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`, if there was one.
    pub user_agent: Option<&'a [u8]>,
    /// The decision that the response follows, or `host`.
    pub decision: &'static str,
    /// The digest of the guest that was asked, if one was.
    pub guest: Option<[u8; 6]>,
    /// How long the guest took to decide; `None` if the decision was cached, or there is none.
    pub compute_time: Option<Duration>,
    /// From the last byte of the request to the first of the response.
    pub first_byte: Duration,
    /// From the last byte of the request to the last of the response.
    pub total: Duration,
}

/// Numbers and addresses are written without `format!`, which took half of the time of a
/// line.
pub(super) fn put_number(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(super) fn put_micros(text: &mut Vec<u8>, time: Duration) {
    put_number(text, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

pub(super) fn put_address(text: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            put_number(text, u64::from(first));
            for octet in rest {
                text.push(b'.');
                put_number(text, u64::from(octet));
            }
        }
        // The standard library knows its rules for zeros.
        IpAddr::V6(_) => put(text, format_args!("{}", Client(address))),
    }
}

fn put(text: &mut Vec<u8>, part: Arguments) {
    text.write_fmt(part).expect("writing to memory cannot fail");
}
