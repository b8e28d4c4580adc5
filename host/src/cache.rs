//! A cache that is bounded by weight, and resistant to what is asked for once (S3-FIFO).

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// A cache that holds this many bytes, of entries that usually have so many. That is
/// an estimate: a wrong one costs room for the index of entries, no more.
///
/// It has one shard: either nobody else waits for it, or one entry may take a good part of
/// it. What is heavier than a shard is never remembered.
pub fn unsharded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    bytes: u64,
    usual_entry_bytes: u64,
    weighter: W,
) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(usize::try_from(bytes / usual_entry_bytes).unwrap_or(usize::MAX))
        .weight_capacity(bytes)
        .build()
        .expect("the two capacities are given");
    Cache::with_options(
        options,
        weighter,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}
