//! What a guest did so far: its decisions and failures, counted.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::failure::Failure;
use crate::lock::lock;

/// Decisions among which those that failed are counted, for a roll-back.
const WINDOW: u64 = 1_000;

/// The failures of one guest.
#[derive(Debug, Default)]
pub(super) struct FailureCounters {
    busy: AtomicU64,
    deadline: AtomicU64,
    memory: AtomicU64,
    trap: AtomicU64,
    refused: AtomicU64,
    /// Which of the decisions, counted from the first, failed lately.
    failed_at: Mutex<VecDeque<u64>>,
}

/// The counters of a guest, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions that the cache had.
    pub cache_hits: u64,
    /// Decisions that it did not have.
    pub cache_misses: u64,
    /// Requests that found all instances in use.
    pub busy: u64,
    /// Decisions that were not made before the deadline.
    pub deadline: u64,
    /// Decisions that wanted more memory than the limit.
    pub memory: u64,
    /// Decisions that ended in a trap.
    pub trap: u64,
    /// Decisions that break a rule of the contract.
    pub refused: u64,
}

impl FailureCounters {
    /// Counts a failure.
    pub(super) fn count(&self, failure: &Failure) {
        let counter = match failure {
            Failure::Busy => &self.busy,
            Failure::Deadline => &self.deadline,
            Failure::Memory(_) => &self.memory,
            Failure::Trap(_) => &self.trap,
            Failure::Refused(_) => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters, with those of the cache.
    pub(super) fn read(&self, cache_hits: u64, cache_misses: u64) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            cache_hits,
            cache_misses,
            busy: count(&self.busy),
            deadline: count(&self.deadline),
            memory: count(&self.memory),
            trap: count(&self.trap),
            refused: count(&self.refused),
        }
    }

    /// Notes that the decision with this number failed, and returns whether `limit` of the last
    /// 1,000 did.
    pub(super) fn fails_often(&self, number: u64, limit: NonZeroU32) -> bool {
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        // Each change of it is one step, whoever panicked.
        let mut failed_at = lock(&self.failed_at);
        failed_at.push_back(number);
        while failed_at.front().is_some_and(|&at| at + WINDOW <= number) {
            failed_at.pop_front();
        }
        failed_at.len() >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::{FailureCounters, WINDOW};
    use std::num::NonZeroU32;

    #[test]
    fn failures_before_the_last_thousand_do_not_count() {
        let counters = FailureCounters::default();
        let two = NonZeroU32::new(2).expect("not zero");
        assert!(!counters.fails_often(1, two));
        assert!(!counters.fails_often(1 + WINDOW, two));
        assert!(counters.fails_often(2 + WINDOW, two));
    }
}
