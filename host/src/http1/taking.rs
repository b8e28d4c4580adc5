//! How a connection waits for its client to take what was sent: before the next request, and
//! at its end. As long as the client has not taken all, the connection is not idle and keeps its
//! place; a client that takes nothing for too long is reset.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, Stop, unless};
use super::progress::Look;
use super::stream::Arrival;
use super::turns::SMALL_BYTES;

/// From the end of an answer to the first look at whether the client took it. The client of a
/// usual one asks for the next before that.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The same, where the connection ends: somebody may wait for its place.
const FIRST_LOOK_AT_END: Duration = Duration::from_millis(10);

/// The longest pause between two looks there.
const LAST_LOOK_AT_END: Duration = Duration::from_secs(1);

impl Connection<'_> {
    /// Waits for the first bytes of a request. Meanwhile it looks, less and less often, whether
    /// the client takes what it was sent: as long as it does not take all, it is not idle.
    pub(super) async fn first_bytes(
        &mut self,
        patience: Duration,
        mut stop: Pin<&mut dyn Stop>,
    ) -> Arrival {
        let linger = self.service.limits.linger;
        let mut now = Instant::now();
        let mut deadline =
            if self.has_stopped { now + patience.min(linger) } else { now + patience };
        let mut pause = FIRST_LOOK;
        loop {
            let until = match self.stream.progress().is_over() {
                true => deadline,
                false => self.stream.next_look(now, &mut pause).min(deadline),
            };
            let wake = self.stream.wake(&mut self.received, until);
            let woken = match self.has_stopped {
                false => unless(stop.as_mut(), wake).await,
                true => Some(wake.await),
            };
            match woken {
                // The client of a connection that was busy just now may be sending a
                // request, and would have to guess whether it was answered.
                None => {
                    self.has_stopped = true;
                    now = Instant::now();
                    deadline = deadline.min(now + linger);
                }
                Some(Arrival::Late) if !self.stream.progress().is_over() => {
                    now = Instant::now();
                    match self.look() {
                        Look::Empty => self.stream.rest(),
                        Look::Left if !self.has_stopped => deadline = now + patience,
                        Look::Left => {}
                        Look::Stalled => {
                            self.tell_of_stall();
                            return Arrival::Stalled;
                        }
                    }
                    if now >= deadline {
                        return Arrival::Late;
                    }
                }
                Some(woken) => return woken,
            }
        }
    }

    /// Looks at what the client took, and accounts for it.
    pub(super) fn look(&mut self) -> Look {
        let look = self.stream.look();
        if look == Look::Empty {
            self.writing = None;
        } else if let Some(metrics) = &self.service.metrics {
            let count = || metrics.writing(self.peer.worker);
            self.writing.get_or_insert_with(count);
        }
        self.settle(self.stream.progress().taken());
        look
    }

    /// Accounts for answers all of which the client took, which took so much of what was sent.
    fn settle(&mut self, taken: u64) {
        while let Some(handed) = self.handed.pop_front_if(|handed| handed.is_taken(taken)) {
            self.room = handed.close(self.service, self.peer.worker, taken);
        }
    }

    /// Accounts for answers when another request is there. Who asks again has taken what was
    /// small, if it waits for each answer; that is not worth a system call.
    pub(super) fn settle_before_next(&mut self) {
        if self.handed.is_empty() {
            return;
        }
        let is_known = !self.is_ahead && self.writing.is_none();
        if !is_known || self.stream.progress().unseen() > SMALL_BYTES {
            self.look();
        } else {
            self.settle(self.stream.progress().handed());
        }
    }

    pub(super) fn tell_of_stall(&self) {
        tracing::debug!(client = %self.peer.address, "the client takes no answer");
    }

    /// Ends the connection in the way that lets the client read the last answer:
    /// our half is closed, and what the client still sends is read and thrown
    /// away until it closes its half too (RFC 9112, section 9.6). Otherwise the
    /// kernel would answer it with a reset, which destroys what is not yet read.
    ///
    /// The connection keeps its place until the client has taken all, or takes nothing for too
    /// long.
    pub(super) async fn close(&mut self, mut stop: Pin<&mut dyn Stop>) {
        // A client that has said and sent its last needs no time to read its answer: only what
        // still arrives would destroy it.
        let is_done = self.is_leaving && self.received.is_empty();
        if is_done && self.stream.is_read() && self.look() == Look::Empty {
            return;
        }
        if self.stream.end().is_err() {
            return;
        }
        let limits = &self.service.limits;
        let mut now = Instant::now();
        let drain = if *self.stopping.borrow() { limits.drain_at_stop } else { limits.drain };
        let mut drained_by = now + drain;
        let mut silent_by = now + limits.drain_silence;
        let mut pause = FIRST_LOOK_AT_END;
        let mut has_ended = false;
        loop {
            let look = self.look();
            let drains = !has_ended && now < drained_by.min(silent_by);
            match look {
                Look::Stalled => return self.tell_of_stall(),
                Look::Empty if !drains || (is_done && self.stream.is_read()) => return,
                Look::Empty | Look::Left => {}
            }
            let next_look = match look {
                Look::Empty => drained_by,
                _ => {
                    pause = pause.min(LAST_LOOK_AT_END);
                    self.stream.next_look(now, &mut pause)
                }
            };
            if drains {
                let discard = self.stream.discard(next_look.min(drained_by).min(silent_by));
                let arrival = match self.has_stopped {
                    false => unless(stop.as_mut(), discard).await,
                    true => Some(discard.await),
                };
                now = Instant::now();
                match arrival {
                    Some(Arrival::Bytes) => {
                        silent_by = now + limits.drain_silence;
                        // A client that sends much goes behind those that ask.
                        self.stream.turn().await;
                    }
                    Some(Arrival::End) => has_ended = true,
                    Some(Arrival::Gone) => return,
                    Some(_) => {}
                    None => {
                        self.has_stopped = true;
                        drained_by = drained_by.min(now + limits.drain_at_stop);
                    }
                }
            } else {
                self.stream.sleep(next_look).await;
                now = Instant::now();
                if self.stream.is_broken() {
                    return;
                }
            }
        }
    }
}

impl Drop for Connection<'_> {
    /// Accounts for answers that the client has not taken to their end.
    fn drop(&mut self) {
        if self.handed.is_empty() {
            return;
        }
        self.look();
        let taken = self.stream.progress().taken();
        for handed in self.handed.drain(..) {
            handed.close(self.service, self.peer.worker, taken);
        }
    }
}
