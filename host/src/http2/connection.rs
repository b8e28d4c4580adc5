//! One HTTP/2 connection.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::Http2;
use super::end::End;
use super::piece::Buffered;
use super::settle::Deliveries;
use super::shared::Shared;
use super::turns::Turns;
use super::wire::Wire;
use crate::service::Service;
use crate::tls::Hosts;
use crate::transport::accepted::Accepted;
use crate::transport::stop::Stop;

/// One connection.
pub(crate) struct Connection<'c, 'a> {
    pub(super) shared: Shared<'c, 'a>,
    pub(super) stop: &'c mut Stop<'a>,
}

impl<'c, 'a> Connection<'c, 'a> {
    /// Has an accepted connection speak HTTP/2.
    pub(crate) fn new(
        accepted: &'c mut Accepted<'a>,
        service: &'a Service,
        http2: &'a Http2,
        hosts: Option<&'a Hosts>,
    ) -> Connection<'c, 'a> {
        let Accepted { stream, received, peer, tls, limits, stop } = accepted;
        let shared = Shared {
            service,
            http2,
            peer: *peer,
            tls: tls.as_deref(),
            hosts,
            limits,
            wire: Mutex::new(Wire::new(stream, received, &http2.limits)),
            is_refused: false,
            buffered: Buffered::default(),
            turns: Turns::default(),
            holders: AtomicUsize::new(0),
            deliveries: Mutex::new(Deliveries::default()),
            closes: AtomicBool::new(false),
        };
        Connection { shared, stop }
    }

    /// Serves it until it ends. When the server is about to stop, requests in flight are finished,
    /// and those that were on their way.
    pub(crate) async fn serve(&mut self) {
        if self.drive().await == End::Close {
            self.close().await;
        }
    }

    /// Tells the client that it has one connection too many, whatever it asks for, and closes.
    pub(crate) async fn serve_refusal(&mut self) {
        self.shared.is_refused = true;
        self.serve().await;
    }
}
