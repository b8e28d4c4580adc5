//! A response that was handed to the kernel, until it is known what the client took of it.

use std::ops::Range;

use crate::log::Draft;
use crate::service::record::Finished;

/// Such a response.
pub(super) struct Delivery<'a> {
    pub(super) finished: Finished<'a>,
    /// Where its body is in what was sent on the connection.
    pub(super) body: Range<u64>,
    /// Whether it was handed over to its end.
    pub(super) is_whole: bool,
}

impl Delivery<'_> {
    /// The memory that it takes until it is logged and counted: also where only metrics want it.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Delivery<'_>>() + self.finished.memory_bytes()
    }

    /// Whether the client took all of it: it took `taken` bytes of what was sent on the
    /// connection.
    pub(super) fn is_taken(&self, taken: u64) -> bool {
        self.is_whole && taken >= self.body.end
    }

    /// Logs and counts what the client took of it: it took `taken` bytes of what was sent on the
    /// connection. Gives the room of its line.
    pub(super) fn close(self, taken: u64) -> Draft {
        let body_bytes = taken.clamp(self.body.start, self.body.end) - self.body.start;
        let is_aborted = !self.is_taken(taken);
        self.finished.taken(body_bytes, is_aborted)
    }
}
