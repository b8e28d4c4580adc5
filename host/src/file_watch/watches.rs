//! Watches the files of many at once, with one watcher of the system: there are few of those.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::change::{Change, meaning};
use super::way::entries_on_the_way;
use crate::lock::lock;

/// Who watches files: any number that tells them apart.
pub type Key = u64;

/// Watches that last until this is dropped.
pub struct Watches {
    watched: Mutex<Watched>,
    entries: Arc<Mutex<Entries>>,
}

/// The directories that are watched.
struct Watched {
    watcher: RecommendedWatcher,
    /// Those of each.
    of: HashMap<Key, BTreeSet<PathBuf>>,
    /// How often each is in use.
    uses: HashMap<PathBuf, Use>,
}

/// The use of a directory that is watched.
#[derive(Default)]
struct Use {
    count: usize,
    /// What the path led to when it was watched.
    seen: Option<Identity>,
}

/// What tells a directory from each that is at its path later: numbers alone are given again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    made: SystemTime,
}

/// The entries on the way to files: events of others do not matter.
#[derive(Default)]
struct Entries {
    of: HashMap<Key, BTreeSet<PathBuf>>,
    by_path: HashMap<PathBuf, BTreeSet<Key>>,
}

impl Watches {
    /// Nothing is watched yet. `on_change` is called on a thread of its own.
    pub fn new(mut on_change: impl FnMut(Key, Change) + Send + 'static) -> notify::Result<Watches> {
        let entries = Arc::new(Mutex::new(Entries::default()));
        let watcher = notify::recommended_watcher({
            let entries = Arc::clone(&entries);
            move |event: notify::Result<notify::Event>| {
                let entries = lock(&entries);
                let all = || entries.of.keys().copied().collect();
                let (change, concerned): (_, BTreeSet<Key>) = match &event {
                    Ok(event) if event.need_rescan() => (meaning(event), all()),
                    Ok(event) => {
                        let concerned =
                            event.paths.iter().filter_map(|path| entries.by_path.get(path));
                        (meaning(event), concerned.flatten().copied().collect())
                    }
                    // Events may be lost: look again.
                    Err(_) => (Some(Change::Done), all()),
                };
                drop(entries);
                if let Some(change) = change {
                    concerned.into_iter().for_each(|key| on_change(key, change));
                }
            }
        })?;
        let watched = Watched { watcher, of: HashMap::new(), uses: HashMap::new() };
        Ok(Watches { watched: Mutex::new(watched), entries })
    }

    /// Finds out what these paths lead through, in place of those that were watched for this one
    /// before. What is read after that is what the next change is a change of.
    pub fn renew<'a>(
        &self,
        key: Key,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> notify::Result<()> {
        let paths = paths.into_iter().map(std::path::absolute);
        let paths = paths.collect::<Result<Vec<_>, _>>().map_err(notify::Error::io)?;
        let entries: BTreeSet<_> = paths.iter().flat_map(|path| entries_on_the_way(path)).collect();
        let directories: BTreeSet<_> =
            entries.iter().filter_map(|entry| entry.parent()).map(Path::to_owned).collect();
        // The watcher's thread waits for the entries, and is waited for here: one after the other.
        let result = lock(&self.watched).renew(key, directories);
        lock(&self.entries).replace(key, entries);
        result
    }

    /// Ends the watch of this one.
    pub fn remove(&self, key: Key) {
        // Nothing is added, so nothing can fail.
        let _ = lock(&self.watched).renew(key, BTreeSet::new());
        lock(&self.entries).replace(key, BTreeSet::new());
    }
}

impl Watched {
    fn renew(&mut self, key: Key, directories: BTreeSet<PathBuf>) -> notify::Result<()> {
        let before = self.of.remove(&key).unwrap_or_default();
        let mut last = Ok(());
        let mut watched = BTreeSet::new();
        for directory in directories {
            match self.watch(&directory) {
                Ok(in_use) => {
                    in_use.count += usize::from(!before.contains(&directory));
                    watched.insert(directory);
                }
                Err(error) => last = Err(error),
            }
        }
        for directory in before.difference(&watched) {
            let Some(in_use) = self.uses.get_mut(directory) else { continue };
            in_use.count -= 1;
            if in_use.count == 0 {
                self.uses.remove(directory);
                // It may be gone.
                let _ = self.watcher.unwatch(directory);
            }
        }
        // Higher up there may be directories that we may pass and not watch.
        let is_watched = !watched.is_empty();
        if is_watched {
            self.of.insert(key, watched);
        }
        if is_watched { Ok(()) } else { last }
    }

