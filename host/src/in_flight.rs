//! Bytes in memory that responses are sent from: one copy of equal contents, and a bound on all of
//! them.
//!
//! A client that takes its response slowly, or not at all, keeps the bytes of it. The cache that they
//! came from has its own bound, and may have dropped them meanwhile; so contents that are being
//! sent are counted here, each once. When they are too many, files are sent from the disk and
//! uncompressed, and the response for a content that has no other form is 503.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use quick_cache::DefaultHashBuilder;

/// Bytes of files that are in memory for responses at a time, by default. 2,000 slow clients of small files,
/// which then go on without: sending from the file costs two system calls more.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The same of bodies that guests made, and of listings. 64 of the largest.
pub const MAX_REPLY_BYTES: u64 = 64 << 20;

/// Contents of at most this size are neither shared nor refused: a connection's own buffers take
/// as much.
pub const SMALL_BYTES: usize = 4 << 10;

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

    /// Whether to refuse these bytes: there is no room for more, and no other response is being
    /// sent from the same ones. Counts it if so.
    pub fn refuses(&self, content: &SharedBytes) -> bool {
        content.len() > SMALL_BYTES && !content.is_being_sent() && self.is_full()
    }

    fn add(&self, bytes: usize, sign: i64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        SHARD.with(|shard| self.shards[*shard].0.fetch_add(sign * bytes, Ordering::Relaxed));
    }
}

/// Bytes that any number of responses and caches share.
#[derive(Clone)]
pub struct SharedBytes(Arc<Inner>);

struct Inner {
    bytes: Box<[u8]>,
    /// Responses that are being sent from it.
    responses: AtomicUsize,
    /// Its key in [`CONTENTS`].
    hash: Option<u64>,
}

/// Contents in use, by their hashes.
static CONTENTS: LazyLock<Mutex<HashMap<u64, Weak<Inner>>>> = LazyLock::new(Mutex::default);

/// How they are hashed: with keys of this process, so that no client can make two collide.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

fn contents() -> MutexGuard<'static, HashMap<u64, Weak<Inner>>> {
    // Each change of it is one step: a panic leaves it whole.
    CONTENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedBytes {
    /// These bytes; if they are many and in use already, the same copy.
    pub fn one_copy_of(bytes: Vec<u8>) -> SharedBytes {
        if bytes.len() <= SMALL_BYTES {
            return bytes.into();
        }
        let hash = HASHER.hash_one(&bytes);
        // In two steps: comparing takes time, and dropping needs the lock.
        let known = contents().get(&hash).and_then(Weak::upgrade);
        match known {
            Some(known) if *known.bytes == *bytes => SharedBytes(known),
            _ => {
                let hash = Some(hash);
                let inner = Arc::new(Inner { bytes: bytes.into(), responses: 0.into(), hash });
                contents().extend(hash.map(|hash| (hash, Arc::downgrade(&inner))));
                SharedBytes(inner)
            }
        }
    }

    /// A reference that does not keep these bytes.
    pub fn downgrade(&self) -> WeakBytes {
        WeakBytes(Arc::downgrade(&self.0))
    }

    /// Counts a response that is sent from it.
    pub fn send(&self, counted: &'static InFlight) -> Sending {
        if self.0.responses.fetch_add(1, Ordering::Relaxed) == 0 {
            counted.add(self.len(), 1);
        }
        Sending { bytes: self.clone(), counted }
    }

    /// Whether a response is being sent from it.
    pub fn is_being_sent(&self) -> bool {
        self.0.responses.load(Ordering::Relaxed) > 0
    }

    /// Whether both are one copy.
    pub fn is_same(&self, other: &SharedBytes) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(hash) = self.hash else { return };
        let mut contents = contents();
        // Another may have taken its place.
        if contents.get(&hash).is_some_and(|one| one.strong_count() == 0) {
            contents.remove(&hash);
        }
        if contents.len() * 4 < contents.capacity() {
            contents.shrink_to_fit();
        }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> SharedBytes {
        SharedBytes(Arc::new(Inner { bytes: bytes.into(), responses: 0.into(), hash: None }))
    }
}

