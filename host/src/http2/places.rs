//! The places of requests: how many streams the connections of a server may be responding to at a
//! time.
//!
//! Connections have a bound, and the streams of each have one, but their product would be more than
//! a machine has. The first stream of a connection has the place of its connection, each further
//! one takes one of these. They are counted for the time in which more than one is in hand: most
//! responses are over at once, and need none.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::throttle::Throttle;

/// Streams at a time beyond the first of each connection, in all: as many as there may be
/// connections.
pub const MAX_STREAMS: usize = 16_384;

/// The places of a server.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    throttle: Throttle,
}

/// The place of a stream. Dropping it gives it back.
pub(super) type Place = OwnedSemaphorePermit;

impl Places {
    /// This many.
    pub fn new(count: usize) -> Places {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Places { free, throttle: Throttle::new() }
    }

    /// Takes one. `None` if there is none: the stream is refused, and its client may send the
    /// request again (RFC 9113, section 8.7).
    pub(super) fn take(&self) -> Option<Place> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok();
        if place.is_none() {
            self.throttle.log(|suppressed| {
                tracing::warn!(suppressed, "too many streams at a time, one was refused");
            });
        }
        place
    }
}

impl Default for Places {
    fn default() -> Places {
        Places::new(MAX_STREAMS)
    }
}
