//! What comes before a connection's first request: for whom it is, where a proxy tells,
//! and whether that client may have another.

use std::net::IpAddr;

use tokio::time::Instant;

use super::connection::Service;
use super::stream::{Arrival, Stream};
use crate::clients::allowance::Admission;
use crate::clients::proxies::{Announced, announced};

/// Finds out for whom a connection from `peer` is. What has arrived behind that is left in
/// `received`. `None` if a proxy does not tell what it has to.
pub(super) async fn client(
    stream: &mut Stream<'_>,
    received: &mut Vec<u8>,
    peer: IpAddr,
    service: &Service,
) -> Option<IpAddr> {
    if !service.clients.proxies.announces(peer) {
        return Some(peer);
    }
    let deadline = Instant::now() + service.limits.head;
    loop {
        let (client, bytes) = match announced(received) {
            Announced::Client { address, bytes } => (address, bytes),
            Announced::Nobody { bytes } => (peer, bytes),
            Announced::Incomplete => match stream.read(received, deadline).await {
                Arrival::Bytes => continue,
                // Some look whether the server is there, and say nothing.
                Arrival::End | Arrival::Late | Arrival::Gone | Arrival::Stalled => return None,
            },
            Announced::Malformed => {
                let begin = &received[..received.len().min(64)];
                tracing::warn!(
                    "a connection of the proxy {peer} begins with no PROXY header but with {}; it \
                     is closed",
                    begin.escape_ascii()
                );
                return None;
            }
        };
        received.drain(..bytes);
        return Some(client);
    }
}

/// Whether a connection for this client is served, or at least answered; `None` if not.
pub(super) fn admit(client: IpAddr, service: &Service) -> Option<Admission<'_>> {
    // A proxy has as many as it has clients.
    if service.clients.proxies.forwards(client) {
        return Some(Admission::Served(None));
    }
    match service.clients.allowance.admit(client) {
        Admission::Dropped => {
            tracing::debug!(%client, "too many connections; this one is closed without a word");
            None
        }
        admission => Some(admission),
    }
}
