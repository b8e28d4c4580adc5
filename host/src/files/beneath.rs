//! Opens a path beneath a root directory, so that nothing outside it is reached:
//! not by `..`, not by a symbolic link, not by a directory that is swapped for
//! one while the path is walked.
//!
//! Where the file system of a name may wait, the path is opened in steps, each by threads that
//! may wait for that device.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, statat};
use rustix::io::Errno;

use super::mounts::Mounts;
use super::options::{Links, Resolver};
pub use super::resolver::Patience;
use super::resolver::{open_kernel, open_portable, openat2};
use super::validators::Version;
use super::walk::{Ground, Pause, Walk};
use crate::disk::owner::Registered;
use crate::disk::place::{Mount, known};
use crate::disk::{Kind, OpenFile, Place};

/// The root directory.
pub struct Root {
    handle: Handle,
    links: Links,
    mount: Mount,
    place: Place,
    /// Whose its operations are.
    registered: Arc<Registered>,
    /// Its path, as it was given and as it is without links: an absolute link beneath it that
    /// begins with one of them leads back into it.
    paths: Vec<Vec<u8>>,
    mounts: Mounts,
}

/// Its handle, in the form that the resolver takes.
enum Handle {
    Kernel(OwnedFd),
    Portable(Dir),
}

/// An open file or directory, as its handle describes it.
pub struct Found {
    /// Its handle.
    pub file: OpenFile,
    /// What it is.
    pub kind: FileType,
    /// Its version.
    pub version: Version,
}

/// The rest of opening a path.
pub enum Task {
    /// All of it.
    Whole(String),
    /// A walk goes on.
    Walk(Box<Walk>),
}

/// How far opening came on one device.
pub enum Outcome {
    /// It is open, or cannot be opened.
    Done(Result<Found, Errno>),
    /// The rest is for threads that may wait for another device.
    Elsewhere(Place, Task),
}

impl Root {
    /// Opens the root, to be looked beneath in these ways.
    pub fn open(path: &Path, resolver: Resolver, links: Links) -> io::Result<Root> {
        Root::open_as(path, resolver, links, Arc::default())
    }

