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
    /// What rules name, with what hides beneath the root that these are of.
    of_rules: Vec<(Weak<Hidden>, OwnFiles)>,
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
        hidden.set_own(inner.all());
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

    /// Hides these, which the rules of one root name, in place of those that they named before.
    pub(super) fn set_of_rules(&self, of: &Arc<Hidden>, files: OwnFiles) {
        let of = Arc::downgrade(of);
        let mut inner = lock(&self.0);
        let had = inner.of_rules.len();
        inner.of_rules.retain(|(root, _)| root.strong_count() > 0 && !root.ptr_eq(&of));
        if files.is_empty() && inner.of_rules.len() == had {
            return;
        }
        if !files.is_empty() {
            inner.of_rules.push((of, files));
        }
        inner.tell();
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<OwnFiles>>)) {
        let mut inner = lock(&self.0);
        change(&mut inner.own);
        inner.tell();
    }
}

impl Inner {
    fn all(&self) -> impl Iterator<Item = &OwnFiles> {
        let of_rules = self.of_rules.iter().map(|(_, files)| files);
        self.own.iter().map(Arc::as_ref).chain(of_rules)
    }

    fn tell(&self) {
        for hidden in self.roots.iter().filter_map(Weak::upgrade) {
            hidden.set_own(self.all());
        }
    }
}
