//! Whether a worker is busy, by its rate of lookups.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lookups in a window of time from which on a worker is busy: 500 a second, far more than one
/// browser makes and far less than a worker can.
const BUSY_LOOKUPS: u32 = 50;
const WINDOW: Duration = Duration::from_millis(100);

/// The lookups of one worker, in this window and in the one before.
pub(super) struct LookupRate {
    began: Instant,
    /// The number of the current window.
    window: AtomicU64,
    count: AtomicU32,
    count_before: AtomicU32,
}

impl LookupRate {
    pub(super) fn new() -> LookupRate {
        LookupRate {
            began: Instant::now(),
            window: AtomicU64::new(0),
            count: AtomicU32::new(0),
            count_before: AtomicU32::new(0),
        }
    }

    /// Counts one, and returns whether this window or the one before is a busy one. Only the worker
    /// itself calls this: what another thread would see of it does not matter.
    pub(super) fn count(&self, now: Instant) -> bool {
        let windows = now.saturating_duration_since(self.began).as_millis() / WINDOW.as_millis();
        let window = u64::try_from(windows).unwrap_or(u64::MAX);
        let last = self.window.load(Ordering::Relaxed);
        let count = self.count.load(Ordering::Relaxed);
        if window != last {
            let before = if window == last + 1 { count } else { 0 };
            self.count_before.store(before, Ordering::Relaxed);
            self.window.store(window, Ordering::Relaxed);
            self.count.store(1, Ordering::Relaxed);
            return before >= BUSY_LOOKUPS;
        }
        self.count.store(count.saturating_add(1), Ordering::Relaxed);
        count >= BUSY_LOOKUPS || self.count_before.load(Ordering::Relaxed) >= BUSY_LOOKUPS
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUSY_LOOKUPS, LookupRate, WINDOW};

    #[test]
    fn worker_with_many_lookups_is_busy_until_a_window_has_few() {
        let rate = LookupRate::new();
        let mut now = rate.began;
        for _ in 0..BUSY_LOOKUPS {
            assert!(!rate.count(now));
        }
        assert!(rate.count(now));
        now += WINDOW;
        assert!(rate.count(now), "the window before was a busy one");
        now += WINDOW;
        assert!(!rate.count(now));
        // A person who reloads a page.
        for _ in 0..100 {
            now += Duration::from_millis(20);
            assert!(!rate.count(now));
        }
    }
}
