//! The files that the server itself uses, hidden beneath all roots of a process: also beneath those
//! that were open before others came to be used.

use std::sync::{Arc, Mutex, Weak};

use super::hidden::Hidden;
use super::own_files::OwnFiles;
use crate::files::beneath::Root;
use crate::lock::lock;

/// What hides them.
#[derive(Default)]
pub(super) struct Hiding(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    own: Vec<Arc<OwnFiles>>,
    roots: Vec<Weak<Hidden>>,
    /// Roots with which those that are gone are looked for again.
    full: usize,
}

/// Roots that are never looked through for those that are gone.
const FEW: usize = 16;

impl Hiding {
    /// What is hidden beneath a root, from now on.
    pub(super) fn beneath(&self, root: &Root) -> Arc<Hidden> {
        let hidden = Arc::new(Hidden::beneath(root.all_paths()));
        let mut inner = lock(&self.0);
        hidden.set_own(inner.own.iter().map(Arc::as_ref));
        if inner.roots.len() >= inner.full.max(FEW) {
            inner.roots.retain(|root| root.strong_count() > 0);
            inner.full = 2 * inner.roots.len();
        }
        inner.roots.push(Arc::downgrade(&hidden));
        hidden
    }

    /// Hides these, and no others.
    pub(super) fn set(&self, own: Arc<OwnFiles>) {
        self.change(|all| *all = vec![own]);
    }

    /// Hides these as well, until others are set.
    pub(super) fn add(&self, own: Arc<OwnFiles>) {
        self.change(|all| all.push(own));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<OwnFiles>>)) {
        let mut inner = lock(&self.0);
        let Inner { own, roots, .. } = &mut *inner;
        change(own);
        for hidden in roots.iter().filter_map(Weak::upgrade) {
            hidden.set_own(own.iter().map(Arc::as_ref));
        }
    }
}
