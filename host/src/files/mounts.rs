//! The mounts that were met beneath the root, and whether the file system of each is local.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::fd::AsFd;

use crate::disk::Kind;
use crate::disk::place::{Mount, judge};

/// How long the kind of a mount is kept whose number may become that of another one.
const VALID: Duration = Duration::from_secs(5);

/// Mounts that are kept. Beneath a root there are few; an automounter makes more.
const MOUNTS: usize = 1024;

/// Those of one root.
#[derive(Default)]
pub(super) struct Mounts(RwLock<HashMap<Mount, (Kind, Instant)>>);

impl Mounts {
    /// The kind of this mount, if it is known.
    pub(super) fn kind(&self, mount: Mount) -> Option<Kind> {
        let mounts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let &(kind, at) = mounts.get(&mount)?;
        (mount.is_unique || at.elapsed() < VALID).then_some(kind)
    }

    /// The kind of this mount, on which the handle is. It may wait for the file system.
    pub(super) fn judge(&self, mount: Mount, handle: impl AsFd) -> Kind {
        if let Some(kind) = self.kind(mount) {
            return kind;
        }
        let kind = judge(handle);
        let mut mounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if mounts.len() >= MOUNTS {
            mounts.clear();
        }
        mounts.insert(mount, (kind, Instant::now()));
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, MOUNTS, Mounts, VALID};
    use crate::disk::Kind;
    use crate::disk::place::Mount;

    #[test]
    fn reusable_mount_number_expires() {
        let folder = tempfile::tempfile().expect("a file");
        let mounts = Mounts::default();
        let mount = |number, is_unique| Mount { number, is_unique, device: 1 };
        assert_eq!(mounts.kind(mount(1, true)), None);
        let long_ago = Instant::now().checked_sub(VALID).expect("the machine runs for longer");
        for is_unique in [false, true] {
            mounts.judge(mount(1, is_unique), &folder);
            assert!(mounts.kind(mount(1, is_unique)).is_some());
            let mut known = mounts.0.write().expect("no writer panics");
            known.insert(mount(2, is_unique), (Kind::Local, long_ago));
        }
        assert_eq!(mounts.kind(mount(2, false)), None);
        assert_eq!(mounts.kind(mount(2, true)), Some(Kind::Local));
        for number in 0..3_000 {
            mounts.judge(mount(number, true), &folder);
        }
        assert!(mounts.0.read().expect("no writer panics").len() <= MOUNTS);
    }
}
