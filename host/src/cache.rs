//! Caches that are bounded by the bytes of their entries, and that requests made only once do not
//! push out (S3-FIFO).
//!
//! [`shared`]: one of several owners.

pub mod shared;

use std::hash::Hash;

use quick_cache::sync::{self, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// A cache whose entries are weighed by a function: the bytes that one takes, with its key.
pub type Cache<K, V> = sync::Cache<K, V, Weigh<K, V>>;

/// Tells the bytes of an entry.
pub struct Weigh<K, V>(fn(&K, &V) -> u64);

impl<K, V> Clone for Weigh<K, V> {
    fn clone(&self) -> Weigh<K, V> {
        Weigh(self.0)
    }
}

impl<K, V> Weighter<K, V> for Weigh<K, V> {
    fn weight(&self, key: &K, value: &V) -> u64 {
        self.0(key, value)
    }
}

/// A cache that holds this many bytes, of entries that usually take `usual_entry_bytes`. That is
/// an estimate: a wrong one costs room for the index of entries, no more.
///
/// It has one shard: either one thread uses it, or one entry may take a good part of it. An entry
/// that is heavier than a shard is never kept.
pub fn unsharded<K: Eq + Hash, V: Clone>(
    bytes: u64,
    usual_entry_bytes: u64,
    weigh: fn(&K, &V) -> u64,
) -> Cache<K, V> {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(usize::try_from(bytes / usual_entry_bytes).unwrap_or(usize::MAX))
        .weight_capacity(bytes)
        .build()
        .expect("the two capacities are given");
    Cache::with_options(
        options,
        Weigh(weigh),
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}
