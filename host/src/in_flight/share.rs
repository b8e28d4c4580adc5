//! The part of one site in the bytes of one kind that are being sent, where there are several sites.

use std::sync::atomic::{AtomicI64, Ordering};

/// A site has all but one in so many of the bytes that there may be: a flood of it leaves others some.
const LEFT: u64 = 4;

/// Bytes that are being sent for one site. What several send counts for the one that was first.
#[derive(Debug, Default)]
pub struct Share(AtomicI64);

impl Share {
    /// Bytes that are being sent.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether it has its part of this many bytes.
    pub(super) fn is_full(&self, of: u64) -> bool {
        self.bytes() >= of - of / LEFT
    }

    pub(super) fn add(&self, bytes: usize, sign: i64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.fetch_add(sign * bytes, Ordering::Relaxed);
    }
}
