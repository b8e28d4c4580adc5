//! The cache of decisions: equal requests have equal decisions, so a guest is asked once.
//!
//! That is what makes a policy cost the same in any language once it is warm. A cache belongs to
//! one loaded guest and goes with it. Failures are not cached.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cache_budget::{CacheBudget, Decisions, Share};
use crate::cache;
use crate::guest::decision::request::Request;
use crate::guest::decision::{Candidate, Decision, Otherwise};
use crate::http::Field;

/// Bytes of a decision with its key that are worth a place in the cache. A site that has
/// larger ones has few; a flood of them must not push out the rest.
const ENTRY_BYTES: u64 = 16 << 10;

/// Bytes of a key that are worth a place: a browser's request has a few hundred.
const KEY_BYTES: usize = 4 << 10;

/// Keys of one cache that another guest is warmed up with. The rest is computed when it is
/// requested.
const MAX_KEYS: usize = 1_000;

/// What an entry takes besides its key and the texts of its decision.
const ENTRY_OVERHEAD: u64 = 160;

/// What an entry of a usual site takes in all.
const USUAL_ENTRY_BYTES: u64 = 256;

/// Decisions by what they depend on. The cache evicts by use (S3-FIFO): URLs that are requested
/// once do not push out those that are requested all the time.
///
/// Each worker has its own: no core fetches the counters of another.
pub(super) struct DecisionCache(Arc<Share>);

impl DecisionCache {
    /// A cache that has its share of these bytes, keys and decisions together.
    pub(super) fn of(budget: &Arc<CacheBudget>) -> DecisionCache {
        let decisions: Decisions =
            cache::unsharded(budget.total(), USUAL_ENTRY_BYTES, |key, decision| {
                weigh(key, decision)
            });
        DecisionCache(budget.share(decisions))
    }

    pub(super) fn get(&self, key: &Key<'_>) -> Option<Arc<Decision>> {
        let Share { decisions, hits, misses, .. } = &*self.0;
        let decision = decisions.get(key.bytes());
        let counter = if decision.is_some() { hits } else { misses };
        counter.fetch_add(1, Ordering::Relaxed);
        decision
    }

    pub(super) fn insert(&self, key: &Key<'_>, decision: &Arc<Decision>) {
        let key = key.bytes();
        if key.len() <= KEY_BYTES {
            let weight = weigh(key, decision);
            if weight <= ENTRY_BYTES {
                self.0.insert(key, decision, weight);
            }
        }
    }

    /// The keys of up to [`MAX_KEYS`] decisions.
    pub(super) fn keys(&self) -> Vec<Key<'static>> {
        self.0
            .decisions
            .iter()
            .take(MAX_KEYS)
            .map(|(key, _)| Key(Cow::Owned(key.into_vec())))
            .collect()
    }

    /// How often a decision was there.
    pub(super) fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::Relaxed)
    }

    /// How often it was not.
    pub(super) fn misses(&self) -> u64 {
        self.0.misses.load(Ordering::Relaxed)
    }
}

/// What a decision depends on: the request line and the fields of interest, each
/// on a line of its own. No line or field can hold an LF, so that no two requests
/// share a key.
pub(super) struct Key<'a>(Cow<'a, [u8]>);

