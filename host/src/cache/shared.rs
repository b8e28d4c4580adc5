//! A cache that several owners share, of which none takes all: while most of what is added is of one
//! of them, what the others add is kept apart from it, in a quarter of the bytes at most.
//!
//! Requests made only once push nothing out in any case; this is for a flood of many that are each
//! made several times, and for entries that are asked for rarely.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, OnceLock};

use quick_cache::Equivalent;

use super::{Cache, unsharded};
use crate::lock::lock;

/// What is kept apart has one in so many of all bytes at most.
const APART: u64 = 4;

/// Owners whose additions are counted at a time: more make no flood.
const OWNERS: usize = 64;

/// A cache of entries that each have an owner.
pub struct SharedCache<K, V> {
    all: Cache<K, V>,
    /// What is kept apart, made for the first flood.
    apart: OnceLock<Cache<K, V>>,
    weigh: fn(&K, &V) -> u64,
    bytes: u64,
    usual_entry_bytes: u64,
    additions: Mutex<Additions>,
}

/// What was added of late.
#[derive(Debug, Default)]
struct Additions {
    /// Bytes by owner, and of all, since they were compared last.
    of: HashMap<u32, u64>,
    total: u64,
    first: Option<u32>,
    /// Whether there was ever another owner than that one.
    are_several: bool,
    /// The owner of most of what was added before.
    flooding: Option<u32>,
    /// Bytes that are set aside for what is kept apart.
    apart: u64,
}

/// Where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    All,
    Apart,
}

impl<K: Eq + Hash, V: Clone> SharedCache<K, V> {
    /// One that holds this many bytes, as [`unsharded`] makes them.
    pub fn new(bytes: u64, usual_entry_bytes: u64, weigh: fn(&K, &V) -> u64) -> SharedCache<K, V> {
        SharedCache {
            all: unsharded(bytes, usual_entry_bytes, weigh),
            apart: OnceLock::new(),
            weigh,
            bytes,
            usual_entry_bytes,
            additions: Mutex::default(),
        }
    }

    /// The entry with this key.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.all.get(key).or_else(|| self.apart.get()?.get(key))
    }

    /// Adds an entry of this owner.
    pub fn insert(&self, owner: u32, key: K, value: V) {
        let weight = (self.weigh)(&key, &value);
        // One that is renewed takes nobody's place. To look is no use of it.
        let is_renewed = self.both().any(|cache| cache.contains_key(&key));
        let added = if is_renewed { 0 } else { weight };
        match self.side(owner, weight, added) {
            Side::All => {
                if let Some(apart) = self.apart.get() {
                    apart.remove(&key);
                }
                self.all.insert(key, value);
            }
            Side::Apart => {
                self.all.remove(&key);
                self.apart().insert(key, value);
            }
        }
    }

    /// Keeps the entries for which this is true.
    pub fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        for cache in self.both() {
            cache.retain(&keep);
        }
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)>
    where
        K: Clone,
    {
        self.both().flat_map(Cache::iter)
    }

    /// The bytes of all entries.
    pub fn weight(&self) -> u64 {
        self.both().map(Cache::weight).sum()
    }

    fn both(&self) -> impl Iterator<Item = &Cache<K, V>> {
        [&self.all].into_iter().chain(self.apart.get())
    }

    fn apart(&self) -> &Cache<K, V> {
        self.apart.get_or_init(|| unsharded(self.bytes / APART, self.usual_entry_bytes, self.weigh))
    }

    /// Where an entry of this owner goes that weighs this much, `added` of it anew. Makes room for it
    /// there.
    fn side(&self, owner: u32, weight: u64, added: u64) -> Side {
        let mut additions = lock(&self.additions);
        if additions.note(owner, added, self.bytes) && additions.flooding.is_none() {
            // What is apart is less and less, and the rest has its bytes again.
            additions.apart /= 2;
            self.divide(additions.apart);
        }
        if additions.flooding.is_none_or(|flooding| flooding == owner) {
            return Side::All;
        }
        let needed = (self.apart().weight() + weight).min(self.bytes / APART);
        if needed > additions.apart {
            // In steps: each of them looks through the entries.
            additions.apart = (needed + self.bytes / APART / 8).min(self.bytes / APART);
            self.divide(additions.apart);
        }
        Side::Apart
    }

    fn divide(&self, apart: u64) {
        if let Some(kept) = self.apart.get() {
            kept.set_capacity(apart.max(1));
            self.all.set_capacity(self.bytes - apart);
        }
    }
}

