//! The live instances of each worker, and of the threads for slow decisions: those of the guests that
//! were used last.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::instance::LiveInstance;
use crate::lock::lock;

/// Instances that a worker keeps, or all threads for slow decisions, and what all keep together: each
/// reserves some GiB of addresses, and takes none of them. Of other guests one is made for each decision that is
/// not cached, as without live instances.
const KEPT: usize = 32;
const KEPT_BY_ALL: usize = 512;

/// How many a thread keeps that has this many beside it.
pub(super) fn kept(workers: usize) -> usize {
    (KEPT_BY_ALL / workers.saturating_add(1)).clamp(1, KEPT)
}

/// Bytes of memory that they have at most, if they are more than one.
pub const KEPT_BYTES: usize = 64 << 20;

/// The thread that decides.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) enum Decider {
    /// A worker, by its number.
    Worker(usize),
    /// One of those for slow decisions.
    SlowPool,
}

/// The instances of all threads.
pub(in crate::guest::runtime) struct AllInstances {
    workers: Box<[Instances]>,
    slow_pool: Instances,
}

impl AllInstances {
    /// For this many workers.
    pub(in crate::guest::runtime) fn new(workers: usize) -> AllInstances {
        let most = kept(workers);
        let of_thread = || Instances { most, ..Instances::default() };
        AllInstances {
            workers: (0..workers).map(|_| of_thread()).collect(),
            slow_pool: of_thread(),
        }
    }

    /// How many there may be at a time with this many workers and as many threads for slow decisions: those
    /// that are kept, those that decide, and one to try a guest.
    pub(in crate::guest::runtime) fn most(workers: u32) -> u32 {
        let kept = kept(usize::try_from(workers).unwrap_or(usize::MAX));
        let kept = u32::try_from(kept).unwrap_or(u32::MAX);
        kept.saturating_mul(workers.saturating_add(1)).saturating_add(2 * workers).saturating_add(1)
    }

    /// Those of one thread.
    pub(super) fn of(&self, decider: Decider) -> &Instances {
        match decider {
            Decider::Worker(number) => &self.workers[number % self.workers.len()],
            Decider::SlowPool => &self.slow_pool,
        }
    }

    /// Those of each thread.
    pub(in crate::guest::runtime) fn each(&self) -> impl Iterator<Item = &Instances> {
        self.workers.iter().chain([&self.slow_pool])
    }
}

/// Instances that are not in use, and what came of them. Each worker has its own, so that no core
/// fetches the counters of another.
#[derive(Default)]
pub(in crate::guest::runtime) struct Instances {
    /// The one that was used last at the end, each with the number of its guest.
    kept: Mutex<Vec<(u64, LiveInstance)>>,
    /// How many are kept.
    most: usize,
    /// How often one was put back, or could not be.
    pub(super) resets: AtomicU64,
    /// Decisions that were made on one that stayed.
    pub(in crate::guest::runtime) decisions: AtomicU64,
    /// Instances that were made to stay.
    pub(in crate::guest::runtime) made: AtomicU64,
}

impl Instances {
    /// Takes out one of this guest.
    pub(super) fn take(&self, guest: u64) -> Option<LiveInstance> {
        let mut kept = lock(&self.kept);
        let place = kept.iter().rposition(|(number, _)| *number == guest)?;
        Some(kept.remove(place).1)
    }

    /// Keeps one, and gives up those that were not used for longest if they are too many.
    pub(super) fn put(&self, guest: u64, instance: LiveInstance) {
        let mut kept = lock(&self.kept);
        kept.push((guest, instance));
        let is_too_much = |kept: &[(u64, LiveInstance)]| {
            let bytes = |(_, instance): &(u64, LiveInstance)| instance.memory_bytes();
            kept.len() > self.most
                || (kept.len() > 1 && kept.iter().map(bytes).sum::<usize>() > KEPT_BYTES)
        };
        let mut given_up = Vec::new();
        while is_too_much(&kept) {
            given_up.push(kept.remove(0));
        }
        // That may take long.
        drop(kept);
        drop(given_up);
    }

    /// Gives up all of this guest.
    pub(super) fn forget(&self, guest: u64) {
        let of_guest = |(number, _): &mut (u64, LiveInstance)| *number == guest;
        let given_up: Vec<_> = lock(&self.kept).extract_if(.., of_guest).collect();
        drop(given_up);
    }
}
