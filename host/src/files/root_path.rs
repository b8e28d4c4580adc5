//! The path of a root: it may lead to another directory by now, which is opened then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use rustix::fs::{AtFlags, CWD, statat};

use super::caches::Caches;
use super::directory_id::DirectoryId;
use super::lookup::Files;
use super::options::Options;
use crate::disk::owner::Registered;
use crate::lock::lock;
use crate::sandbox::advice;
use crate::sandbox::opener::How;

/// How often a root is opened at most while its path comes to lead elsewhere.
const ATTEMPTS: usize = 3;

/// A root by its path. A link on the way may be replaced, or the directory itself.
pub struct RootPath {
    path: PathBuf,
    options: Options,
    caches: Arc<Caches>,
    /// What was opened and is in use. An open directory keeps its number.
    opened: Mutex<Vec<Weak<Files>>>,
    /// All directories that it leads to have one share of the disks.
    registered: Arc<Registered>,
}

impl RootPath {
    /// Opens what a path leads to, to be served with these options and caches.
    pub fn open(
        path: &Path,
        options: Options,
        caches: &Arc<Caches>,
    ) -> io::Result<(RootPath, Arc<Files>)> {
        let (path, caches) = (path.to_owned(), Arc::clone(caches));
        let registered = Arc::default();
        let root = RootPath { path, options, caches, opened: Mutex::default(), registered };
        let files = root.look()?;
        Ok((root, files))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that it leads to now. It may wait for the disk.
    pub fn leads_to(&self) -> io::Result<DirectoryId> {
        Ok(statat(CWD, &self.path, AtFlags::empty())?.into())
    }

    /// What it leads to now: the same as before, if it is the same directory. It may wait for the
    /// disk. The error says what to do where the sandbox refuses it.
    pub fn look(&self) -> io::Result<Arc<Files>> {
        let id = self.leads_to()?;
        let mut opened = lock(&self.opened);
        opened.retain(|files| files.strong_count() > 0);
        let mut known = opened.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|files| files.id() == id) {
            return Ok(known);
        }
        let files =
            self.open_now().map_err(|error| advice::explain(&self.path, How::Read, error))?;
        // It may lead to another one by now, which is known.
        let mut known = opened.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|known| known.id() == files.id()) {
            return Ok(known);
        }
        let files = Arc::new(files);
        opened.push(Arc::downgrade(&files));
        Ok(files)
    }

    fn open_now(&self) -> io::Result<Files> {
        for _ in 1..ATTEMPTS {
            let files = self.open_once()?;
            // Its path without links may be that of another one, if a link was replaced meanwhile.
            let there = statat(CWD, files.directory(), AtFlags::empty()).map(DirectoryId::from);
            if there.is_ok_and(|id| id == files.id()) {
                return Ok(files);
            }
        }
        self.open_once()
    }

    fn open_once(&self) -> io::Result<Files> {
        let registered = Arc::clone(&self.registered);
        Files::open_as(&self.path, self.options.clone(), &self.caches, registered)
    }
}

#[cfg(test)]
mod tests {
    use super::RootPath;
    use crate::files::{CacheSizes, Caches, Options};
    use crate::in_flight;
    use std::fs;
    use std::num::NonZeroUsize;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    #[test]
    fn same_directory_is_opened_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("1/public")).expect("a folder");
        fs::create_dir_all(path("2/public")).expect("a folder");
        symlink("1", path("current")).expect("a link");
        let caches = Caches::new(NonZeroUsize::MIN, CacheSizes::default(), &in_flight::FILES);
        let root = path("current/public");
        let opened = RootPath::open(&root, Options::default(), &caches);
        let (root, first) = opened.expect("a root");
        assert!(Arc::ptr_eq(&root.look().expect("the same"), &first));
        let lead_to = |name| {
            fs::remove_file(path("current")).expect("a link");
            symlink(name, path("current")).expect("a link");
        };
        lead_to("2");
        let second = root.look().expect("another");
        assert!(second.id() != first.id() && second.directory().ends_with("2/public"));
        lead_to("1");
        assert!(Arc::ptr_eq(&root.look().expect("the first"), &first));
        lead_to("3");
        assert!(root.look().is_err());
    }
}