    /// Watches a directory, unless it is watched. Where that is another one than its path leads to
    /// by now, that one is.
    fn watch(&mut self, directory: &Path) -> notify::Result<&mut Use> {
        // Before it is watched: one that comes in its place is another one the next time.
        let seen = Identity::of(directory);
        let known = self.uses.get_mut(directory).map(|in_use| in_use.seen.take());
        // The kernel looks through all that is cached of a directory when it is watched again: that
        // takes milliseconds, for each of a thousand sites beneath it.
        let is_watched = seen.is_some() && known == Some(seen);
        if !is_watched {
            if known.is_some() {
                let _ = self.watcher.unwatch(directory);
            }
            self.watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        let in_use = self.uses.entry(directory.to_owned()).or_default();
        in_use.seen = seen;
        Ok(in_use)
    }
}

impl Identity {
    /// `None` if that is not known.
    fn of(directory: &Path) -> Option<Identity> {
        let found = std::fs::metadata(directory).ok()?;
        let made = found.created().ok()?;
        Some(Identity { device: found.dev(), inode: found.ino(), made })
    }
}

impl Entries {
    fn replace(&mut self, key: Key, entries: BTreeSet<PathBuf>) {
        for entry in self.of.remove(&key).unwrap_or_default() {
            if let Some(keys) = self.by_path.get_mut(&entry) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_path.remove(&entry);
                }
            }
        }
        if entries.is_empty() {
            return;
        }
        for entry in &entries {
            self.by_path.entry(entry.clone()).or_default().insert(key);
        }
        self.of.insert(key, entries);
    }
}

#[cfg(test)]
mod tests {
    use super::Watches;
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn directory_in_place_of_another_is_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a path");
        let (sender, changes) = mpsc::channel();
        let watches = Watches::new(move |key, _| {
            // The test may be over.
            let _ = sender.send(key);
        });
        // Other tests and programs may have all that the system has.
        let Ok(watches) = watches else { return };
        let (root, file) = (folder.join("root"), folder.join("root/file"));
        for key in [1, 2, 1] {
            fs::create_dir(&root).expect("a folder");
            watches.renew(1, [file.as_path()]).expect("a watch");
            watches.renew(2, [file.as_path()]).expect("a watch");
            watches.remove(3 - key);
            while changes.recv_timeout(Duration::from_millis(50)).is_ok() {}
            fs::write(&file, "x").expect("a file");
            assert_eq!(changes.recv_timeout(Duration::from_secs(20)), Ok(key));
            fs::remove_dir_all(&root).expect("a folder");
        }
    }

    #[test]
    fn change_is_told_to_those_that_it_concerns() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a path");
        let (sender, changes) = mpsc::channel();
        let watches = Watches::new(move |key, _| {
            // The test may be over.
            let _ = sender.send(key);
        });
        // Other tests and programs may have all that the system has.
        let Ok(watches) = watches else { return };
        let (one, two) = (folder.join("one"), folder.join("two"));
        watches.renew(1, [one.as_path()]).expect("a watch");
        watches.renew(2, [two.as_path()]).expect("a watch");
        fs::write(&one, "x").expect("a file");
        assert_eq!(changes.recv_timeout(Duration::from_secs(20)), Ok(1));
        while let Ok(key) = changes.recv_timeout(Duration::from_millis(50)) {
            assert_eq!(key, 1);
        }
        watches.remove(1);
        fs::write(&one, "y").expect("a file");
        fs::write(&two, "y").expect("a file");
        assert_eq!(changes.recv_timeout(Duration::from_secs(20)), Ok(2));
    }
}
