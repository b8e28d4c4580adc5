//! What the client took of responses that were sent. The log tells it.
//!
//! A response's bytes are known to be taken when the client's kernel has acknowledged all that was
//! written on the connection by the time the last of them was.

use std::collections::VecDeque;
use std::sync::Arc;

use super::piece::Tally;
use crate::log::Draft;
use crate::metrics::WritingConnection;
use crate::service::Service;
use crate::service::record::{Finished, UNLOGGED_BYTES};
use crate::transport::progress::Look;

/// A response that was given to `h2`, until it is known what the client took of it.
pub(super) struct Delivery<'a> {
    pub(super) finished: Finished<'a>,
    /// How much of its body was written. `None` where it has none.
    pub(super) tally: Option<Arc<Tally>>,
    /// Bytes of its body.
    pub(super) length: u64,
    /// Whether all of it was given to `h2`.
    pub(super) is_whole: bool,
}

impl Delivery<'_> {
    /// The memory that it takes until it is logged and counted: also where only metrics want it.
    fn memory_bytes(&self) -> usize {
        size_of::<(u64, Delivery<'_>)>() + self.finished.memory_bytes()
    }

    fn written(&self) -> u64 {
        self.tally.as_ref().map_or(0, |tally| tally.written())
    }

    /// Whether `h2` will write no more of it.
    fn is_over(&self) -> bool {
        let is_referenced = |tally: &Arc<Tally>| Arc::strong_count(tally) > 1;
        self.written() >= self.length || !self.tally.as_ref().is_some_and(is_referenced)
    }

    /// Logs and counts it: of what was written by its end the client has not taken so much.
    fn close(self, untaken: u64) -> Draft {
        let written = self.written();
        let body_bytes = written.saturating_sub(untaken);
        let is_aborted = !self.is_whole || body_bytes < self.length;
        self.finished.taken(body_bytes, is_aborted)
    }
}

/// The responses of a connection that are not logged yet.
#[derive(Default)]
pub(super) struct Deliveries<'a> {
    /// Those of which `h2` has something to write.
    sending: Vec<Delivery<'a>>,
    /// Those that were written, and the position on the connection by then.
    sent: VecDeque<(u64, Delivery<'a>)>,
    /// The memory that the lines of these take.
    unlogged: usize,
    /// The memory of those that came since it was last looked which are written.
    new: usize,
    /// Counts the connection while the client was found not to have taken all of it.
    writing: Option<WritingConnection<'a>>,
    /// Where the next line of the log is written.
    pub(super) room: Draft,
}

impl<'a> Deliveries<'a> {
    pub(super) fn push(&mut self, delivery: Delivery<'a>) {
        self.new += delivery.memory_bytes();
        self.sending.push(delivery);
    }

    /// Counts the connection while the client was found not to have taken all of it.
    pub(super) fn count(&mut self, look: Look, service: &'a Service, worker: usize) {
        if look == Look::Empty {
            self.writing = None;
        } else if let Some(metrics) = &service.metrics {
            self.writing.get_or_insert_with(|| metrics.writing(worker));
        }
    }

    /// Whether some were written.
    pub(super) fn has_sent(&self) -> bool {
        !self.sent.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.sending.is_empty()
    }

    /// Whether no more requests should be begun until it was looked which of these are written, or
    /// some are logged.
    pub(super) fn is_full(&self) -> bool {
        self.unlogged + self.new > UNLOGGED_BYTES
    }

    /// Whether no more should be answered until some are logged.
    pub(super) fn are_too_many(&self) -> bool {
        self.unlogged > UNLOGGED_BYTES
    }

    /// All that `h2` could write was written: the connection is at this position.
    pub(super) fn written(&mut self, position: u64) {
        self.new = 0;
        let over = self.sending.extract_if(.., |delivery| delivery.is_over());
        for delivery in over {
            self.unlogged += delivery.memory_bytes();
            self.sent.push_back((position, delivery));
        }
    }

    /// Logs responses that the client took whole: it took all that was sent up to this position.
    pub(super) fn settle(&mut self, taken: u64) {
        while let Some((_, delivery)) = self.sent.pop_front_if(|(position, _)| *position <= taken) {
            self.unlogged -= delivery.memory_bytes();
            self.room = delivery.close(0).usual();
        }
    }

    /// Logs all: the connection ends at this position, and the client took this much.
    pub(super) fn close(&mut self, written: u64, taken: u64) {
        self.settle(taken);
        for (position, delivery) in self.sent.drain(..) {
            delivery.close(position.saturating_sub(taken));
        }
        for delivery in self.sending.drain(..) {
            delivery.close(written.saturating_sub(taken));
        }
        (self.unlogged, self.new) = (0, 0);
    }
}
