//! Bytes that responses and caches share: one copy of equal contents, which counts once while it is
//! sent.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

use quick_cache::DefaultHashBuilder;

use super::count::InFlight;
use super::share::Share;
use crate::lock::lock;

/// Contents of at most this size are neither shared nor refused: a connection's own buffers take
/// as much.
pub const SMALL_BYTES: usize = 4 << 10;

/// Bytes that any number of responses and caches share.
#[derive(Clone)]
pub struct SharedBytes(Arc<Inner>);

struct Inner {
    bytes: Box<[u8]>,
    /// Responses that are being sent from it.
    responses: AtomicUsize,
    /// The site that was the first of those that they are being sent for.
    sent_for: Mutex<Option<Arc<Share>>>,
    /// Whether there ever was one.
    is_charged: AtomicBool,
    /// Its key in [`CONTENTS`].
    hash: Option<u64>,
}

/// Contents in use, by their hashes.
static CONTENTS: LazyLock<Mutex<HashMap<u64, Weak<Inner>>>> = LazyLock::new(Mutex::default);

/// How they are hashed: with keys of this process, so that no client can make two collide.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

fn contents() -> MutexGuard<'static, HashMap<u64, Weak<Inner>>> {
    // Each change of it is one step: a panic leaves it whole.
    lock(&CONTENTS)
}

impl InFlight {
    /// Whether to refuse these bytes: there is no room for more, and no other response is being
    /// sent from the same ones. Counts it if so.
    pub fn refuses(&self, content: &SharedBytes) -> bool {
        content.len() > SMALL_BYTES && !content.is_being_sent() && self.is_full()
    }

    /// The same for a site, one of several: no more than its part.
    pub fn refuses_for(&self, share: Option<&Arc<Share>>, content: &SharedBytes) -> bool {
        let has_part = || share.is_some_and(|share| share.is_full(self.most()));
        if content.len() > SMALL_BYTES && !content.is_being_sent() && has_part() {
            self.count_refused();
            return true;
        }
        self.refuses(content)
    }
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
                let inner = Arc::new(Inner::new(bytes, hash));
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
        self.begin(counted);
        Sending { bytes: self.clone(), counted }
    }

    /// The same for a site, one of several.
    pub fn send_for(&self, share: Option<&Arc<Share>>, counted: &'static InFlight) -> Sending {
        if self.begin(counted) && share.is_some() {
            self.0.is_charged.store(true, Ordering::Relaxed);
            self.charge(share);
        }
        Sending { bytes: self.clone(), counted }
    }

    /// Whether no other response is being sent from it.
    fn begin(&self, counted: &InFlight) -> bool {
        let is_first = self.0.responses.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            counted.add(self.len(), 1);
        }
        is_first
    }

    /// Counts it for this site, and no longer for another one. Each change of both is one step:
    /// whoever is later, in the end it counts for none.
    fn charge(&self, share: Option<&Arc<Share>>) {
        let mut sent_for = lock(&self.0.sent_for);
        if let Some(before) = std::mem::replace(&mut *sent_for, share.cloned()) {
            before.add(self.len(), -1);
        }
        if let Some(share) = share {
            share.add(self.len(), 1);
        }
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

impl Inner {
    fn new(bytes: Vec<u8>, hash: Option<u64>) -> Inner {
        Inner {
            bytes: bytes.into(),
            responses: 0.into(),
            sent_for: Mutex::default(),
            is_charged: AtomicBool::new(false),
            hash,
        }
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
        SharedBytes(Arc::new(Inner::new(bytes, None)))
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
            // Contents of files, which are sent most, are of no site.
            if self.bytes.0.is_charged.load(Ordering::Relaxed) {
                self.bytes.charge(None);
            }
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
    use super::{Arc, InFlight, SMALL_BYTES, Share, SharedBytes, contents};

    #[test]
    fn site_has_no_more_than_its_part_of_replies() {
        static REPLIES: InFlight = InFlight::new(8 << 20);
        let (flooded, other) = (Arc::new(Share::default()), Arc::new(Share::default()));
        let content = |byte: u8| SharedBytes::from(vec![byte; 1 << 20]);
        let most = usize::try_from(REPLIES.most() >> 20).expect("a number");
        let mut sent = Vec::new();
        for number in 0..most {
            let content = content(u8::try_from(number).expect("a byte"));
            if !REPLIES.refuses_for(Some(&flooded), &content) {
                sent.push(content.send_for(Some(&flooded), &REPLIES));
            }
        }
        assert_eq!(sent.len(), most - most / 4);
        assert!(!REPLIES.refuses_for(Some(&other), &content(0)));
        // What is being sent already takes nothing more.
        assert!(!REPLIES.refuses_for(Some(&flooded), &sent[0].bytes));
        let again = sent[0].bytes.send_for(Some(&other), &REPLIES);
        drop(sent);
        assert_eq!((flooded.bytes(), other.bytes()), (1 << 20, 0));
        drop(again);
        assert_eq!(flooded.bytes(), 0);
    }

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
        contents().insert(hash, Arc::downgrade(&other.0));
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
