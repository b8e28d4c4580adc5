//! Keeps what is asked for once out of a cache that is full: to put it in and to take something else
//! out costs as much as a decision.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Keys that are remembered: the last one of each place. 32 KiB for each worker.
const PLACES: usize = 8 << 10;

/// The keys that were seen lately, by their hashes. That two keys have one hash lets one in early.
pub(super) struct Doorkeeper {
    seen: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl Default for Doorkeeper {
    fn default() -> Doorkeeper {
        let seen = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Doorkeeper { seen, hasher: RandomState::new() }
    }
}

impl Doorkeeper {
    /// Whether this key of this cache was seen lately. From now on it was.
    pub(super) fn lets_in(&self, cache: usize, key: &[u8]) -> bool {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(cache);
        hasher.write(key);
        let hash = hasher.finish();
        let mark = u32::try_from(hash >> 32).unwrap_or_default() | 1;
        let places = u64::try_from(self.seen.len()).unwrap_or(1);
        let place = usize::try_from(hash % places).unwrap_or_default();
        self.seen[place].swap(mark, Ordering::Relaxed) == mark
    }
}

#[cfg(test)]
mod tests {
    use super::{Doorkeeper, PLACES};

    #[test]
    fn key_is_let_in_the_second_time() {
        let doorkeeper = Doorkeeper::default();
        assert!(!doorkeeper.lets_in(1, b"a"));
        assert!(doorkeeper.lets_in(1, b"a") && doorkeeper.lets_in(1, b"a"));
        assert!(!doorkeeper.lets_in(2, b"a"), "another cache");
    }

    #[test]
    fn keys_of_a_flood_are_forgotten() {
        let doorkeeper = Doorkeeper::default();
        let flood = |number: usize| number.to_string().into_bytes();
        let let_in = (0..PLACES * 20).filter(|number| doorkeeper.lets_in(1, &flood(*number)));
        assert!(let_in.count() < 10);
        let again = (0..PLACES).filter(|number| doorkeeper.lets_in(1, &flood(*number))).count();
        assert!(again < PLACES / 100, "{again}");
    }
}
