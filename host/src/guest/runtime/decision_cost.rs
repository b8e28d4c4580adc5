//! How long a guest's decisions take: those of a slow guest are made beside the workers.
//!
//! Time is a core's, and not the clock's: on a machine that is busy with others no guest is
//! slow for that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A guest whose decisions take longer than this, on average, makes none of them on
/// a worker, where cached decisions would wait for them: ten times what it costs to
/// hand one over. One in Rust takes 20 µs, in Go 50, in JavaScript 400 and in Python 2,000.
/// In a host that is not optimised one in Rust takes 250 to 500 µs, nearly all of it wasmtime's.
const SLOW: Duration = Duration::from_micros(if cfg!(debug_assertions) { 1_500 } else { 150 });

/// How many decisions ago one counts a third of what the last one does.
const WEIGHT: u64 = 32;

/// What decisions take: nanoseconds, an average in which the last ones count most.
#[derive(Debug, Default)]
pub(in crate::guest) struct DecisionCost(AtomicU64);

impl DecisionCost {
    /// Begins with an average that was found before.
    pub(in crate::guest) fn begin_with(&self, average: Duration) {
        self.0.store(nanoseconds(average), Ordering::Relaxed);
    }

    /// Takes note of what one decision took. Of two at the same time one may be lost.
    pub(in crate::guest) fn note(&self, time: Duration) {
        // A few that are rare and long make it no slow guest.
        let time = nanoseconds(time.min(SLOW * 8));
        let average = self.0.load(Ordering::Relaxed);
        self.0.store(average - average / WEIGHT + time / WEIGHT, Ordering::Relaxed);
    }

    /// Whether decisions take so long that none is begun on a worker.
    pub(super) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) > nanoseconds(SLOW)
    }
}

/// The time that this thread has run.
pub(in crate::guest) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{DecisionCost, SLOW, WEIGHT};

    #[test]
    fn a_guest_is_slow_as_long_as_its_decisions_take_long() {
        let cost = DecisionCost::default();
        cost.begin_with(SLOW / 10);
        cost.note(SLOW * 1000);
        assert!(!cost.is_slow(), "for one decision");
        (0..WEIGHT).for_each(|_| cost.note(SLOW * 3));
        assert!(cost.is_slow());
        (0..3 * WEIGHT).for_each(|_| cost.note(SLOW / 10));
        assert!(!cost.is_slow());
    }
}
