//! The memory of decisions: equal requests have equal decisions, so a guest is
//! asked once.
//!
//! That is what makes a policy cost the same in any language once it is warm. It
//! belongs to one generation of the guest and goes with it. Failures are not
//! remembered.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bindings::exports::innkeeper::policy::policy;
use super::decision::{Decision, Field};

/// Bytes that the memory may hold, keys and decisions together: some 30,000
/// decisions of the default guest.
const MEMORY_BYTES: u64 = 8 << 20;

/// Bytes of a decision with its key that are worth remembering. A site that has
/// larger ones has few; a flood of them must not push out the rest.
const ENTRY_BYTES: u64 = 16 << 10;

/// What an entry takes besides its key and the texts of its decision.
const ENTRY_OVERHEAD: u64 = 160;

/// Decisions by what they depend on. Which of them stay is decided by how often
/// they are used (S3-FIFO): URLs that are asked for once do not push out those
/// that are asked for all the time.
pub(super) struct Memory {
    decisions: Cache<Box<[u8]>, Arc<Decision>, Weigh>,
}

impl Memory {
    pub(super) fn new() -> Memory {
        let entries = usize::try_from(MEMORY_BYTES / ENTRY_OVERHEAD).unwrap_or(usize::MAX);
        Memory { decisions: Cache::with_weighter(entries, MEMORY_BYTES, Weigh) }
    }

    pub(super) fn recall(&self, key: &[u8]) -> Option<Arc<Decision>> {
        self.decisions.get(key)
    }

    pub(super) fn remember(&self, key: &[u8], decision: &Arc<Decision>) {
        if weigh(key, decision) <= ENTRY_BYTES {
            self.decisions.insert(key.into(), Arc::clone(decision));
        }
    }
}

/// The key of a request: its line and the fields of interest, each on a line of
/// its own. No line or field can hold an LF, so that no two requests share a key.
pub(super) fn key(line: &[u8], fields: &[policy::Field]) -> Vec<u8> {
    let mut key = line.to_vec();
    for policy::Field { name, value } in fields {
        key.push(b'\n');
        key.extend_from_slice(name.as_bytes());
        key.push(b':');
        key.extend_from_slice(value);
    }
    key
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Box<[u8]>, Arc<Decision>> for Weigh {
    fn weight(&self, key: &Box<[u8]>, decision: &Arc<Decision>) -> u64 {
        weigh(key, decision)
    }
}

fn weigh(key: &[u8], decision: &Decision) -> u64 {
    let of_fields = |fields: &[Field]| -> usize {
        let sizes = fields.iter().map(|field| field.name.len() + field.value.len());
        sizes.sum::<usize>() + size_of_val(fields)
    };
    let texts = match decision {
        Decision::Serve { candidates, fields, .. } => {
            let paths = candidates.iter().map(|candidate| candidate.path().len());
            paths.sum::<usize>() + size_of_val(candidates.as_slice()) + of_fields(fields)
        }
        Decision::NotFound => 0,
        Decision::Redirect { location, fields, .. } => location.len() + of_fields(fields),
        Decision::Reply { fields, body, .. } => body.len() + of_fields(fields),
    };
    ENTRY_OVERHEAD + (key.len() + texts) as u64
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, MEMORY_BYTES, Memory};
    use crate::guest::decision::Decision;
    use std::sync::Arc;

    fn reply(length: usize) -> Arc<Decision> {
        Arc::new(Decision::Reply { status: 200, fields: Vec::new(), body: vec![b'x'; length] })
    }

    #[test]
    fn what_was_decided_is_recalled() {
        let memory = Memory::new();
        assert_eq!(memory.recall(b"GET / HTTP/1.1"), None);
        memory.remember(b"GET / HTTP/1.1", &reply(3));
        assert_eq!(memory.recall(b"GET / HTTP/1.1"), Some(reply(3)));
        assert_eq!(memory.recall(b"GET /a HTTP/1.1"), None);
    }

    #[test]
    fn large_decisions_are_not_kept() {
        let memory = Memory::new();
        memory.remember(b"large", &reply(usize::try_from(ENTRY_BYTES).expect("small")));
        assert_eq!(memory.recall(b"large"), None);
    }

    #[test]
    fn a_flood_of_unique_requests_takes_no_more_memory_and_no_others_place() {
        let memory = Memory::new();
        memory.remember(b"hot", &reply(3));
        for unique in 0..100_000 {
            memory.remember(format!("GET /{unique}").as_bytes(), &reply(100));
            if unique % 100 == 0 {
                assert!(memory.recall(b"hot").is_some(), "pushed out after {unique}");
            }
        }
        assert!(memory.decisions.weight() <= MEMORY_BYTES);
    }
}
