//! The bytes that all decision caches of one worker have together, and the share of each.
//!
//! A cache takes of them as it grows. When they are all taken, one that has less than another gets
//! of what that has, until both have the same: those that are asked for little lose nothing to one
//! that is flooded. One that was not used for a while gives all that it has.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::doorkeeper::Doorkeeper;
use crate::cache::Cache;
use crate::guest::decision::Decision;
use crate::lock::lock;

/// What a cache takes at first, if there is as much.
const FIRST: u64 = 64 << 10;

/// The least that is taken from another one: an entry or two.
const LEAST: u64 = 1 << 10;

/// After which time without use a cache gives what it has: its guest was replaced, or its site has
/// few clients.
const IDLE: Duration = Duration::from_secs(60);

/// Entries that a cache keeps by dropping others before it asks for more again.
const PAUSE: u32 = 64;

/// Decisions by what they depend on.
pub(super) type Decisions = Cache<Box<[u8]>, Arc<Decision>>;

/// The bytes of one worker.
pub(super) struct CacheBudget {
    total: u64,
    shares: Mutex<Vec<Weak<Share>>>,
    doorkeeper: Doorkeeper,
}

/// A cache, and what it has of the budget.
pub(super) struct Share {
    pub(super) decisions: Decisions,
    budget: Arc<CacheBudget>,
    granted: AtomicU64,
    /// Entries until it asks again.
    pause: AtomicU32,
    /// How often a decision was there.
    pub(super) hits: AtomicU64,
    /// How often it was not.
    pub(super) misses: AtomicU64,
    /// How often that was when it was looked at, and since when.
    seen: Mutex<(u64, Instant)>,
}

impl CacheBudget {
    /// This many bytes.
    pub(super) fn new(total: u64) -> Arc<CacheBudget> {
        let doorkeeper = Doorkeeper::of(total);
        Arc::new(CacheBudget { total, shares: Mutex::default(), doorkeeper })
    }

    /// All of them.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Gives a cache its share, which is nothing at first.
    pub(super) fn share(self: &Arc<Self>, decisions: Decisions) -> Arc<Share> {
        decisions.set_capacity(1);
        let share = Arc::new(Share {
            decisions,
            budget: Arc::clone(self),
            granted: AtomicU64::new(0),
            pause: AtomicU32::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            seen: Mutex::new((0, Instant::now())),
        });
        let mut shares = lock(&self.shares);
        shares.retain(|share| share.strong_count() > 0);
        shares.push(Arc::downgrade(&share));
        share
    }

    /// Makes this share larger by these bytes at least, if that is fair.
    fn grow(&self, own: &Share, bytes: u64) -> bool {
        let shares = lock(&self.shares);
        let others: Vec<_> = shares.iter().filter_map(Weak::upgrade).collect();
        let others = || others.iter().filter(|share| !std::ptr::eq(&***share, own));
        let had = own.granted();
        let wanted = had.max(FIRST).max(bytes).min(self.total);
        let taken: u64 = had + others().map(|share| share.granted()).sum::<u64>();
        let mut got = self.total.saturating_sub(taken).min(wanted);
        let now = Instant::now();
        while got < bytes {
            let has_some = || others().filter(|share| share.granted() > 0);
            let idle = has_some().filter(|share| share.is_idle(now));
            let (from, most) = match idle.max_by_key(|share| share.granted()) {
                Some(idle) => (idle, idle.granted()),
                None => {
                    let Some(richest) = has_some().max_by_key(|share| share.granted()) else {
                        break;
                    };
                    (richest, richest.granted().saturating_sub(had + got) / 2)
                }
            };
            let take = most.min(wanted - got);
            if take < LEAST.min(bytes) {
                break;
            }
            from.resize(from.granted() - take);
            got += take;
        }
        if got > 0 {
            own.resize(had + got);
        }
        got >= bytes
    }
}

