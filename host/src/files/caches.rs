//! The caches that all roots of a process share, so that each bound holds for all of them together.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::compressed::{COMPRESSED_CACHE_BYTES, Compressor};
use super::dates::Dates;
use super::hiding::Hiding;
use super::listings::{LISTING_CACHE_BYTES, Listings};
use super::open_file_cache::{FILE_CACHE_BYTES, OpenFileCache};
use super::own_files::OwnFiles;
use super::root_id::RootIds;
use crate::in_flight::InFlight;

/// How often files are closed whose entries are stale.
const STALE_TICK: Duration = Duration::from_secs(5);

/// Bytes that the caches of a process hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSizes {
    /// Files that were found, with the content of small ones, of all workers.
    pub files: u64,
    /// Files that were compressed.
    pub compressed: u64,
    /// Listings.
    pub listings: u64,
}

impl Default for CacheSizes {
    fn default() -> CacheSizes {
        CacheSizes {
            files: FILE_CACHE_BYTES,
            compressed: COMPRESSED_CACHE_BYTES,
            listings: LISTING_CACHE_BYTES,
        }
    }
}

/// What the roots of a process share. A root sees no entry of another one: each key holds the
/// number of its root, or the version of a file, which no two files share.
pub struct Caches {
    /// One for each worker.
    lookups: Box<[OpenFileCache]>,
    sizes: CacheSizes,
    compressor: OnceLock<Compressor>,
    listings: OnceLock<Listings>,
    pub(super) dates: Dates,
    /// What responses hold in memory now. Where that is full, files are sent from the disk.
    pub(super) in_flight: &'static InFlight,
    /// Tells a root from the others in the keys of the caches.
    pub(super) roots: RootIds,
    /// Files of the server beneath them.
    pub(super) hiding: Hiding,
}

impl Caches {
    /// Caches for this many workers.
    pub fn new(
        workers: NonZeroUsize,
        sizes: CacheSizes,
        in_flight: &'static InFlight,
    ) -> Arc<Caches> {
        Arc::new(Caches {
            lookups: (0..workers.get())
                .map(|_| OpenFileCache::one_of(workers, sizes.files))
                .collect(),
            sizes,
            compressor: OnceLock::new(),
            listings: OnceLock::new(),
            dates: Dates::new(),
            in_flight,
            roots: RootIds::default(),
            hiding: Hiding::default(),
        })
    }

    /// Has these files of the server, and no others of it, served beneath no root: neither one that is
    /// open nor one to come.
    pub fn hide(&self, own: Arc<OwnFiles>) {
        self.hiding.set(own);
    }

    /// Has these hidden as well, until others are.
    pub fn hide_too(&self, own: Arc<OwnFiles>) {
        self.hiding.add(own);
    }

    /// The lookups of this worker.
    pub(super) fn lookups(&self, worker: usize) -> &OpenFileCache {
        &self.lookups[worker % self.lookups.len()]
    }

    /// What compresses, made for the first root that does.
    pub(super) fn compressor(&self) -> &Compressor {
        self.compressor.get_or_init(|| Compressor::new(self.sizes.compressed))
    }

    /// What lists, made for the first root that does.
    pub(super) fn listings(&self) -> &Listings {
        self.listings.get_or_init(|| Listings::new(self.sizes.listings))
    }

    /// Closes files whose entries are stale, from time to time: one that was removed takes room on
    /// the disk. A thread of its own does it, which no other one waits for: a disk may give no
    /// answer.
    pub fn keep_closing_stale(self: &Arc<Self>) -> io::Result<()> {
        let caches = Arc::clone(self);
        let close = move || {
            loop {
                thread::sleep(STALE_TICK);
                caches.close_stale(Instant::now());
            }
        };
        thread::Builder::new().name("stale-files".to_owned()).spawn(close).map(drop)
    }

    /// Closes files whose entries are stale.
    pub(super) fn close_stale(&self, now: Instant) {
        for cache in &self.lookups {
            cache.close_stale(now);
        }
    }
}
