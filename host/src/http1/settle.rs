//! What the client took of responses that were sent. The log tells it, and as long as the client
//! has not taken all, the connection is not idle and keeps its place.

use tokio::time::Instant;

use super::connection::Connection;
use crate::service::record::UNLOGGED_BYTES;
use crate::transport::progress::{FIRST_LOOK_IN_HASTE, Look};
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;

impl Connection<'_, '_> {
    /// Looks at what the client took, and logs it.
    pub(super) fn look(&mut self) -> Look {
        let look = self.accepted.stream.look();
        if look == Look::Empty {
            self.writing = None;
        } else if let Some(metrics) = &self.service.metrics {
            let count = || metrics.writing(self.accepted.peer.worker);
            self.writing.get_or_insert_with(count);
        }
        self.settle(self.accepted.stream.taken());
        look
    }

    /// Logs responses that the client took whole: it took `taken` bytes of what was sent.
    fn settle(&mut self, taken: u64) {
        while let Some(taken_whole) = self.deliveries.pop_front_if(|one| one.is_taken(taken)) {
            self.unlogged_bytes -= taken_whole.memory_bytes();
            self.room = taken_whole.close(taken).usual();
        }
    }

    /// Logs responses when another request is there. A client that asks again has taken what was
    /// small, if it waits for each response; that is not worth a system call.
    pub(super) fn settle_before_next(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let is_known = !self.is_pipelined && self.writing.is_none();
        if !is_known || self.accepted.stream.progress().unseen() > UNSCHEDULED_BYTES {
            self.look();
        } else {
            self.settle(self.accepted.stream.handed());
        }
    }

    /// Waits until the client has taken enough for the lines that wait to be logged to be within
    /// their bound. False if it takes nothing for too long, or is gone.
    pub(super) async fn wait_for_room_to_log(&mut self) -> bool {
        let mut pause = FIRST_LOOK_IN_HASTE;
        loop {
            if self.look() == Look::Stalled {
                self.log_stall();
                return false;
            }
            if self.unlogged_bytes <= UNLOGGED_BYTES {
                return true;
            }
            let next_look = self.accepted.stream.next_look(Instant::now(), &mut pause);
            self.accepted.stream.sleep(next_look).await;
            if self.accepted.stream.is_broken() {
                return false;
            }
        }
    }

    pub(super) fn log_stall(&self) {
        tracing::debug!("client takes no response");
    }
}

impl Drop for Connection<'_, '_> {
    /// Logs responses that the client has not taken to their end.
    fn drop(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        self.look();
        let taken = self.accepted.stream.taken();
        for delivery in self.deliveries.drain(..) {
            delivery.close(taken);
        }
    }
}
