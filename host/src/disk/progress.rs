//! Signs that an operation, and its device, make progress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The progress of one operation.
pub struct Progress {
    steps: AtomicU64,
    signs: Arc<Signs>,
}

impl Progress {
    /// That of an operation on the device with these signs.
    pub(super) fn new(signs: Arc<Signs>) -> Progress {
        Progress { steps: AtomicU64::new(0), signs }
    }

    /// Takes note of a step that may have waited, and is done.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.signs.note();
    }

    /// Steps until now.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

/// When a device last responded: milliseconds since [`BASE`], and one more; 0 if it never did.
#[derive(Default)]
pub(super) struct Signs(AtomicU64);

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Signs {
    pub(super) fn note(&self) {
        let now = u64::try_from(BASE.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.store(now.saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Option<Instant> {
        let millis = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(*BASE + Duration::from_millis(millis))
    }
}
