//! What connections are secured with: one configuration for all workers, replaced in one step.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};

use super::certificates::{ClientAuth, Store};

/// The name of HTTP/2 in ALPN (RFC 9113, section 3.2).
pub(crate) const H2: &[u8] = b"h2";

/// That of HTTP/1.1 (RFC 7301, section 6).
const HTTP11: &[u8] = b"http/1.1";

/// The configuration of all workers and listeners.
pub struct Config {
    store: Arc<Store>,
    protocols: Vec<Vec<u8>>,
    current: ArcSwap<Current>,
}

/// One that is used until other clients are accepted.
struct Current {
    /// Which certificates of clients are accepted.
    client_auth: u64,
    rustls: Arc<rustls::ServerConfig>,
}

impl Config {
    /// With these certificates. HTTP/2 is offered if it is spoken.
    pub fn new(store: Arc<Store>, http2: bool) -> Result<Config, rustls::Error> {
        let protocols = if http2 { &[H2, HTTP11][..] } else { &[HTTP11] };
        let protocols: Vec<_> = protocols.iter().map(|name| name.to_vec()).collect();
        let current = ArcSwap::from_pointee(build(&store, &store.client_auth(), &protocols)?);
        Ok(Config { store, protocols, current })
    }

    /// The certificates.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The configuration of a new connection. When the authorities of clients are others than
    /// before it is made again, with new keys of tickets: no session is resumed in which the
    /// client was verified by the ones before, or not at all.
    /// With it comes the number of the rule for client certificates.
    pub(crate) fn current(&self) -> Result<(Arc<rustls::ServerConfig>, u64), rustls::Error> {
        let current = self.current.load();
        if current.client_auth == self.store.client_auth_id() {
            return Ok((Arc::clone(&current.rustls), current.client_auth));
        }
        let client_auth = self.store.client_auth();
        // Two workers may do so at a time: the tickets of one of them are of no use then.
        let new = Arc::new(build(&self.store, &client_auth, &self.protocols)?);
        self.current.store(Arc::clone(&new));
        Ok((Arc::clone(&new.rustls), new.client_auth))
    }
}

fn build(
    store: &Arc<Store>,
    client_auth: &ClientAuth,
    protocols: &[Vec<u8>],
) -> Result<Current, rustls::Error> {
    // The post-quantum key exchange first (the feature `prefer-post-quantum`); suites as rustls
    // has them, which are those of Mozilla's intermediate recommendation.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match &client_auth.verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(store) as _);
    config.alpn_protocols = protocols.to_vec();
    // Scanners (testssl.sh) call it a fault where the client chooses among the suites.
    config.ignore_client_order = true;
    // Keys for six hours, tickets for twelve.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    // One for each connection, which then brings the next: a second would cost 3 % of a handshake,
    // and most clients that open several connections at once get one on each.
    config.send_tls13_tickets = 1;
    // Tickets alone: sessions that are kept here would be behind a lock of all workers.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // What a client sends before its handshake is complete could be sent again by another
    // (RFC 8446, section 8). It is the default, too.
    config.max_early_data_size = 0;
    Ok(Current { client_auth: client_auth.id, rustls: Arc::new(config) })
}