impl<'a> Key<'a> {
    pub(super) fn new(line: &'a [u8], fields: &[Field]) -> Key<'a> {
        if fields.is_empty() {
            return Key(Cow::Borrowed(line));
        }
        let mut key = line.to_vec();
        for Field { name, value } in fields {
            key.push(b'\n');
            key.extend_from_slice(name.as_bytes());
            key.push(b':');
            key.extend_from_slice(value);
        }
        Key(Cow::Owned(key))
    }

    /// The request that it was made of.
    pub(super) fn request(&self) -> Request {
        let mut lines = self.0.split(|&byte| byte == b'\n');
        let line = lines.next().unwrap_or_default();
        let fields = lines.filter_map(|line| {
            // The names of facts begin with a colon.
            let end = 1 + line.iter().skip(1).position(|&byte| byte == b':')?;
            Some(Field {
                name: String::from_utf8_lossy(&line[..end]).into_owned().into(),
                value: line[end + 1..].to_vec().into(),
            })
        });
        Request { line: line.to_vec(), fields: fields.collect() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The request line, and the fields in parentheses.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { line, fields } = self.request();
        write!(f, "{}", line.escape_ascii())?;
        fields
            .iter()
            .try_for_each(|field| write!(f, " ({}: {})", field.name, field.value.escape_ascii()))
    }
}

/// What a decision takes in memory, with its key.
pub(super) fn weigh(key: &[u8], decision: &Decision) -> u64 {
    let texts = match decision {
        Decision::Serve { candidates, otherwise, fields } => {
            candidates.iter().map(Candidate::memory_bytes).sum::<usize>()
                + size_of_val(candidates.as_slice())
                + otherwise.as_deref().map_or(0, Otherwise::memory_bytes)
                + fields.memory_bytes()
                // Once more, for what a wire may make of the list.
                + fields.bytes()
        }
        Decision::Redirect { location, fields, .. } => location.len() + fields.memory_bytes(),
        Decision::Reply { fields, body, .. } => body.len() + fields.memory_bytes(),
    };
    ENTRY_OVERHEAD + (key.len() + texts) as u64
}

#[cfg(test)]
mod tests {
    use super::{CacheBudget, DecisionCache, ENTRY_BYTES, KEY_BYTES, Key};
    use crate::guest::decision::Decision;
    use crate::guest::decision::request::Request;
    use crate::http::Field;
    use std::sync::Arc;

    const BYTES: u64 = 4 << 20;

    fn reply(length: usize) -> Arc<Decision> {
        Arc::new(Decision::Reply {
            status: 200,
            fields: crate::http::Fields::new(),
            body: vec![b'x'; length].into(),
        })
    }

    fn cache(bytes: u64) -> DecisionCache {
        DecisionCache::of(&CacheBudget::new(bytes))
    }

    fn key(line: &[u8]) -> Key<'_> {
        Key::new(line, &[])
    }

    #[test]
    fn inserted_decision_is_found() {
        let cache = cache(BYTES);
        assert_eq!(cache.get(&key(b"GET / HTTP/1.1")), None);
        cache.insert(&key(b"GET / HTTP/1.1"), &reply(3));
        assert_eq!(cache.get(&key(b"GET / HTTP/1.1")), Some(reply(3)));
        assert_eq!(cache.get(&key(b"GET /a HTTP/1.1")), None);
        assert_eq!((cache.hits(), cache.misses()), (1, 2));
    }

    #[test]
    fn requests_that_differ_in_a_field_have_different_keys() {
        let field = |name: &str, value: &str| Field {
            name: name.to_owned().into(),
            value: value.as_bytes().to_vec().into(),
        };
        let keys = [
            Key::new(b"l", &[]),
            Key::new(b"l", &[field("a", "b")]),
            Key::new(b"l", &[field("a", "")]),
            Key::new(b"l", &[field("a", "b"), field("a", "b")]),
            Key::new(b"l", &[field("a", "ba:b")]),
            Key::new(b"l", &[field("b", "a")]),
        ];
        let Request { line, fields } = keys[4].request();
        assert_eq!((&line[..], fields.len()), (&b"l"[..], 1));
        assert_eq!((fields[0].name.as_ref(), &fields[0].value[..]), ("a", &b"ba:b"[..]));
        let fact = Key::new(b"l", &[field(":client-address", "::1")]).request().fields;
        assert_eq!((fact[0].name.as_ref(), &fact[0].value[..]), (":client-address", &b"::1"[..]));
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| one.bytes() != other.bytes()));
        }
    }

    #[test]
    fn cache_of_size_0_has_nothing() {
        let cache = cache(0);
        cache.insert(&key(b"a"), &reply(3));
        assert_eq!(cache.get(&key(b"a")), None);
        assert_eq!((cache.hits(), cache.misses()), (0, 1));
    }

    #[test]
    fn large_decision_and_long_key_are_not_cached() {
        let cache = cache(BYTES);
        cache.insert(&key(b"large"), &reply(usize::try_from(ENTRY_BYTES).expect("small")));
        assert_eq!(cache.get(&key(b"large")), None);
        let long = [b'a'; KEY_BYTES + 1];
        cache.insert(&key(&long), &reply(3));
        assert_eq!(cache.get(&key(&long)), None);
    }

    #[test]
    fn flood_of_unique_requests_evicts_no_hot_decision() {
        let cache = cache(BYTES);
        cache.insert(&key(b"hot"), &reply(3));
        for unique in 0..100_000 {
            cache.insert(&key(format!("GET /{unique}").as_bytes()), &reply(100));
            if unique % 100 == 0 {
                assert!(cache.get(&key(b"hot")).is_some(), "pushed out after {unique}");
            }
        }
        assert!(cache.0.decisions.weight() <= BYTES);
    }
}
