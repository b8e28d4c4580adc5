//! Keeps what is asked for once out of a cache that is full: to put it in and to take something else
//! out costs as much as a decision.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of a cache for each key that is remembered: half of what a decision weighs, so that what comes
/// twice is known while as many keys come as the cache has.
const BYTES_PER_PLACE: u64 = 128;

/// Keys that are remembered at least, and at most: 32 KiB to 4 MiB for each worker.
const PLACES: RangeInclusive<usize> = 8 << 10..=1 << 20;

/// One key in so many is let in the first time: what is asked for by and by replaces what no longer is,
/// however many there are.
const AT_RANDOM: u64 = 32;

/// The keys that were seen lately, by their hashes. That two keys have one hash lets one in early.
pub(super) struct Doorkeeper {
    seen: Box<[AtomicU32]>,
    hasher: RandomState,
    asked: AtomicU64,
}

impl Doorkeeper {
    /// For caches of this many bytes.
    pub(super) fn of(cache_bytes: u64) -> Doorkeeper {
        let places = usize::try_from(cache_bytes / BYTES_PER_PLACE).unwrap_or(usize::MAX);
        let places = places.clamp(*PLACES.start(), *PLACES.end());
        let seen = (0..places).map(|_| AtomicU32::new(0)).collect();
        Doorkeeper { seen, hasher: RandomState::new(), asked: AtomicU64::new(0) }
    }

    /// Whether this key of this cache was seen lately. From now on it was.
    pub(super) fn lets_in(&self, cache: usize, key: &[u8]) -> bool {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(cache);
        hasher.write(key);
        let hash = hasher.finish();
        let mark = u32::try_from(hash >> 32).unwrap_or_default() | 1;
        let places = u64::try_from(self.seen.len()).unwrap_or(1);
        let place = usize::try_from(hash % places).unwrap_or_default();
        let is_known = self.seen[place].swap(mark, Ordering::Relaxed) == mark;
        is_known || self.asked.fetch_add(1, Ordering::Relaxed) % AT_RANDOM == AT_RANDOM - 1
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_RANDOM, Doorkeeper, PLACES};

    #[test]
    fn key_is_let_in_the_second_time() {
        let doorkeeper = Doorkeeper::of(0);
        assert!(!doorkeeper.lets_in(1, b"a"));
        assert!(doorkeeper.lets_in(1, b"a") && doorkeeper.lets_in(1, b"a"));
        assert!(!doorkeeper.lets_in(2, b"a"), "another cache");
    }

    #[test]
    fn of_a_flood_few_keys_are_let_in_and_they_are_forgotten() {
        let doorkeeper = Doorkeeper::of(0);
        let places = *PLACES.start();
        let few = places / usize::try_from(AT_RANDOM).expect("small") + 10;
        let flood = |number: usize| number.to_string().into_bytes();
        let let_in = (0..places * 20).filter(|number| doorkeeper.lets_in(1, &flood(*number)));
        let let_in = let_in.count();
        assert!((few..few * 21).contains(&let_in), "{let_in}");
        let again = (0..places).filter(|number| doorkeeper.lets_in(1, &flood(*number))).count();
        assert!(again < few * 2, "{again}");
    }

    #[test]
    fn large_cache_has_more_keys_remembered() {
        let doorkeeper = Doorkeeper::of(64 << 20);
        let key = |number: usize| number.to_string().into_bytes();
        let many = PLACES.start() * 10;
        for number in 0..many {
            doorkeeper.lets_in(1, &key(number));
        }
        let again = (0..many).filter(|number| doorkeeper.lets_in(1, &key(*number))).count();
        assert!(again > many * 4 / 5, "{again}");
    }
}
