//! What was found a moment ago.
//!
//! A worker that is busy looks at a file once in a while, and not for each request:
//! opening, reading and closing a small file costs as much as all the rest. A worker
//! that is not busy always looks, so that who edits a site and reloads a page sees
//! what was written.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_cache::Equivalent;

use super::content::Content;
use super::encodings::Accepted;
use super::found::Lookup;
use super::kept_fields::KEPT_FIELDS_BYTES;
use super::lookup_rate::LookupRate;
use crate::cache::{self, Cache};

/// Bytes that all caches of a server may hold.
const BYTES: u64 = 32 << 20;

/// Files of one cache that stay open because they are too large to hold.
pub const OPEN_FILES: u64 = 32;

/// What an entry takes besides its path and its content.
const ENTRY_OVERHEAD: u64 = 512;

/// What an entry of a usual site takes in all.
const USUAL_ENTRY_BYTES: u64 = 8 << 10;

/// A cache of one worker.
pub(super) struct OpenFileCache {
    found: Cache<Key, Entry>,
    /// What an open file weighs, so that there are few of them.
    open_file_bytes: u64,
    /// How long what was found is good for.
    good_for: Duration,
    /// Whether there may be files that stay open.
    has_open_files: AtomicBool,
    rate: LookupRate,
}

/// A path, and the forms that its reader accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    path: Box<str>,
    accepted: Accepted,
}

/// The same, borrowed.
struct Wanted<'a> {
    path: &'a str,
    accepted: &'a Accepted,
}

#[derive(Clone)]
struct Entry {
    found: Lookup,
    at: Instant,
    /// What it takes, with its key.
    bytes: u64,
}

impl OpenFileCache {
    /// One of this many caches. What is on it is good for this long.
    pub(super) fn one_of(caches: usize, good_for: Duration) -> OpenFileCache {
        let bytes = BYTES / caches.max(1) as u64;
        let found = cache::unsharded(bytes, USUAL_ENTRY_BYTES, |_, entry: &Entry| entry.bytes);
        let open_file_bytes = bytes / OPEN_FILES;
        OpenFileCache {
            found,
            open_file_bytes,
            good_for,
            has_open_files: AtomicBool::new(false),
            rate: LookupRate::new(),
        }
    }

    /// Whether this worker is busy now. Counts the lookup.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        self.rate.count(now)
    }

    /// What was found here a moment ago.
    pub(super) fn recall(&self, path: &str, accepted: &Accepted, now: Instant) -> Option<Lookup> {
        let entry = self.found.get(&Wanted { path, accepted })?;
        (now.saturating_duration_since(entry.at) < self.good_for).then_some(entry.found)
    }

    /// What was found here, however long ago.
    pub(super) fn recall_whenever(&self, path: &str, accepted: &Accepted) -> Option<Lookup> {
        self.found.get(&Wanted { path, accepted }).map(|entry| entry.found)
    }

    /// Remembers what was found at that time.
    pub(super) fn remember(&self, path: &str, accepted: &Accepted, found: &Lookup, at: Instant) {
        let key = Key { path: path.into(), accepted: accepted.clone() };
        let entry = Entry { found: found.clone(), at, bytes: self.weigh(&key, found) };
        let is_open = entry.is_open_file();
        self.found.insert(key, entry);
        if is_open {
            self.has_open_files.store(true, Ordering::Relaxed);
        }
    }

    fn weigh(&self, key: &Key, found: &Lookup) -> u64 {
        let content = match found {
            Lookup::File(file) => match &file.content {
                // What is prepared for it comes later, and is not weighed again.
                Content::Memory(content) => (content.len() + 3 * KEPT_FIELDS_BYTES) as u64,
                Content::File(_) => self.open_file_bytes,
            },
            _ => 0,
        };
        ENTRY_OVERHEAD + (key.path.len() + key.accepted.codings.len()) as u64 + content
    }

    /// Closes files that are good for nothing any more. Who asks for one has it opened anew
    /// in any case; until then an open one that was removed would keep its room on the disk,
    /// and its file system from being unmounted. Any thread may call this.
    pub(super) fn let_go(&self, now: Instant) {
        // It takes the worker's time to go through all of it, and most have none.
        if self.has_open_files.swap(false, Ordering::Relaxed) {
            // They are closed when the worker may use its cache again: a network file system
            // may take its time for that.
            let closed = RefCell::new(Vec::new());
            self.found.retain(|_, entry| {
                let is_stale = now.saturating_duration_since(entry.at) >= self.good_for;
                match (entry.is_open_file(), is_stale) {
                    (true, true) => closed.borrow_mut().push(entry.found.clone()),
                    (true, false) => self.has_open_files.store(true, Ordering::Relaxed),
                    (false, _) => {}
                }
                !(entry.is_open_file() && is_stale)
            });
        }
    }
}

