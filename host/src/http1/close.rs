//! The end of a connection, in the way that lets the client read the last response.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use crate::transport::progress::{FIRST_LOOK_IN_HASTE, Look};
use crate::transport::stream::Read;

/// The longest pause between two looks.
const LAST_LOOK: Duration = Duration::from_secs(1);

impl Connection<'_, '_> {
    /// Closes our half, and reads and throws away what the client still sends until it closes
    /// its half too (RFC 9112, section 9.6). Otherwise the kernel would answer it with a reset,
    /// which destroys what is not yet read.
    ///
    /// The connection keeps its place until the client has taken all, or takes nothing for too
    /// long.
    pub(super) async fn close(&mut self) {
        // A client that has said and sent its last needs no time to read its response: only what
        // still arrives would destroy it.
        let is_done = self.is_last && self.accepted.received.is_empty();
        // Of TLS it is told that it ends.
        let is_secure = self.accepted.stream.is_secure();
        if is_done && !is_secure && self.accepted.stream.is_read() && self.look() == Look::Empty {
            return;
        }
        if self.accepted.stream.end().await.is_err() {
            return;
        }
        let limits = self.accepted.limits;
        let mut now = Instant::now();
        let drain =
            if self.accepted.stop.has_begun() { limits.drain_at_stop } else { limits.drain };
        let mut drained_by = now + drain;
        let mut silent_by = now + limits.drain_silence;
        let mut pause = FIRST_LOOK_IN_HASTE;
        let mut has_ended = false;
        loop {
            let look = self.look();
            let drains = !has_ended && now < drained_by.min(silent_by);
            match look {
                Look::Stalled => return self.log_stall(),
                Look::Empty if !drains || (is_done && self.accepted.stream.is_read()) => return,
                Look::Empty | Look::Left => {}
            }
            let next_look = match look {
                Look::Empty => drained_by,
                _ => {
                    pause = pause.min(LAST_LOOK);
                    self.accepted.stream.next_look(now, &mut pause)
                }
            };
            if drains {
                let discard =
                    self.accepted.stream.discard(next_look.min(drained_by).min(silent_by));
                let read = self.accepted.stop.unless_begun(discard).await;
                now = Instant::now();
                match read {
                    Some(Read::Data) => {
                        silent_by = now + limits.drain_silence;
                        // A client that sends much goes behind those that ask.
                        self.accepted.stream.slot().await;
                    }
                    Some(Read::Eof) => has_ended = true,
                    Some(Read::Disconnected) => return,
                    Some(_) => {}
                    None => drained_by = drained_by.min(now + limits.drain_at_stop),
                }
            } else {
                self.accepted.stream.sleep(next_look).await;
                now = Instant::now();
                if self.accepted.stream.is_broken() {
                    return;
                }
            }
        }
    }
}