impl Share {
    /// Keeps a decision that weighs this much.
    pub(super) fn insert(&self, key: &[u8], decision: &Arc<Decision>, weight: u64) {
        let lacking = (self.decisions.weight() + weight).saturating_sub(self.granted());
        if lacking > 0 {
            let pause = self.pause.load(Ordering::Relaxed);
            let has_grown = if pause > 0 {
                self.pause.store(pause - 1, Ordering::Relaxed);
                false
            } else {
                let has_grown = self.budget.grow(self, lacking);
                if !has_grown {
                    self.pause.store(PAUSE, Ordering::Relaxed);
                }
                has_grown
            };
            // Where there is room, each decision is made once.
            if !has_grown && !self.budget.doorkeeper.lets_in(std::ptr::from_ref(self).addr(), key) {
                return;
            }
        }
        self.decisions.insert(key.into(), Arc::clone(decision));
    }

    fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    fn resize(&self, bytes: u64) {
        self.granted.store(bytes, Ordering::Relaxed);
        self.decisions.set_capacity(bytes.max(1));
    }

    /// Whether it was not used for long. It is looked at when another one wants more.
    fn is_idle(&self, now: Instant) -> bool {
        let uses = self.hits.load(Ordering::Relaxed) + self.misses.load(Ordering::Relaxed);
        let mut seen = lock(&self.seen);
        if seen.0 != uses {
            *seen = (uses, now);
        }
        now.saturating_duration_since(seen.1) >= IDLE
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use super::{CacheBudget, Decisions, IDLE, Share};
    use crate::cache;
    use crate::guest::decision::Decision;
    use crate::http::Fields;
    use crate::lock::lock;

    const TOTAL: u64 = 1 << 20;
    const ENTRY: u64 = 256;

    fn decisions() -> Decisions {
        cache::unsharded(TOTAL, ENTRY, |_, _| ENTRY)
    }

    fn fill(share: &Share, entries: u32) {
        let (status, fields, body) = (200, Fields::new(), Vec::new().into());
        let decision = Arc::new(Decision::Reply { status, fields, body });
        for number in 0..entries {
            share.misses.fetch_add(1, Ordering::Relaxed);
            share.insert(&number.to_be_bytes(), &decision, ENTRY);
        }
    }

    #[test]
    fn one_cache_may_have_all() {
        let budget = CacheBudget::new(TOTAL);
        let one = budget.share(decisions());
        assert_eq!(one.granted(), 0);
        fill(&one, 10);
        assert_eq!(one.granted(), super::FIRST);
        fill(&one, 10_000);
        assert_eq!(one.granted(), TOTAL);
        assert!((TOTAL * 9 / 10..=TOTAL).contains(&one.decisions.weight()));
    }

    #[test]
    fn flooded_cache_gives_others_their_part() {
        let budget = CacheBudget::new(TOTAL);
        let shares: Vec<_> = (0..8).map(|_| budget.share(decisions())).collect();
        fill(&shares[0], 20_000);
        for share in &shares[1..] {
            fill(share, 20_000);
        }
        fill(&shares[0], 20_000);
        let granted: Vec<_> = shares.iter().map(|share| share.granted()).collect();
        assert!(granted.iter().sum::<u64>() <= TOTAL, "{granted:?}");
        for share in &shares {
            assert!(share.granted() >= TOTAL / 16, "{granted:?}");
            assert!(share.decisions.weight() <= share.granted(), "{granted:?}");
        }
    }

    #[test]
    fn small_cache_loses_nothing_to_a_flood() {
        let budget = CacheBudget::new(TOTAL);
        let (small, flooded) = (budget.share(decisions()), budget.share(decisions()));
        fill(&small, 100);
        let granted = small.granted();
        fill(&flooded, 50_000);
        assert_eq!((small.granted(), small.decisions.len()), (granted, 100));
        assert_eq!(flooded.granted(), TOTAL - granted);
    }

    #[test]
    fn cache_that_is_gone_or_idle_gives_what_it_had() {
        let budget = CacheBudget::new(TOTAL);
        let (gone, idle, used) =
            (budget.share(decisions()), budget.share(decisions()), budget.share(decisions()));
        fill(&gone, 2_000);
        fill(&idle, 20_000);
        let long_ago = Instant::now().checked_sub(IDLE).expect("the machine runs for longer");
        *lock(&idle.seen) = (20_000, long_ago);
        drop(gone);
        fill(&used, 20_000);
        assert_eq!((idle.granted(), used.granted()), (0, TOTAL));
        assert!(idle.decisions.weight() <= ENTRY);
    }
}
