//! Whose an operation is: that of one root among others, which has no more than its share.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A root, or what else has operations of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(u32);

impl Owner {
    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Roots that are open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A root that is open: until it is dropped it has a share.
#[derive(Debug)]
pub struct Registered(Owner);

impl Registered {
    /// Registers an owner that no other one is.
    pub fn new() -> Registered {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        OPEN.fetch_add(1, Ordering::Relaxed);
        Registered(Owner(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The owner.
    pub fn owner(&self) -> Owner {
        self.0
    }
}

impl Default for Registered {
    fn default() -> Registered {
        Registered::new()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there are several owners.
pub fn are_several() -> bool {
    OPEN.load(Ordering::Relaxed) > 1
}

/// How many of these places one owner may take while there are others.
pub fn share_of(places: usize) -> usize {
    /// One in so many is left to others.
    const LEFT: usize = 4;
    (places - (places / LEFT).max(1)).max(1)
}
