//! The paths that come most often, in little memory: the space-saving algorithm (Metwally, Agrawal
//! and El Abbadi, 2005), within sets as a processor's cache has them.
//!
//! A path has a place in one of a few sets, by its hash. If all places of its set are taken, it gets
//! that of the path with the lowest count, and counts on from there: what comes often stays, however
//! many paths come once. How much of a count may be another's is kept beside it, and left out when
//! it is told.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Places of a set.
const WAYS: usize = 8;

/// Bytes of a path that are kept: usual ones have 20 to 60.
const PATH_BYTES: usize = 160;

/// The same, and what says that it is cut.
const KEPT_BYTES: usize = PATH_BYTES + "…".len();

/// Seconds of one sketch: paths are those of this one and of the one before.
const PERIOD: u64 = 300;

/// Memory of the paths of both periods, in this many sets.
pub(super) const fn bytes(sets: usize) -> usize {
    2 * sets * (size_of::<Set>() + WAYS * KEPT_BYTES)
}

/// The paths of this period and of the one before.
pub(super) struct Paths {
    sets: usize,
    period: u64,
    current: Sketch,
    before: Sketch,
    hasher: RandomState,
}

impl Paths {
    /// None yet, to be counted in this many sets.
    pub(super) fn of(sets: usize) -> Paths {
        Paths {
            sets,
            period: 0,
            current: Sketch::default(),
            before: Sketch::default(),
            hasher: RandomState::new(),
        }
    }

    /// Counts a path.
    pub(super) fn note(&mut self, second: u64, path: &[u8]) {
        self.move_on(second);
        // Many sites have no path of a kind.
        self.current.0.resize_with(self.sets, Set::default);
        // 0 is an empty place.
        let hash = self.hasher.hash_one(path) | 1;
        self.current.count(hash, path);
    }

    /// Adds the counts.
    pub(super) fn sum(&mut self, second: u64, sums: &mut Sums) {
        self.move_on(second);
        for sketch in [&self.current, &self.before] {
            for Set { counts, others, paths, .. } in &sketch.0 {
                for ((count, other), path) in counts.iter().zip(others).zip(paths) {
                    let sure = count - other;
                    if sure > 0 {
                        let path = String::from_utf8_lossy(path).into_owned();
                        *sums.0.entry(path).or_default() += u64::from(sure);
                    }
                }
            }
        }
    }

    fn move_on(&mut self, second: u64) {
        let period = second / PERIOD;
        if period <= self.period {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.before);
        self.current.clear();
        if period > self.period + 1 {
            self.before.clear();
        }
        self.period = period;
    }
}

/// How many seconds before this one the paths are of.
pub(super) fn covered(second: u64) -> u64 {
    second.min(second % PERIOD + PERIOD)
}

/// What all workers counted.
#[derive(Default)]
pub(super) struct Sums(HashMap<String, u64>);

impl Sums {
    /// The paths with the highest counts.
    pub(super) fn most(self, paths: usize) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(one, more), (other, less)| less.cmp(more).then_with(|| one.cmp(other)));
        all.truncate(paths);
        all
    }
}

/// The counts of one period.
#[derive(Default)]
struct Sketch(Vec<Set>);

/// Those of the paths that have places in one set.
#[derive(Default)]
struct Set {
    hashes: [u64; WAYS],
    counts: [u32; WAYS],
    /// How much of a count may be of paths that had the place before.
    others: [u32; WAYS],
    paths: [Vec<u8>; WAYS],
}

impl Sketch {
    fn count(&mut self, hash: u64, path: &[u8]) {
        let set = (hash >> 32) as usize % self.0.len();
        let Set { hashes, counts, others, paths } = &mut self.0[set];
        if let Some(way) = hashes.iter().position(|&other| other == hash) {
            counts[way] = counts[way].saturating_add(1);
            return;
        }
        let lowest = (0..WAYS).min_by_key(|&way| counts[way]);
        let way = lowest.expect("a set has places");
        hashes[way] = hash;
        others[way] = counts[way];
        counts[way] = counts[way].saturating_add(1);
        let kept = &mut paths[way];
        kept.clear();
        // No more than that, as growing would double it.
        kept.reserve_exact(path.len().min(KEPT_BYTES));
        kept.extend_from_slice(&path[..path.len().min(PATH_BYTES)]);
        if path.len() > PATH_BYTES {
            kept.extend_from_slice("…".as_bytes());
        }
    }

    fn clear(&mut self) {
        for set in &mut self.0 {
            // Its texts keep their memory.
            (set.hashes, set.counts, set.others) = ([0; WAYS], [0; WAYS], [0; WAYS]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, Paths, Sums};

    const SETS: usize = 16;

    fn most(paths: &mut Paths, second: u64) -> Vec<(String, u64)> {
        let mut sums = Sums::default();
        paths.sum(second, &mut sums);
        sums.most(3)
    }

    #[test]
    fn frequent_paths_stay_among_many_others() {
        let mut paths = Paths::of(SETS);
        for number in 0..20_000 {
            paths.note(1, format!("/once/{number}").as_bytes());
            for (path, every) in [("/a", 2), ("/b", 4), ("/c", 8)] {
                if number % every == 0 {
                    paths.note(1, path.as_bytes());
                }
            }
        }
        let told = most(&mut paths, 2);
        let names: Vec<_> = told.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["/a", "/b", "/c"], "{told:?}");
        // No more than there were, and not many fewer.
        for ((_, told), exact) in told.iter().zip([10_000, 5_000, 2_500]) {
            assert!(*told <= exact && *told >= exact - 500, "{told} of {exact}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut paths = Paths::of(SETS);
        for number in 0..1_000 {
            paths.note(1, format!("/{number}/{}", "x".repeat(5_000)).as_bytes());
        }
        let mut texts = paths.current.0.iter().flat_map(|set| &set.paths);
        assert_eq!(paths.current.0.len(), SETS);
        assert!(texts.all(|path| path.capacity() <= KEPT_BYTES));
    }

    #[test]
    fn paths_are_forgotten_after_two_periods() {
        let mut paths = Paths::of(SETS);
        paths.note(1, b"/old");
        assert_eq!(most(&mut paths, 300), [("/old".to_owned(), 1)]);
        paths.note(301, b"/new");
        assert_eq!(most(&mut paths, 599).len(), 2);
        assert_eq!(most(&mut paths, 600), [("/new".to_owned(), 1)]);
        assert!(most(&mut paths, 1_500).is_empty());
    }
}