    /// The same, for an owner that is known.
    pub(super) fn open_as(
        path: &Path,
        resolver: Resolver,
        links: Links,
        registered: Arc<Registered>,
    ) -> io::Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let mount = known(&directory)?.mount;
        let mounts = Mounts::default();
        let kind = mounts.judge(mount, &directory);
        // ENOSYS before Linux 5.6, EPERM in sandboxes that do not know the call.
        let kernel_can = openat2(&directory, c".", ResolveFlags::BENEATH).is_ok();
        let handle = match resolver {
            Resolver::Kernel if kernel_can => Handle::Kernel(directory),
            _ => Handle::Portable(Dir::from_std_file(File::from(directory))),
        };
        let paths = [std::path::absolute(path), path.canonicalize()].into_iter().flatten();
        let paths = paths.map(|path: PathBuf| path.as_os_str().as_bytes().to_vec()).collect();
        let place = Place { device: mount.device, kind, owner: registered.owner() };
        Ok(Root { handle, links, mount, place, registered, paths, mounts })
    }

    pub(super) fn resolver(&self) -> Resolver {
        match self.handle {
            Handle::Kernel(_) => Resolver::Kernel,
            Handle::Portable(_) => Resolver::Portable,
        }
    }

    /// Where the root itself is.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    fn place_on(&self, mount: Mount, kind: Kind) -> Place {
        Place { device: mount.device, kind, owner: self.registered.owner() }
    }

    fn handle(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Kernel(root) => root.as_fd(),
            Handle::Portable(root) => root.as_fd(),
        }
    }

    fn ground(&self, patience: Patience) -> Ground<'_> {
        let (root, mount, paths, links) = (self.handle(), self.mount, &self.paths, self.links);
        Ground { root, mount, paths, links, patience }
    }

    /// Its path without links, as it was when it was opened.
    pub(super) fn path(&self) -> PathBuf {
        let path = self.paths.last().map_or(&b"."[..], Vec::as_slice);
        PathBuf::from(OsStr::from_bytes(path))
    }

    /// Its paths: as it was named, and without links.
    pub(super) fn all_paths(&self) -> Vec<PathBuf> {
        let path = |path: &Vec<u8>| PathBuf::from(OsStr::from_bytes(path));
        self.paths.iter().map(path).collect()
    }

    /// What its handle says of it.
    pub(super) fn status(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(self.handle())
    }

    /// Whether an entry of the root itself is a link, also if it leads nowhere.
    pub(super) fn is_link(&self, name: &str) -> bool {
        statat(self.handle(), name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|entry| FileType::from_raw_mode(entry.st_mode) == FileType::Symlink)
    }

    /// Opens the path and asks the handle for its kind and version.
    pub fn look(&self, path: &str, patience: Patience) -> Result<Found, Errno> {
        if patience == Patience::Cached {
            return self.look_cached(path);
        }
        let (mut place, mut task) = (self.place, Task::Whole(path.to_owned()));
        loop {
            match self.look_on(place, task, patience) {
                Outcome::Done(found) => return found,
                Outcome::Elsewhere(next, rest) => (place, task) = (next, rest),
            }
        }
    }

    /// Opens the path on a thread that may wait for the device of this place. `None` if that needs
    /// another device, which may not respond.
    pub(super) fn look_from(&self, here: Place, path: &str) -> Result<Option<Found>, Errno> {
        let (mut place, mut task) = (self.place, Task::Whole(path.to_owned()));
        while place.is_local() || place.device == here.device {
            match self.look_on(place, task, Patience::WaitForDisk) {
                Outcome::Done(found) => return found.map(Some),
                Outcome::Elsewhere(next, rest) => (place, task) = (next, rest),
            }
        }
        Ok(None)
    }

    /// Opens the path without waiting: if the kernel has it cached, on local file systems.
    fn look_cached(&self, path: &str) -> Result<Found, Errno> {
        let Handle::Kernel(root) = &self.handle else { return Err(Errno::AGAIN) };
        if !self.place.is_local() {
            return Err(Errno::AGAIN);
        }
        let path_bytes = c_path(path)?;
        let resolve = self.resolve() | ResolveFlags::CACHED;
        match openat2(root, &path_bytes, resolve | ResolveFlags::NO_XDEV) {
            // Before Linux 5.12 the flag is unknown.
            Err(Errno::INVAL) => Err(Errno::AGAIN),
            // A mount, a way out, or a link that may lead back.
            Err(Errno::XDEV) => {
                let mut walk = Walk::new(path)?;
                let is_local =
                    |mount| mount == self.mount || self.mounts.kind(mount) == Some(Kind::Local);
                match walk.go(&self.ground(Patience::Cached), is_local)? {
                    Pause::Crossed => Err(Errno::AGAIN),
                    Pause::Arrived => {
                        let opened = openat2(root, &walk.path()?, resolve)?;
                        self.found_somewhere(opened)
                    }
                }
            }
            opened => found(opened?, self.place),
        }
    }

    /// Goes on opening as far as that needs this device alone, for which it may wait.
    pub fn look_on(&self, place: Place, task: Task, patience: Patience) -> Outcome {
        self.try_on(place, task, patience).unwrap_or_else(|errno| Outcome::Done(Err(errno)))
    }

    fn try_on(&self, place: Place, task: Task, patience: Patience) -> Result<Outcome, Errno> {
        let ground = self.ground(patience);
        let mut walk = match task {
            Task::Walk(walk) => walk,
            Task::Whole(path) => {
                if let Handle::Kernel(root) = &self.handle {
                    let resolve = self.resolve() | ResolveFlags::NO_XDEV;
                    match open_kernel(root, &c_path(&path)?, resolve, patience) {
                        Err(Errno::XDEV) => {}
                        opened => return Ok(Outcome::Done(found(opened?, self.place))),
                    }
                }
                Box::new(Walk::new(&path)?)
            }
        };
        let mount = walk.mount(&ground);
        if mount.device == place.device && mount != self.mount {
            let kind = self.mounts.judge(mount, walk.handle().unwrap_or(self.handle()));
            // Each name may be a request to a server: there are no more than needed.
            if kind == Kind::Remote
                && let Handle::Kernel(root) = &self.handle
            {
                match open_kernel(root, &walk.path()?, self.resolve(), patience) {
                    Err(Errno::XDEV) => {}
                    opened => return Ok(Outcome::Done(self.found_somewhere(opened?))),
                }
            }
        }
        if walk.go(&ground, |mount| mount.device == place.device)? == Pause::Crossed {
            let mount = walk.mount(&ground);
            let kind = self.mounts.kind(mount).unwrap_or(Kind::Remote);
            let next = self.place_on(mount, kind);
            return Ok(Outcome::Elsewhere(next, Task::Walk(walk)));
        }
        let path = walk.path()?;
        let opened = match &self.handle {
            Handle::Kernel(root) => open_kernel(root, &path, self.resolve(), patience)?,
            Handle::Portable(root) => {
                // What is no text came from the target of a link.
                let path = path.to_str().map_err(|_| Errno::ILSEQ)?;
                open_portable(root, path, self.links)?
            }
        };
        Ok(Outcome::Done(self.found_somewhere(opened)))
    }

    fn resolve(&self) -> ResolveFlags {
        match self.links {
            Links::Followed => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            Links::Refused => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        }
    }

    /// Describes an open file of an unknown mount.
    fn found_somewhere(&self, file: File) -> Result<Found, Errno> {
        let mount = known(&file)?.mount;
        let kind =
            if mount == self.mount { self.place.kind } else { self.mounts.judge(mount, &file) };
        found(file, self.place_on(mount, kind))
    }
}

fn found(file: File, place: Place) -> Result<Found, Errno> {
    let file = OpenFile::new(file, place);
    let (kind, version) = version(&file)?;
    Ok(Found { kind, version, file })
}

fn c_path(path: &str) -> Result<std::ffi::CString, Errno> {
    std::ffi::CString::new(path).map_err(|_| Errno::INVAL)
}

/// The kind and the version of an open file.
pub(super) fn version(file: &File) -> Result<(FileType, Version), Errno> {
    let status = rustix::fs::fstat(file)?;
    let nanoseconds =
        |seconds: i64, fraction: u64| i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
    let version = Version {
        device: status.st_dev,
        inode: status.st_ino,
        // Negative for no file that is regular.
        length: u64::try_from(status.st_size).unwrap_or(0),
        modified_ns: nanoseconds(status.st_mtime, status.st_mtime_nsec),
        changed_ns: nanoseconds(status.st_ctime, status.st_ctime_nsec),
    };
    Ok((FileType::from_raw_mode(status.st_mode), version))
}

#[cfg(test)]
mod tests;
