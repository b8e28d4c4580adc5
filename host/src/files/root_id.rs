//! Numbers that tell the roots of a process apart, where they share caches.

use std::sync::atomic::{AtomicU32, Ordering};

/// The number of a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RootId(pub(super) u32);

/// The numbers that were given.
#[derive(Default)]
pub(super) struct RootIds(AtomicU32);

impl RootIds {
    /// One that no other root has.
    pub(super) fn next(&self) -> RootId {
        RootId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
