//! Whether a request came by a connection that is for its host (RFC 9110, section 15.5.20).
//!
//! A browser sends requests for several hosts by one connection where a certificate has the
//! names of all of them (RFC 9113, section 9.1.1). That is right as long as a connection of its
//! own would have the same certificate. A client that named no server, or asks for an address, may
//! ask for any host: it is a probe or a balancer.
//!
//! A connection whose client was judged by other authorities than those of now is for no request
//! at all, whatever the client named. It ends, so that the client makes a new one.

use std::sync::Arc;

use super::certificates::Store;
use crate::http::host::{is_address, without_port};
use crate::http::{Request, Tls};

/// What a client is told that sends a request by the wrong connection.
pub const MISDIRECTED: &str = "this connection is not for the host of the request";

/// Why a request is sent by the wrong connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdirection {
    /// Its host is another's. The connection is fit for requests to its own.
    Host,
    /// The authorities of clients are others now. The connection is fit for no request: it ends.
    Authorities,
}

/// The hosts that one connection is for.
pub struct Hosts {
    certificates: Arc<Store>,
    /// The rule for client certificates that the handshake went by.
    client_auth: u64,
}

impl Hosts {
    /// Those of a connection whose handshake went by these certificates, and by the rule for
    /// client certificates with this number.
    pub fn new(certificates: Arc<Store>, client_auth: u64) -> Hosts {
        Hosts { certificates, client_auth }
    }

    /// Why a request is to be sent by another connection, if it is: it gets 421.
    pub fn misdirection(&self, request: &Request<'_>) -> Option<Misdirection> {
        let tls = request.tls?;
        // The certificate of the client was judged by a rule that no longer holds.
        if self.certificates.client_auth_id() != self.client_auth {
            return Some(Misdirection::Authorities);
        }
        self.is_other(tls, request.host()).then_some(Misdirection::Host)
    }

    fn is_other(&self, tls: &Tls, authority: Option<&str>) -> bool {
        let (Some(named), Some(authority)) = (tls.server_name.as_deref(), authority) else {
            return false;
        };
        let host = without_port(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.eq_ignore_ascii_case(named) || is_address(host) {
            return false;
        }
        !self.certificates.have_one_certificate(host, named)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;
    use std::sync::Arc;

    use super::{Hosts, Misdirection};
    use crate::http::{Method, Peer, Request, Scheme, Tls, TlsVersion, Version};
    use crate::tls::certificates::{Options, PairFiles, Store, UnknownName};

    /// A certificate for these names, and its key, in one file.
    fn pair(directory: &Path, names: &[&str]) -> PairFiles {
        let made = rcgen::generate_simple_self_signed(
            names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(),
        );
        let made = made.expect("a certificate");
        let certificate = directory.join(format!("{}.pem", names[0]));
        fs::write(&certificate, made.cert.pem() + &made.signing_key.serialize_pem())
            .expect("written");
        PairFiles { certificate, key: None }
    }

    /// Whether each of these hosts is another's, for a connection that asked for this name.
    fn others(unknown_name: UnknownName, named: Option<&str>, hosts: &[&str]) -> Vec<bool> {
        let directory = tempfile::tempdir().expect("a directory");
        let pairs = vec![
            pair(directory.path(), &["default.test"]),
            pair(directory.path(), &["a.test", "b.test", "*.c.test"]),
        ];
        let options = Options { pairs, unknown_name, ..Options::default() };
        let store = Arc::new(Store::load(options).expect("certificates"));
        let client_auth = store.client_auth().id;
        let connection = Hosts::new(store, client_auth);
        let other = Some(Misdirection::Host);
        hosts.iter().map(|host| misdirection(&connection, named, host) == other).collect()
    }

    fn misdirection(connection: &Hosts, named: Option<&str>, host: &str) -> Option<Misdirection> {
        let server_name = named.map(Into::into);
        connection.misdirection(&Request {
            line: b"GET / HTTP/1.1",
            method: Method::Get,
            scheme: Scheme::Https,
            authority: Some(host),
            target: "/",
            version: Version::Http2,
            fields: Vec::new(),
            peer: Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: Some(&Tls { version: TlsVersion::Tls13, server_name, client: None }),
        })
    }

    #[test]
    fn hosts_of_one_certificate_share_connections() {
        let hosts = ["a.test", "A.test.:443", "b.test", "x.c.test:8443", "127.0.0.1", "[::1]:443"];
        assert_eq!(others(UnknownName::Default, Some("a.test"), &hosts), [false; 6]);
    }

    #[test]
    fn host_of_another_certificate_is_misdirected() {
        let hosts = ["default.test", "unknown.test", "x.y.c.test"];
        for unknown_name in [UnknownName::Default, UnknownName::Refuse] {
            assert_eq!(others(unknown_name, Some("a.test"), &hosts), [true; 3]);
        }
        assert_eq!(others(UnknownName::Default, Some("unknown.test"), &["default.test"]), [false]);
    }

    #[test]
    fn request_of_a_client_that_named_no_server_is_not_misdirected() {
        assert_eq!(others(UnknownName::Default, None, &["a.test", "default.test"]), [false; 2]);
    }

    #[test]
    fn connection_judged_by_old_client_authorities_is_for_no_request() {
        let directory = tempfile::tempdir().expect("a directory");
        let pairs = vec![pair(directory.path(), &["a.test"])];
        let store = Store::load(Options { pairs, ..Options::default() }).expect("certificates");
        let old = store.client_auth().id.wrapping_sub(1);
        let connection = Hosts::new(Arc::new(store), old);
        for named in [None, Some("a.test")] {
            let found = misdirection(&connection, named, "a.test");
            assert_eq!(found, Some(Misdirection::Authorities));
        }
    }
}
