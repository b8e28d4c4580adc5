//! Bytes that are being sent, and a bound on them.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Bytes of files that are in memory for responses at a time, by default. 2,000 slow clients of
/// small files, which then go on without: sending from the file costs two system calls more.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The same of bodies that guests made, and of listings, by default. 64 of the largest.
pub const MAX_REPLY_BYTES: u64 = 64 << 20;

/// Contents of files: small ones, and compressed ones.
pub static FILES: InFlight = InFlight::new(MAX_FILE_BYTES);

/// Contents that exist nowhere else: replies of guests, and listings.
pub static REPLIES: InFlight = InFlight::new(MAX_REPLY_BYTES);

/// Bytes of one kind of content that are being sent, for the whole process.
pub struct InFlight {
    most: AtomicU64,
    /// What each thread added and took away: the sum counts. The response may end on another
    /// thread than it began on.
    shards: [Shard; SHARDS],
    refused: AtomicU64,
}

/// Threads count on cache lines of their own, as long as there are no more than these.
const SHARDS: usize = 16;

#[repr(align(128))]
struct Shard(AtomicI64);

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

impl InFlight {
    /// A count that is full at this many bytes.
    pub(crate) const fn new(most: u64) -> InFlight {
        let shards = [const { Shard(AtomicI64::new(0)) }; SHARDS];
        InFlight { most: AtomicU64::new(most), shards, refused: AtomicU64::new(0) }
    }

    /// Sets the bytes at which it is full.
    pub fn set_limit(&self, bytes: u64) {
        self.most.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that are being sent.
    pub fn bytes(&self) -> u64 {
        let sum: i64 = self.shards.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum();
        // The shards are not read at one moment.
        u64::try_from(sum).unwrap_or(0)
    }

    /// How often something was not held in memory because it was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether nothing more should be held in memory now. Counts it if so.
    pub fn is_full(&self) -> bool {
        let is_full = self.bytes() >= self.most.load(Ordering::Relaxed);
        if is_full {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_full
    }

    /// The bytes at which it is full.
    pub(super) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// Counts something that was refused.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: usize, sign: i64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        SHARD.with(|shard| self.shards[*shard].0.fetch_add(sign * bytes, Ordering::Relaxed));
    }
}
