//! What was made of guests and is still in use, by their digests: guests of the same content share
//! it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::guest::digest::Digest;
use crate::lock::lock;

/// What is in use. Of each digest one kind of thing is made.
#[derive(Default)]
pub(in crate::guest) struct Known(Mutex<HashMap<Digest, Weak<dyn Any + Send + Sync>>>);

/// Entries that are never looked through for those that are gone.
const FEW: usize = 16;

impl Known {
    /// What was made of the guest with this digest.
    pub(in crate::guest) fn get<T: Any + Send + Sync>(&self, digest: Digest) -> Option<Arc<T>> {
        lock(&self.0).get(&digest)?.upgrade()?.downcast().ok()
    }

    /// Notes what was made of it.
    pub(in crate::guest) fn note<T: Any + Send + Sync>(&self, digest: Digest, made: &Arc<T>) {
        let mut known = lock(&self.0);
        if known.len() >= FEW {
            known.retain(|_, made| made.strong_count() > 0);
        }
        let made: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(made);
        known.insert(digest, Arc::downgrade(&made));
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, FEW, Known};
    use std::sync::Arc;

    #[test]
    fn what_is_in_use_is_shared_and_the_rest_forgotten() {
        let known = Known::default();
        let digest = |number: u8| Digest::of(&[number]);
        let made = Arc::new(7_u32);
        known.note(digest(0), &made);
        assert!(known.get(digest(0)).is_some_and(|same: Arc<u32>| Arc::ptr_eq(&same, &made)));
        assert!(known.get::<u32>(digest(1)).is_none() && known.get::<u8>(digest(0)).is_none());
        for number in 1..100 {
            known.note(digest(number), &Arc::new(number));
        }
        assert!(super::lock(&known.0).len() <= FEW + 1);
        drop(made);
        assert!(known.get::<u32>(digest(0)).is_none());
    }
}
