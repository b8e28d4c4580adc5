//! What a client takes of what is sent to it, as far as its kernel tells.
//!
//! The kernel accepts bytes long before the client does. What counts is what the client's
//! kernel has acknowledged: the bytes that were handed over, without those in the send queue.
//! Looking at the queue takes a system call, so it is done when a wait becomes long, and not
//! for each response.

use std::time::Duration;

use tokio::time::Instant;

/// A client's kernel acknowledges no more before there is room in its buffer again, and makes
/// room in pieces as large as the packets that arrived: over loopback, and where the network
/// card joins packets, 64 KiB and more. Who reads 1,000 bytes a second is silent for as long as
/// two such pieces last (130 s were measured). So a client that was never seen to take more
/// than `SLOW_RATE` has the time that all it was sent so far lasts at this rate, in bytes a second.
const LEAST_RATE: u64 = 800;

/// The longest such time, as a multiple of the usual one. It covers twice the largest piece.
const MOST_PATIENCE: u32 = 6;

/// A client that takes more bytes a second than this makes room several times in the usual
/// patience.
const SLOW_RATE: u64 = 8 << 10;

/// Bytes that a client takes at once, whatever its rate: they went to its kernel's buffer.
const BUFFERED: u64 = 128 << 10;

/// From the end of a response to the first look at whether the client took it. The client of a
/// usual one asks for the next before that.
pub(crate) const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The same where something waits for it: a request for room to log it, another client for the
/// place of a connection that ends.
pub(crate) const FIRST_LOOK_IN_HASTE: Duration = Duration::from_millis(10);

/// How far a client has come with what was handed to the kernel for it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// How long a client may take nothing.
    stall: Duration,
    /// Bytes that were handed to the kernel since the connection began.
    handed: u64,
    /// How many of them the client had taken at the last look.
    taken: u64,
    /// How many had been handed over by then.
    seen: u64,
    /// When the client was last known to take something, or had nothing to take.
    silent_since: Instant,
    /// When the client last had nothing to take, and what it had taken by then.
    began: (Instant, u64),
}

/// What a look at the send queue tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The client took all of it.
    Empty,
    /// Something is left to take.
    Left,
    /// Something is left, and the client took nothing for too long.
    Stalled,
}

impl Progress {
    /// Of a connection on which nothing was sent yet.
    pub(crate) fn new(stall: Duration, now: Instant) -> Progress {
        Progress { stall, handed: 0, taken: 0, seen: 0, silent_since: now, began: (now, 0) }
    }

    /// Notes how many bytes were handed to the kernel.
    pub(crate) fn hand_over(&mut self, bytes: usize) {
        self.handed += bytes as u64;
    }

    /// Notes how many bytes are in the send queue.
    pub(crate) fn look(&mut self, queued: u64, now: Instant) -> Look {
        let was_empty = self.taken == self.seen;
        let taken = self.handed.saturating_sub(queued).max(self.taken);
        if was_empty {
            self.began = (now, taken);
        }
        if was_empty || taken > self.taken {
            self.silent_since = now;
        }
        (self.taken, self.seen) = (taken, self.handed);
        if taken == self.handed {
            Look::Empty
        } else if now >= self.deadline(now) {
            Look::Stalled
        } else {
            Look::Left
        }
    }

    /// When the client will have taken nothing for too long.
    pub(crate) fn deadline(&self, now: Instant) -> Instant {
        let (since, before) = self.began;
        let in_time = now.saturating_duration_since(since).as_secs().saturating_mul(SLOW_RATE);
        let is_slow = self.taken - before <= in_time.saturating_add(BUFFERED);
        let patience = match is_slow {
            true => Duration::from_secs(self.taken / LEAST_RATE)
                .clamp(self.stall, self.stall * MOST_PATIENCE),
            false => self.stall,
        };
        self.silent_since + patience
    }

    /// Bytes that were handed to the kernel.
    pub(crate) fn handed(&self) -> u64 {
        self.handed
    }

    /// How many of them the client had taken at the last look.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the client had taken all of them at the last look, and no more was handed over.
    pub(crate) fn is_over(&self) -> bool {
        self.taken == self.handed
    }

    /// Bytes that were handed over since the last look.
    pub(crate) fn unseen(&self) -> u64 {
        self.handed - self.seen
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Look, Progress};

    const STALL: Duration = Duration::from_secs(30);

    /// A client that is sent 12 MB, takes `at_once` bytes, and then `more` bytes every `each`
    /// seconds, `times` times; and the second at which it is given up after that.
    fn given_up_at(at_once: u64, more: u64, each: u64, times: u64) -> Result<u64, u64> {
        let began = Instant::now();
        let mut progress = Progress::new(STALL, began);
        progress.hand_over(12_000_000);
        progress.look(12_000_000 - at_once, began);
        for second in 1..10_000 {
            let steps = (second / each).min(times);
            let taken = at_once + steps * more;
            let look = progress.look(12_000_000 - taken, began + Duration::from_secs(second));
            match look {
                Look::Empty => return Ok(second),
                Look::Stalled if steps < times => return Err(second),
                Look::Stalled => return Ok(second - each * times),
                Look::Left => {}
            }
        }
        panic!("it is never given up");
    }

    #[test]
    fn silent_client_is_given_up_after_stall() {
        assert_eq!(given_up_at(0, 0, 1, 0), Ok(30));
        assert_eq!(given_up_at(5_000, 0, 1, 0), Ok(30));
    }

    #[test]
    fn client_that_takes_a_little_within_each_stall_is_served() {
        assert_eq!(given_up_at(5_000, 1, 29, 300), Ok(30));
        assert_eq!(given_up_at(5_000, 1, 31, 300), Err(30));
    }

    /// 1,000 bytes a second, acknowledged 95,232 at a time, as was measured over loopback.
    #[test]
    fn client_whose_kernel_acknowledges_in_large_pieces_has_the_time_that_they_take() {
        assert_eq!(given_up_at(128_000, 95_232, 130, 5), Ok(180));
    }

    #[test]
    fn client_that_was_fast_has_no_more_time_than_stall() {
        assert_eq!(given_up_at(128_000, 1_000_000, 1, 5), Ok(30));
    }

    #[test]
    fn time_in_which_there_was_nothing_to_take_does_not_count() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut progress = Progress::new(STALL, began);
        progress.hand_over(100);
        assert_eq!(progress.look(0, at(0)), Look::Empty);
        assert!(progress.is_over());
        progress.hand_over(100);
        assert_eq!(progress.unseen(), 100);
        assert_eq!(progress.look(100, at(70)), Look::Left);
        assert_eq!(progress.look(100, at(99)), Look::Left);
        assert_eq!(progress.look(99, at(99)), Look::Left);
        assert_eq!((progress.taken(), progress.handed(), progress.unseen()), (101, 200, 0));
        assert_eq!(progress.look(99, at(129)), Look::Stalled);
    }
}