impl Entry {
    fn is_open_file(&self) -> bool {
        matches!(&self.found, Lookup::File(file) if matches!(file.content, Content::File(_)))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Wanted { path: &self.path, accepted: &self.accepted }.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
        self.accepted.hash(state);
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.path == *key.path && *self.accepted == key.accepted
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::{Duration, Instant};

    use super::{Accepted, Lookup, OpenFileCache};
    use crate::files::encodings::Coding;
    use crate::files::{Files, Options, Recency};

    const GOOD_FOR: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_found_is_good_for_a_second() {
        let cache = OpenFileCache::one_of(2, GOOD_FOR);
        let now = Instant::now();
        let plain = Accepted::default();
        cache.remember("a", &plain, &Lookup::Missing, now);
        let recalls = |path, accepted, later| cache.recall(path, accepted, now + later).is_some();
        assert!(recalls("a", &plain, Duration::ZERO));
        assert!(recalls("a", &plain, GOOD_FOR - Duration::from_nanos(1)));
        assert!(!recalls("a", &plain, GOOD_FOR));
        assert!(!recalls("b", &plain, Duration::ZERO));
        let gzip = Accepted { codings: [Coding::Gzip].into(), ready_made: false };
        assert!(!recalls("a", &gzip, Duration::ZERO));
        cache.remember("a", &gzip, &Lookup::Missing, now);
        assert!(!recalls("a", &Accepted { ready_made: true, ..gzip.clone() }, Duration::ZERO));
    }

    #[test]
    fn a_file_that_nobody_asks_for_any_more_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("large.bin"), vec![0; 100 << 10]).expect("written");
        std::fs::write(folder.path().join("small.bin"), b"small").expect("written");
        let options = Options { cache_valid: GOOD_FOR, ..Options::default() };
        let files = Files::open(folder.path(), options, NonZeroUsize::MIN).expect("a site");
        let cache = &files.caches[0];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let deadline = Instant::now() + Duration::from_secs(20);
        // A busy worker remembers both, once they were not written just now.
        while cache.found.len() < 2 {
            assert!(Instant::now() < deadline, "{} of 2 are remembered", cache.found.len());
            for name in ["small.bin", "large.bin"] {
                runtime.block_on(files.find(0, name, &Accepted::default(), Recency::Lately));
            }
        }
        let now = Instant::now();
        cache.let_go(now - GOOD_FOR);
        assert_eq!(cache.found.len(), 2);
        cache.let_go(now + GOOD_FOR);
        assert_eq!(cache.found.len(), 1);
        assert!(cache.recall("small.bin", &Accepted::default(), now - GOOD_FOR).is_some());
        assert!(cache.recall("large.bin", &Accepted::default(), now - GOOD_FOR).is_none());
    }

    #[test]
    fn what_is_held_is_bounded() {
        let cache = OpenFileCache::one_of(1, GOOD_FOR);
        let now = Instant::now();
        for number in 0..200_000 {
            cache.remember(
                &format!("missing/{number}"),
                &Accepted::default(),
                &Lookup::Missing,
                now,
            );
        }
        assert!(cache.found.weight() <= super::BYTES);
    }
}
