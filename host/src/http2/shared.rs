//! What the driver of a connection and its streams share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Http2;
use super::end::End;
use super::patience::Flow;
use super::piece::Buffered;
use super::settle::Deliveries;
use super::turns::Turns;
use super::wire::{Broken, Wire};
use crate::http::{Peer, Tls};
use crate::lock::lock;
use crate::service::Service;
use crate::tls::Hosts;
use crate::transport::{self, progress::Look};

/// What they share. All of it is used by one task.
pub(super) struct Shared<'c, 'a> {
    pub(super) service: &'a Service,
    pub(super) http2: &'a Http2,
    pub(super) peer: Peer,
    pub(super) tls: Option<&'c Tls>,
    /// The hosts that the connection is for, if TLS secures it.
    pub(super) hosts: Option<&'a Hosts>,
    /// How long each wait may be.
    pub(super) limits: &'a transport::Limits,
    pub(super) wire: Mutex<Wire<'c, 'a>>,
    /// Whether the connection is one too many for its client.
    pub(super) is_refused: bool,
    /// Bytes of bodies that `h2` has, and which stream gives it more next.
    pub(super) buffered: Buffered,
    pub(super) turns: Turns,
    /// Streams that have room for content, and have not given it to `h2` yet.
    pub(super) holders: AtomicUsize,
    pub(super) deliveries: Mutex<Deliveries<'a>>,
    /// Whether a response wishes that the connection ends.
    pub(super) closes: AtomicBool,
}

impl<'c, 'a> Shared<'c, 'a> {
    /// The wire, where nothing else has it.
    pub(super) fn wire(&mut self) -> &mut Wire<'c, 'a> {
        self.wire.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it sends, for the patience with its streams.
    pub(super) fn flow(&self) -> Flow {
        let wire = lock(&self.wire);
        let (written, buffered) = (self.buffered.written(), self.buffered.bytes());
        Flow {
            is_sending: buffered > 0 || !wire.is_flushed(),
            has_holders: self.holders.load(Ordering::Relaxed) > 0,
            is_window_full: written + buffered as u64 >= wire.meter.window(),
            sent: written,
        }
    }

    /// Waits for a slot, to do more than others should wait for.
    pub(super) async fn slot(&self) {
        let scheduler = lock(&self.wire).stream.scheduler();
        scheduler.slot().await;
        lock(&self.wire).has_slot();
    }

    /// Looks at what the client took, and logs it.
    pub(super) fn look(&self) -> Look {
        let mut wire = lock(&self.wire);
        let look = wire.stream.look();
        let mut deliveries = lock(&self.deliveries);
        deliveries.count(look, self.service, self.peer.worker);
        deliveries.settle(wire.stream.taken());
        look
    }

    /// How a connection ends that goes on no longer, perhaps with an error that `h2` was told of
    /// or found.
    pub(super) fn end(&self, error: Option<&h2::Error>) -> End {
        match lock(&self.wire).broken {
            Some(Broken::Stalled) => {
                self.log_stall();
                End::Reset
            }
            Some(Broken::Disconnected) => {
                tracing::debug!("client disconnected");
                End::Reset
            }
            None => match error {
                Some(error) if error.is_io() => End::Reset,
                Some(error) => {
                    tracing::debug!(%error, "HTTP/2 connection ended by an error");
                    End::Close
                }
                None => End::Close,
            },
        }
    }

    pub(super) fn log_stall(&self) {
        tracing::debug!("client takes no response");
    }
}

impl Drop for Shared<'_, '_> {
    /// Logs responses that the client has not taken to their end.
    fn drop(&mut self) {
        let mut wire = lock(&self.wire);
        let mut deliveries = lock(&self.deliveries);
        if !deliveries.is_empty() {
            wire.stream.look();
            deliveries.close(wire.written(), wire.stream.taken());
        }
    }
}
