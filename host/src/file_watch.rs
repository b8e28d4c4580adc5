//! Notices that the file at a path is another one, or has other content.
//!
//! All that the path leads through is watched, directories and links: a
//! deployment may write the file, rename another over it, or point a link higher
//! up at another directory, as Kubernetes does with its volumes.
//!
//! A notification is not to be relied upon: there is none on network file systems, or when a file
//! is written through another hard link. So [`Stamps`] are looked at as well, every [`LOOK`].

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::lock::lock;

/// Links that a path may lead through, as on Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// How long a file that was closed, renamed or linked must stay as it is before it
/// is read. Deployments make several changes at once.
pub const SETTLED: Duration = Duration::from_millis(20);

/// How long a file that was not closed must be left unwritten before it is read.
const UNCLOSED: Duration = Duration::from_millis(500);

/// Of a file that keeps changing for longer it is looked whether it rests for a moment.
const UNSETTLED: Duration = Duration::from_secs(5);

/// How often a watched file is looked at without a notification of a change.
pub const LOOK: Duration = Duration::from_secs(2);

/// What may have happened to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is being written.
    Begun,
    /// It was closed after writing, or is another one.
    Done,
}

impl Change {
    /// How long to wait for more of it.
    fn settles_in(self) -> Duration {
        match self {
            Change::Done => SETTLED,
            Change::Begun => UNCLOSED,
        }
    }

    /// Waits until files that change have settled, or have changed for long. Commands that come
    /// meanwhile are further changes, as `as_change` tells, or end the wait and are given back.
    pub fn settle<C>(
        self,
        commands: &mpsc::Receiver<C>,
        as_change: impl Fn(&C) -> Option<Change>,
    ) -> Option<C> {
        let began = Instant::now();
        let mut change = self;
        while began.elapsed() < UNSETTLED {
            let command = commands.recv_timeout(change.settles_in()).ok()?;
            match as_change(&command) {
                Some(further) => change = further,
                None => return Some(command),
            }
        }
        None
    }
}

/// A watch that lasts until it is dropped.
pub struct Watch {
    watcher: RecommendedWatcher,
    paths: Vec<PathBuf>,
    directories: BTreeSet<PathBuf>,
    /// The entries on the way to the files: events of others do not matter.
    entries: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Watch {
    /// Watches the files at these paths, whether or not they are there now.
    pub fn new<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        mut on_change: impl FnMut(Change) + Send + 'static,
    ) -> notify::Result<Watch> {
        let paths = paths.into_iter().map(std::path::absolute);
        let paths = paths.collect::<Result<Vec<_>, _>>().map_err(notify::Error::io)?;
        let entries = Arc::new(Mutex::new(BTreeSet::new()));
        let watcher = notify::recommended_watcher({
            let entries = Arc::clone(&entries);
            move |event: notify::Result<notify::Event>| match event {
                Ok(event) => {
                    let entries = lock(&entries);
                    let concerns = event.need_rescan()
                        || event.paths.iter().any(|path| entries.contains(path));
                    drop(entries);
                    if let Some(change) = meaning(&event).filter(|_| concerns) {
                        on_change(change);
                    }
                }
                // Events may be lost: look again.
                Err(_) => on_change(Change::Done),
            }
        })?;
        let mut watch = Watch { watcher, paths, directories: BTreeSet::new(), entries };
        watch.renew()?;
        Ok(watch)
    }

    /// Finds out again what the paths lead through. What is read after that is
    /// what the next change is a change of.
    pub fn renew(&mut self) -> notify::Result<()> {
        let entries: BTreeSet<_> =
            self.paths.iter().flat_map(|path| entries_on_the_way(path)).collect();
        for directory in std::mem::take(&mut self.directories) {
            // It may be gone.
            let _ = self.watcher.unwatch(&directory);
        }
        let directories: BTreeSet<_> = entries.iter().filter_map(|entry| entry.parent()).collect();
        let mut last = Ok(());
        for directory in directories {
            last = self.watcher.watch(directory, RecursiveMode::NonRecursive);
            if last.is_ok() {
                self.directories.insert(directory.to_owned());
            }
        }
        *lock(&self.entries) = entries;
        // Higher up there may be directories that we may pass and not watch.
        if self.directories.is_empty() { last } else { Ok(()) }
    }
}

/// Those of several files; `None` for one that is not there.
pub type Stamps = Vec<Option<Stamp>>;

/// What changes when a file does, or when its path leads to another: device, inode,
/// length, and the times of modification and change in seconds and nanoseconds.
pub type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// Whether a file changed so short a time ago that it may be changing still: what is read of it may
/// be half of it. One from a clock that is ahead is taken as it is.
pub fn are_fresh(stamps: &Stamps) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    stamps.iter().flatten().any(|(.., (seconds, nanoseconds))| {
        let parts = u64::try_from(*seconds).ok().zip(u32::try_from(*nanoseconds).ok());
        let changed = parts.map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds));
        let age = changed.and_then(|changed| now.checked_sub(changed));
        age.is_some_and(|age| age < SETTLED)
    })
}

/// Those of the files at these paths.
pub fn stamps<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Stamps {
    paths.into_iter().map(|path| fs::metadata(path).ok().map(|file| stamp_of(&file))).collect()
}

/// That of an open file.
pub fn stamp_of(file: &Metadata) -> Stamp {
    let (modified, changed) =
        ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    (file.dev(), file.ino(), file.len(), modified, changed)
}

/// What an event means for the file that it is about; `None` if it only was read.
fn meaning(event: &notify::Event) -> Option<Change> {
    let is_link = || event.paths.iter().any(|path| path.is_symlink());
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Done),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Begun),
        EventKind::Create(_) if !is_link() => Some(Change::Begun),
        _ => Some(Change::Done),
    }
}

/// Each directory entry that is looked up on the way to a file, links included.
fn entries_on_the_way(path: &Path) -> BTreeSet<PathBuf> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components()
            .filter(|component| !matches!(component, Component::RootDir))
            .map(|component| component.as_os_str().to_owned())
            .collect()
    };
    let mut entries = BTreeSet::new();
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<_> = names(path).into();
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let entry = here.join(&name);
        entries.insert(entry.clone());
        match fs::read_link(&entry) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            _ => here = entry,
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::entries_on_the_way;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn entries_include_links_and_their_targets() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a path");
        // As Kubernetes mounts a ConfigMap.
        fs::create_dir(folder.join("..2026")).expect("a folder");
        fs::write(folder.join("..2026/policy.wasm"), "").expect("a file");
        symlink("..2026", folder.join("..data")).expect("a link");
        symlink("..data/policy.wasm", folder.join("policy.wasm")).expect("a link");
        let entries = entries_on_the_way(&folder.join("policy.wasm"));
        for name in ["policy.wasm", "..data", "..2026", "..2026/policy.wasm"] {
            assert!(entries.contains(&folder.join(name)), "{name}: {entries:?}");
        }
        assert!(entries.contains(&folder));
    }

    #[test]
    fn circle_of_links_has_an_end() {
        let folder = tempfile::tempdir().expect("a folder");
        symlink("b", folder.path().join("a")).expect("a link");
        symlink("a", folder.path().join("b")).expect("a link");
        assert!(entries_on_the_way(&folder.path().join("a/c")).len() < 100);
    }
}