impl From<&[u8]> for SharedBytes {
    fn from(bytes: &[u8]) -> SharedBytes {
        bytes.to_vec().into()
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &SharedBytes) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl Eq for SharedBytes {}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Bytes that last as long as they are in use elsewhere.
#[derive(Clone)]
pub struct WeakBytes(Weak<Inner>);

impl WeakBytes {
    /// The bytes, if they are in use.
    pub fn upgrade(&self) -> Option<SharedBytes> {
        self.0.upgrade().map(SharedBytes)
    }

    /// Whether they are in use no longer.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// Bytes that a response is sent from. They count until this is dropped.
pub struct Sending {
    bytes: SharedBytes,
    counted: &'static InFlight,
}

impl Clone for Sending {
    fn clone(&self) -> Sending {
        self.bytes.send(self.counted)
    }
}

impl Deref for Sending {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.bytes.0.responses.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.counted.add(self.bytes.len(), -1);
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{InFlight, SMALL_BYTES, SharedBytes, contents};

    #[test]
    fn equal_contents_share_one_copy() {
        let content = |byte| vec![byte; SMALL_BYTES + 1];
        let one = SharedBytes::one_copy_of(content(b'a'));
        let same = SharedBytes::one_copy_of(content(b'a'));
        let other = SharedBytes::one_copy_of(content(b'b'));
        assert!(one.is_same(&same) && !one.is_same(&other));
        assert_eq!((one.len(), *one == *content(b'a')), (SMALL_BYTES + 1, true));
        let hash = one.0.hash.expect("it can be found");
        assert!(contents().contains_key(&hash));
        let weak = one.downgrade();
        drop(one);
        assert!(!weak.is_gone() && contents().contains_key(&hash));
        drop(same);
        assert!(weak.is_gone() && weak.upgrade().is_none() && !contents().contains_key(&hash));
        let small = |byte| SharedBytes::one_copy_of(vec![byte; SMALL_BYTES]);
        assert!(!small(b'a').is_same(&small(b'a')));
    }

    #[test]
    fn contents_with_equal_hashes_stay_apart() {
        let one = SharedBytes::one_copy_of(vec![b'c'; SMALL_BYTES + 1]);
        let hash = one.0.hash.expect("it can be found");
        let other = SharedBytes::one_copy_of(vec![b'd'; SMALL_BYTES + 1]);
        // As if they collided.
        contents().insert(hash, std::sync::Arc::downgrade(&other.0));
        let again = SharedBytes::one_copy_of(vec![b'c'; SMALL_BYTES + 1]);
        assert!(!again.is_same(&other) && again == one);
        drop(one);
        assert!(contents().contains_key(&hash), "the one that took its place is found");
        drop(again);
        assert!(!contents().contains_key(&hash));
    }

    #[test]
    fn content_counts_once_while_it_is_sent() {
        static COUNTED: InFlight = InFlight::new(20_000);
        let content = SharedBytes::from(vec![0; 10_000]);
        assert_eq!((COUNTED.bytes(), content.is_being_sent()), (0, false));
        let responses: Vec<_> = (0..100).map(|_| content.send(&COUNTED)).collect();
        assert_eq!((COUNTED.bytes(), content.is_being_sent()), (10_000, true));
        let one_more = responses[0].clone();
        assert!(!COUNTED.is_full());
        let other = SharedBytes::from(vec![0; 10_000]);
        let others = other.send(&COUNTED);
        assert!(COUNTED.is_full());
        let third = SharedBytes::from(vec![0; 10_000]);
        assert!(COUNTED.refuses(&third) && !COUNTED.refuses(&content));
        assert!(!COUNTED.refuses(&vec![0; SMALL_BYTES].into()));
        assert_eq!(COUNTED.refused(), 2);
        drop((responses, others));
        assert_eq!(COUNTED.bytes(), 10_000);
        // On another thread than it began.
        std::thread::spawn(move || drop(one_more)).join().expect("a thread");
        assert_eq!((COUNTED.bytes(), content.is_being_sent()), (0, false));
    }
}
