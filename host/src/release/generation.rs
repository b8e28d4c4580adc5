//! A generation: a guest, and the files that its decisions name.

use std::sync::Arc;

use crate::files::Files;
use crate::guest::LoadedGuest;

/// What serves. A request uses one of them from beginning to end, so that no decision of one
/// generation is carried out with the files of another.
pub struct Generation {
    /// The guest that decides.
    pub guest: Arc<LoadedGuest>,
    /// The files of the root.
    pub files: Arc<Files>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::Generation;
    use crate::files::{CacheSizes, Caches, Files, Options, RootPath};
    use crate::guest::LoadedGuest;
    use crate::in_flight;
    use std::num::NonZeroUsize;
    use std::path::Path;
    use std::sync::Arc;

    /// One of this guest, and files that are not asked for.
    pub(in crate::release) fn generation(guest: &Arc<LoadedGuest>) -> Generation {
        Generation { guest: Arc::clone(guest), files: root().1 }
    }

    /// A root that is never replaced.
    pub(in crate::release) fn root() -> (RootPath, Arc<Files>) {
        let caches = Caches::new(NonZeroUsize::MIN, CacheSizes::default(), &in_flight::FILES);
        RootPath::open(Path::new("/"), Options::default(), &caches).expect("a root")
    }
}
