//! What a worker counts with: numbers that only grow, and histograms.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
pub(super) struct Histogram<const N: usize> {
    /// By the first bound that is not exceeded; what exceeds all is in `count` alone.
    pub(super) buckets: [Counter; N],
    pub(super) count: Counter,
    pub(super) nanoseconds: Counter,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram {
            buckets: array::from_fn(|_| Counter::default()),
            count: Counter::default(),
            nanoseconds: Counter::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts a duration. The bounds are in microseconds.
    pub(super) fn observe(&self, duration: Duration, bounds: &[u64; N]) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = bounds.iter().position(|&bound| micros <= bound) {
            self.buckets[bucket].add(1);
        }
        self.count.add(1);
        self.nanoseconds.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}
