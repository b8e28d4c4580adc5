//! One accepted connection: what precedes its first request, and the wire that serves it.

use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::worker::{Place, Serve};
use crate::clients::allowance::Admission;
use crate::diagnostics::context::in_connection;
use crate::guest;
use crate::http::{Peer, Scheme};
use crate::http1::Http1;
use crate::http1::connection::Connection;
use crate::http1::serve::Served;
use crate::http2::{self, Http2};
use crate::metrics::Handshake;
use crate::service::Service;
use crate::tls::handshake::{Protocol, Secured};
use crate::tls::{self, Failure, Hosts};
use crate::transport::accepted::Accepted;
use crate::transport::proxy_protocol::{self, Proxied};
use crate::transport::stop::{Signal, Stop};
use crate::transport::stream::Stream;
use crate::transport::{self, SendScheduler};

/// What the connections of a server are served with.
pub struct Wires {
    /// Responds to requests.
    pub service: Arc<Service>,
    /// The order in which connections send.
    pub scheduler: SendScheduler,
    /// How long connections are waited for.
    pub limits: transport::Limits,
    /// How HTTP/1 is spoken.
    pub http1: Http1,
    /// What secures connections, where there is a listener for them.
    pub tls: Option<tls::Server>,
    /// How HTTP/2 is spoken.
    pub http2: Http2,
}

impl Serve for Arc<Wires> {
    fn prepare_thread(&self) -> io::Result<()> {
        guest::prepare_thread()
    }

    fn serve(
        self,
        socket: TcpStream,
        peer: Peer,
        scheme: Scheme,
        stopping: watch::Receiver<bool>,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        in_connection(peer.address, peer.worker, serve(socket, peer, scheme, self, stopping, place))
    }
}

/// Serves a connection until it ends. When `stopping` becomes true the request
/// in flight is finished and the connection closed. Its place is free afterwards.
pub async fn serve(
    socket: TcpStream,
    peer: Peer,
    scheme: Scheme,
    wires: Arc<Wires>,
    stopping: watch::Receiver<bool>,
    _place: Place,
) {
    // No more of it by names of their own: each takes room in every idle connection.
    let Wires { service, limits, .. } = &*wires;
    let _open = service.metrics.as_ref().map(|metrics| metrics.connection(peer.worker));
    let mut stop_receiver = stopping.clone();
    // The sender lives as long as the server; should it be gone, that is a stop.
    let signal: Pin<&mut dyn Signal> = pin!(async move {
        let _ = stop_receiver.wait_for(|stopping| *stopping).await;
    });
    // Boxed, as plain connections have room for it, too.
    let mut hosts: Option<Box<Hosts>> = None;
    let mut accepted = Accepted {
        stream: Stream::new(socket, wires.scheduler.of(peer.worker), limits.stall),
        received: Vec::new(),
        peer,
        limits,
        tls: None,
        stop: Stop::new(signal, &stopping),
    };
    if service.clients.proxies.announces(peer.address) {
        // Boxed, as every other connection would have room for it; so is a refusal.
        let client = Box::pin(proxied(&mut accepted)).await;
        let Some(Proxied { address, scheme }) = client else { return };
        accepted.peer = Peer { address, scheme, ..accepted.peer };
    }
    let client = accepted.peer.address;
    // Before the handshake, which costs more than all that follows.
    let admission = service.admit(client);
    if let Admission::Dropped = admission {
        tracing::debug!(%client, "connection closed, its client has too many");
        return;
    }
    let mut protocol = Protocol::Http1;
    if scheme == Scheme::Https {
        match Box::pin(secure(&mut accepted, wires.tls.as_ref(), service)).await {
            Ok((agreed, its_hosts)) => (protocol, hosts) = (agreed, Some(its_hosts)),
            Err(Some(Failure::Cleartext)) => {
                let mut connection = Connection::new(&mut accepted, service, &wires.http1, None);
                return Box::pin(connection.serve_cleartext()).await;
            }
            Err(_) => return,
        }
    }
    if protocol == Protocol::Http2 {
        // Boxed, as every connection of HTTP/1 would have room for it.
        let hosts = hosts.as_deref();
        return Box::pin(serve_http2(&mut accepted, service, &wires.http2, hosts, &admission))
            .await;
    }
    let connection = Connection::new(&mut accepted, service, &wires.http1, hosts.as_deref());
    let takes_http2 = wires.http2.prior_knowledge && scheme == Scheme::Http;
    let mut connection = connection.taking_http2(takes_http2);
    match &admission {
        Admission::Dropped => {}
        Admission::Refused(_) => Box::pin(connection.serve_refusal()).await,
        Admission::Served(_) => {
            if connection.serve().await == Served::Http2 {
                drop(connection);
                let http2 = &wires.http2;
                Box::pin(serve_http2(&mut accepted, service, http2, None, &admission)).await;
            }
        }
    }
}

/// Has a connection be secured, and tells which wire is spoken on it, and its hosts.
async fn secure(
    accepted: &mut Accepted<'_>,
    tls: Option<&tls::Server>,
    service: &Service,
) -> Result<(Protocol, Box<Hosts>), Option<Failure>> {
    let Some(tls) = tls else { return Err(None) };
    let Accepted { stream, received, peer, limits, stop, .. } = accepted;
    let mut handshake = pin!(tls.secure(stream, received, peer.worker));
    let secured = match stop.unless_begun(handshake.as_mut()).await {
        Some(secured) => secured,
        // The client may send a request behind it, as that of a busy connection may.
        None => timeout(limits.linger, handshake).await.unwrap_or(Err(Failure::TimedOut)),
    };
    let count = |outcome| {
        if let Some(metrics) = &service.metrics {
            metrics.handshake(peer.worker, outcome);
        }
    };
    match secured {
        Ok(Secured { tls, protocol, hosts, is_resumed }) => {
            count(if is_resumed { Handshake::Resumed } else { Handshake::Full });
            accepted.tls = Some(tls);
            Ok((protocol, Box::new(hosts)))
        }
        Err(failure) => {
            count(failure.outcome());
            tracing::debug!(reason = %failure, "TLS handshake failed");
            Err(Some(failure))
        }
    }
}

/// Serves a connection whose client speaks HTTP/2.
async fn serve_http2<'a>(
    accepted: &mut Accepted<'a>,
    service: &'a Service,
    http2: &'a Http2,
    hosts: Option<&'a Hosts>,
    admission: &Admission<'_>,
) {
    let mut connection = http2::connection::Connection::new(accepted, service, http2, hosts);
    match admission {
        Admission::Dropped => {}
        Admission::Refused(_) => connection.serve_refusal().await,
        Admission::Served(_) => connection.serve().await,
    }
}

/// The client that a proxy names in a PROXY header.
async fn proxied(accepted: &mut Accepted<'_>) -> Option<Proxied> {
    let Accepted { stream, received, peer, limits, stop, .. } = accepted;
    let deadline = Instant::now() + limits.head;
    let mut header = pin!(proxy_protocol::read(stream, received, peer.address, deadline));
    match stop.unless_begun(header.as_mut()).await {
        Some(client) => client,
        // The proxy may be sending a request, as the client of a busy connection may.
        None => timeout(limits.linger, header).await.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::serve;

    fn size<A, B, C, D, E, G, F>(_: fn(A, B, C, D, E, G) -> F) -> usize {
        size_of::<F>()
    }

    /// Each idle connection has it, whatever is spoken on it. What is rarely needed is boxed.
    #[test]
    fn connection_takes_little_memory() {
        assert!(size(serve) <= 2_600, "{} bytes", size(serve));
    }
}
