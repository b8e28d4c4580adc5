//! The recent lookups of a busy worker, with the files that they opened.
//!
//! A busy worker looks at a file once in a while, and not for each request: opening, reading and
//! closing a small file costs as much as all the rest. A worker that is not busy always looks, so
//! that a person who edits a site and reloads a page sees the new version.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_cache::Equivalent;

use super::content::Content;
use super::encodings::Accepted;
use super::found::Lookup;
use super::kept_fields::KEPT_FIELDS_BYTES;
use super::lookup_rate::LookupRate;
use super::root_id::RootId;
use crate::cache::shared::SharedCache;

/// Bytes of the entries of all workers, by default.
pub(super) const FILE_CACHE_BYTES: u64 = 32 << 20;

/// Files of one worker that stay open because they are too large to hold in memory.
pub const OPEN_FILES: u64 = 32;

/// Bytes of an entry besides its path and its content.
const ENTRY_OVERHEAD: u64 = 512;

/// Bytes of a usual entry.
const USUAL_ENTRY_BYTES: u64 = 8 << 10;

/// The lookups of one worker.
pub(super) struct OpenFileCache {
    found: SharedCache<Key, Entry>,
    /// What an open file weighs, so that there are few of them.
    open_file_bytes: u64,
    /// Whether there may be files that stay open.
    has_open_files: AtomicBool,
    rate: LookupRate,
}

/// A path beneath a root, and the forms that the client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    root: RootId,
    path: Box<str>,
    accepted: Accepted,
}

/// The same, borrowed.
pub(super) struct Wanted<'a> {
    pub(super) root: RootId,
    pub(super) path: &'a str,
    pub(super) accepted: &'a Accepted,
}

#[derive(Clone)]
struct Entry {
    found: Lookup,
    at: Instant,
    /// How long it is valid from then on.
    valid: Duration,
    /// What it takes, with its key.
    bytes: u64,
}

impl OpenFileCache {
    /// The cache of one of this many workers.
    pub(super) fn one_of(workers: NonZeroUsize, all_bytes: u64) -> OpenFileCache {
        let bytes = all_bytes / workers.get() as u64;
        let found = SharedCache::new(bytes, USUAL_ENTRY_BYTES, |_, entry: &Entry| entry.bytes);
        let open_file_bytes = bytes / OPEN_FILES;
        OpenFileCache {
            found,
            open_file_bytes,
            has_open_files: AtomicBool::new(false),
            rate: LookupRate::new(),
        }
    }

    /// Whether this worker is busy now. Counts the lookup.
    pub(super) fn is_busy(&self, now: Instant) -> bool {
        self.rate.count(now)
    }

    /// An outcome that is still valid.
    pub(super) fn get(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Lookup> {
        let entry = self.found.get(wanted)?;
        (!entry.is_stale(now)).then_some(entry.found)
    }

    /// An outcome, valid or not.
    pub(super) fn get_stale(&self, wanted: &Wanted<'_>) -> Option<Lookup> {
        self.found.get(wanted).map(|entry| entry.found)
    }

    /// Keeps the outcome of a lookup at that time, which is valid for this long.
    pub(super) fn insert(&self, of: &Wanted<'_>, found: &Lookup, at: Instant, valid: Duration) {
        let key = Key { root: of.root, path: of.path.into(), accepted: of.accepted.clone() };
        let entry = Entry { found: found.clone(), at, valid, bytes: self.weigh(&key, found) };
        let is_open = entry.is_open_file();
        self.found.insert(of.root.0, key, entry);
        if is_open {
            self.has_open_files.store(true, Ordering::Relaxed);
        }
    }

    /// How many files are open.
    #[cfg(test)]
    pub(super) fn open_files(&self) -> u64 {
        self.found.iter().filter(|(_, entry)| entry.is_open_file()).count() as u64
    }

    fn weigh(&self, key: &Key, found: &Lookup) -> u64 {
        let content = match found {
            Lookup::File(file) => match &file.content {
                // Its fields are kept later, and are not weighed again.
                Content::Memory(content) => (content.len() + 4 * KEPT_FIELDS_BYTES) as u64,
                Content::File(_) => self.open_file_bytes,
            },
            _ => 0,
        };
        ENTRY_OVERHEAD + (key.path.len() + key.accepted.codings.len()) as u64 + content
    }

    /// Closes files whose entries are stale. The next lookup opens them again in any case; until
    /// then an open file that was removed would keep its room on the disk, and its file system
    /// from being unmounted.
    pub(super) fn close_stale(&self, now: Instant) {
        // It takes the worker's time to go through all entries, and most have no open file.
        if self.has_open_files.swap(false, Ordering::Relaxed) {
            // They are closed when the worker may use its cache again: a network file system
            // may take its time for that.
            let closed = RefCell::new(Vec::new());
            self.found.retain(|_, entry| {
                let is_stale = entry.is_stale(now);
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
    fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= self.valid
    }

    fn is_open_file(&self) -> bool {
        matches!(&self.found, Lookup::File(file) if matches!(file.content, Content::File(_)))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Wanted { root: self.root, path: &self.path, accepted: &self.accepted }.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.root.hash(state);
        self.path.hash(state);
        self.accepted.hash(state);
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.root == key.root && *self.path == *key.path && *self.accepted == key.accepted
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::{Duration, Instant};

    use super::{Accepted, FILE_CACHE_BYTES, Lookup, OpenFileCache, RootId, Wanted};
    use crate::files::encodings::Coding;

    const VALID: Duration = Duration::from_secs(1);

    fn wanted<'a>(path: &'a str, accepted: &'a Accepted) -> Wanted<'a> {
        Wanted { root: RootId::default(), path, accepted }
    }

    #[test]
    fn outcome_is_valid_for_its_time_and_its_codings() {
        let cache = OpenFileCache::one_of(NonZeroUsize::MIN, FILE_CACHE_BYTES);
        let now = Instant::now();
        let plain = Accepted::default();
        cache.insert(&wanted("a", &plain), &Lookup::Missing, now, VALID);
        let has = |path, accepted, later| cache.get(&wanted(path, accepted), now + later).is_some();
        assert!(has("a", &plain, Duration::ZERO));
        assert!(has("a", &plain, VALID - Duration::from_nanos(1)));
        assert!(!has("a", &plain, VALID));
        assert!(cache.get_stale(&wanted("a", &plain)).is_some());
        assert!(!has("b", &plain, Duration::ZERO));
        let gzip = Accepted { codings: [Coding::Gzip].into(), ready_made: false };
        assert!(!has("a", &gzip, Duration::ZERO));
        cache.insert(&wanted("a", &gzip), &Lookup::Missing, now, VALID);
        assert!(has("a", &gzip, Duration::ZERO));
        assert!(!has("a", &Accepted { ready_made: true, ..gzip.clone() }, Duration::ZERO));
    }

    #[test]
    fn entries_are_bounded_by_their_bytes() {
        let cache = OpenFileCache::one_of(NonZeroUsize::MIN, FILE_CACHE_BYTES);
        let (now, plain) = (Instant::now(), Accepted::default());
        for number in 0..200_000 {
            let path = format!("missing/{number}");
            cache.insert(&wanted(&path, &plain), &Lookup::Missing, now, VALID);
        }
        assert!(cache.found.weight() <= FILE_CACHE_BYTES);
    }
}
