//! Notices that the file at a path is another one, or has other content.
//!
//! All that the path leads through is watched, directories and links: a
//! deployment may write the file, rename another over it, or point a link higher
//! up at another directory, as Kubernetes does with its volumes.
//!
//! A notification is not to be relied upon: there is none on network file systems, or when a file
//! is written through another hard link. So [`Stamps`] are looked at as well, every [`LOOK`].
//!
//! - `change`: what happened to a file, and whether it is over; `way`: what a path leads through.
//! - `stamps`: what changes when a file does.
//! - [`Watches`]: of the files of many; [`Watch`]: of one.

mod change;
mod stamps;
mod watches;
mod way;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use change::{Change, SETTLED, UNSETTLED};
pub use stamps::{Stamp, Stamps, are_fresh, stamp_of, stamps};
pub use watches::{Key, Watches};
pub use way::links_on_the_way;

/// How often a watched file is looked at without a notification of a change.
pub const LOOK: Duration = Duration::from_secs(2);

/// A watch of one that lasts until it is dropped.
pub struct Watch {
    watches: Watches,
    paths: Vec<PathBuf>,
}

impl Watch {
    /// Watches the files at these paths, whether or not they are there now.
    pub fn new<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        mut on_change: impl FnMut(Change) + Send + 'static,
    ) -> notify::Result<Watch> {
        let watches = Watches::new(move |_, change| on_change(change))?;
        let mut watch = Watch { watches, paths: paths.into_iter().map(Path::to_owned).collect() };
        watch.renew()?;
        Ok(watch)
    }

    /// Watches these in place of those before. What both lead through stays watched.
    pub fn set<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> notify::Result<()> {
        self.paths = paths.into_iter().map(Path::to_owned).collect();
        self.renew()
    }

    /// Finds out again what the paths lead through. What is read after that is
    /// what the next change is a change of.
    pub fn renew(&mut self) -> notify::Result<()> {
        self.watches.renew(0, self.paths.iter().map(PathBuf::as_path))
    }
}