impl Additions {
    /// Counts what an owner adds. Each time that this many bytes were added, looks who floods, and
    /// returns true.
    fn note(&mut self, owner: u32, bytes: u64, window: u64) -> bool {
        let first = *self.first.get_or_insert(owner);
        self.are_several |= owner != first;
        if !self.are_several {
            return false;
        }
        if self.of.len() < OWNERS || self.of.contains_key(&owner) {
            *self.of.entry(owner).or_default() += bytes;
        }
        self.total += bytes;
        if self.total < window {
            return false;
        }
        let most = self.of.iter().max_by_key(|(_, bytes)| **bytes);
        let most = most.filter(|(_, bytes)| **bytes > self.total / 2);
        self.flooding = most.map(|(owner, _)| *owner);
        (self.total, self.of) = (0, HashMap::new());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::SharedCache;

    const BYTES: u64 = 1 << 20;
    const ENTRY: u64 = 8 << 10;

    /// Asks for each of these.
    fn ask_all(cache: &SharedCache<(u32, u32), ()>, owner: u32, numbers: std::ops::Range<u32>) {
        for number in numbers {
            ask(cache, owner, number);
        }
    }

    /// Gets or adds, and tells whether it was there.
    fn ask(cache: &SharedCache<(u32, u32), ()>, owner: u32, number: u32) -> bool {
        let was_there = cache.get(&(owner, number)).is_some();
        if !was_there {
            cache.insert(owner, (owner, number), ());
        }
        was_there
    }

    fn cache() -> SharedCache<(u32, u32), ()> {
        SharedCache::new(BYTES, ENTRY, |_, ()| ENTRY)
    }

    #[test]
    fn what_is_asked_for_rarely_stays_beside_a_flood_of_another() {
        let cache = cache();
        let mut next = 0;
        let mut rounds = |rounds: u32| {
            let mut hits = 0;
            for _ in 0..rounds {
                hits += (0..20).filter(|&number| ask(&cache, 1, number)).count();
                // Ten times what fits, each three times.
                for _ in 0..10 * BYTES / ENTRY {
                    next += 1;
                    (0..3).for_each(|_| ask_all(&cache, 2, next..next + 1));
                }
                assert!(cache.weight() <= BYTES);
            }
            hits
        };
        rounds(2);
        assert_eq!(rounds(10), 200);
        // The one that floods has three quarters of it.
        let own = cache.iter().filter(|((owner, _), ())| *owner == 2).count() as u64;
        assert!(own * ENTRY >= BYTES / 2, "{own}");
    }

    #[test]
    fn entries_that_are_renewed_are_no_flood() {
        let cache = cache();
        ask(&cache, 2, 0);
        let twice = u32::try_from(2 * BYTES / ENTRY).expect("is small");
        for _ in 0..twice {
            (0..20).for_each(|number| cache.insert(1, (1, number), ()));
        }
        // All that is left is for the other.
        let rest = u32::try_from(BYTES / ENTRY).expect("is small") - 20;
        ask_all(&cache, 2, 0..rest);
        assert_eq!(cache.iter().count() as u64, BYTES / ENTRY);
    }

    #[test]
    fn all_bytes_are_for_what_is_asked_for() {
        let cache = cache();
        let most = u32::try_from(BYTES / ENTRY).expect("is small");
        // Of one owner, of several, and after a flood.
        ask_all(&cache, 1, 0..most);
        assert_eq!(cache.iter().count() as u64, BYTES / ENTRY);
        ask_all(&cache, 2, 0..20 * most);
        ask_all(&cache, 1, 1_000_000..1_000_040);
        for number in 0..20 * most {
            (2..6).for_each(|owner| ask_all(&cache, owner, number..number + 1));
        }
        assert!(cache.weight() >= BYTES - BYTES / 16, "{}", cache.weight());
        assert!(cache.weight() <= BYTES);
    }
}
