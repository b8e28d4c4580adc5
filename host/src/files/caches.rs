//! The caches that all roots of a process share, so that each bound holds for all of them together.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::compressed::Compressor;
use super::dates::Dates;
use super::listings::Listings;
use super::open_file_cache::OpenFileCache;
use super::root_id::RootIds;
use crate::in_flight::InFlight;

/// What the roots of a process share. A root sees no entry of another one: each key holds the
/// number of its root, or the version of a file, which no two files share.
pub struct Caches {
    /// One for each worker.
    lookups: Box<[OpenFileCache]>,
    /// Made by the first root that compresses.
    pub(super) compressor: LazyLock<Compressor>,
    /// Made by the first root that lists.
    pub(super) listings: LazyLock<Listings>,
    pub(super) dates: Dates,
    /// What responses hold in memory now. Where that is full, files are sent from the disk.
    pub(super) in_flight: &'static InFlight,
    /// Tells a root from the others in the keys of the caches.
    pub(super) roots: RootIds,
}

impl Caches {
    /// Caches for this many workers.
    pub fn new(workers: NonZeroUsize, in_flight: &'static InFlight) -> Arc<Caches> {
        Arc::new(Caches {
            lookups: (0..workers.get()).map(|_| OpenFileCache::one_of(workers)).collect(),
            compressor: LazyLock::new(Compressor::new),
            listings: LazyLock::new(Listings::new),
            dates: Dates::new(),
            in_flight,
            roots: RootIds::default(),
        })
    }

    /// The lookups of this worker.
    pub(super) fn lookups(&self, worker: usize) -> &OpenFileCache {
        &self.lookups[worker % self.lookups.len()]
    }

    /// Closes files whose entries are stale. Any thread may call this.
    pub(super) fn close_stale(&self, now: Instant) {
        for cache in &self.lookups {
            cache.close_stale(now);
        }
    }
}
