//! Opens a path beneath a root directory, so that nothing outside it is reached:
//! not by `..`, not by a symbolic link, not by a directory that is swapped for
//! one while the path is walked.
//!
//! On Linux that is one kernel operation, `openat2(2)` with `RESOLVE_BENEATH`
//! (since 5.6). The portable way is cap-std's, which walks name by name where the kernel
//! lacks the call, and uses it itself where it does not: the reference that both are held
//! against is in `host/fuzz`.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::mounts::Mounts;
use super::validators::Version;
use super::walk::{Ground, Pause, Walk};
use crate::disk::place::{Mount, known};
use crate::disk::{Kind, OpenFile, Place};

/// How a path is resolved beneath the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// By `openat2` where the kernel has it, else as `Portable`.
    Kernel,
    /// Name by name, by cap-std.
    Portable,
}

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are followed, as long as they stay beneath the root.
    Followed,
    /// They are nothing.
    Refused,
}

/// Whether opening may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Only what the kernel has cached, on file systems that are known to be local; for the
    /// rest, EAGAIN.
    Cached,
    /// As long as the disk takes, but for nobody who has a lease.
    WaitForDisk,
    /// As long as it takes.
    Wait,
}

/// The root directory.
pub struct Root {
    handle: Handle,
    links: Links,
    mount: Mount,
    place: Place,
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

/// Something that was opened, and what its handle said that it is.
pub struct Found {
    /// Its handle.
    pub file: OpenFile,
    /// What it is.
    pub kind: FileType,
    /// Its version.
    pub version: Version,
}

/// What is left to do to open a path.
pub enum Task {
    /// All of it.
    Whole(String),
    /// A walk goes on.
    Walk(Box<Walk>),
}

/// What came of asking one device.
pub enum Outcome {
    /// It is open, or cannot be opened.
    Done(Result<Found, Errno>),
    /// The rest is for threads that may wait for another device.
    Elsewhere(Place, Task),
}

/// Attempts at a path through `..` in a symbolic link, which the kernel gives up
/// (EAGAIN) whenever anything is renamed meanwhile. Races are lost rarely; who
/// loses this many in a row is being played with.
const RACE_ATTEMPTS: usize = 16;

/// How long, and how often at most, a thread that may wait does so for a file that another
/// program has a lease on (fcntl(2), `F_SETLEASE`; Samba does): it is asked to give it up.
const LEASE_REST: Duration = Duration::from_millis(20);
const LEASE_RESTS: usize = 5;

/// How files are opened: for reading, never as the terminal of this process, and
/// without waiting for the other end of a FIFO.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Root {
    /// Opens the root, to be looked beneath in these ways.
    pub fn open(path: &Path, resolver: Resolver, links: Links) -> io::Result<Root> {
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
        let place = Place { device: mount.device, kind };
        Ok(Root { handle, links, mount, place, paths, mounts })
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

    /// What its handle says of it.
    pub(super) fn status(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(self.handle())
    }

    /// Opens what the path names and asks the handle what it is.
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

    /// Opens what the path names on a thread that may wait for the device of this place. `None`
    /// if that needs another one that may give no answer.
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

    /// Opens what needs no waiting: what the kernel has at hand of local file systems.
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

    /// Goes on opening, as far as that needs this device alone. It may wait for its answers.
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
            // Where each name may be a request of its own, there are no more than needed.
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
            let next = Place { device: mount.device, kind };
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

    /// What was opened, and finds out where that is.
    fn found_somewhere(&self, file: File) -> Result<Found, Errno> {
        let mount = known(&file)?.mount;
        let kind =
            if mount == self.mount { self.place.kind } else { self.mounts.judge(mount, &file) };
        found(file, Place { device: mount.device, kind })
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

/// What a handle says of its file.
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

fn open_kernel(
    root: &OwnedFd,
    path: &CStr,
    resolve: ResolveFlags,
    patience: Patience,
) -> Result<File, Errno> {
    for attempt in 1..RACE_ATTEMPTS + LEASE_RESTS {
        match openat2(root, path, resolve) {
            Err(Errno::AGAIN) if attempt >= RACE_ATTEMPTS && patience == Patience::Wait => {
                thread::sleep(LEASE_REST);
            }
            Err(Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    openat2(root, path, resolve)
}

fn openat2(root: impl AsFd, path: &CStr, resolve: ResolveFlags) -> Result<File, Errno> {
    rustix::fs::openat2(root, path, FLAGS, Mode::empty(), resolve).map(File::from)
}

fn open_portable(root: &Dir, path: &str, links: Links) -> Result<File, Errno> {
    if links == Links::Refused {
        return open_without_links(root, path);
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    match root.open_with(path, &options) {
        Ok(file) => Ok(file.into_std()),
        Err(error) => Err(Errno::from_io_error(&error)
            // Without a code of the system's it is cap-std's own: a way out.
            .unwrap_or(Errno::XDEV)),
    }
}

/// Opens one name after the other, none of which may be a symbolic link.
fn open_without_links(root: &Dir, path: &str) -> Result<File, Errno> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = root.try_clone().map_err(|_| Errno::MFILE)?.into_std_file();
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        if name == ".." {
            return Err(Errno::XDEV);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = rustix::fs::openat(&folder, name, flags, Mode::empty())?.into();
    }
    match name {
        ".." => Err(Errno::XDEV),
        _ => {
            let opened = rustix::fs::openat(&folder, name, FLAGS | OFlags::NOFOLLOW, Mode::empty());
            opened.map(File::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Links, Patience, Resolver, Root};
    use rustix::fs::FileType;
    use rustix::io::Errno;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// A site with every kind of thing that a path may meet, beside a secret.
    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let write = |path: &str, content: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        };
        write("secret.txt", "outside-secret");
        write("root/a.txt", "a");
        write("root/dir/b.txt", "bb");
        let link = |target: &str, path: &str| {
            symlink(target, root.join(path)).expect("a link");
        };
        link("a.txt", "inside");
        link("../a.txt", "dir/up");
        link("dir", "folder");
        link("../secret.txt", "outside");
        link("/etc/passwd", "absolute");
        link("..", "parent");
        link("loop", "loop");
        link("nowhere", "dangling");
        link("/proc/self/root", "magic");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("fifo"),
            FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("a FIFO");
        folder
    }

    /// What looking gave, in one word.
    fn look(root: &Root, path: &str) -> String {
        match root.look(path, Patience::Wait) {
            Ok(found) => format!("{:?} {}", found.kind, found.version.length)
                .replace("RegularFile", "file")
                .replace("Directory", "directory"),
            Err(errno) => format!("{errno:?}"),
        }
    }

    fn words(resolver: Resolver, path: &str) -> String {
        let folder = site();
        let root =
            Root::open(&folder.path().join("root"), resolver, Links::Followed).expect("the root");
        assert_eq!(root.resolver(), resolver);
        look(&root, path)
    }

    #[test]
    fn both_resolvers_agree_on_what_is_inside() {
        for resolver in [Resolver::Kernel, Resolver::Portable] {
            for (path, expected) in [
                ("a.txt", "file 1"),
                ("dir/b.txt", "file 2"),
                ("inside", "file 1"),
                ("dir/up", "file 1"),
                ("folder/b.txt", "file 2"),
            ] {
                assert_eq!(words(resolver, path), expected, "{path} by {resolver:?}");
            }
            assert!(words(resolver, "dir").starts_with("directory"));
            assert!(words(resolver, "folder").starts_with("directory"));
            assert!(words(resolver, "fifo").starts_with("Fifo"));
        }
    }

    #[test]
    fn nothing_outside_the_root_is_opened() {
        for resolver in [Resolver::Kernel, Resolver::Portable] {
            let folder = site();
            let root = Root::open(&folder.path().join("root"), resolver, Links::Followed)
                .expect("the root");
            for path in [
                "outside",
                "absolute",
                "parent/secret.txt",
                "parent/root/a.txt",
                "magic/etc/passwd",
                "../secret.txt",
                "dir/../../secret.txt",
                "/etc/passwd",
                "loop",
                "dangling",
                "missing",
                "a.txt/b",
            ] {
                let found = root.look(path, Patience::Wait);
                assert!(found.is_err(), "{path} by {resolver:?} is open");
            }
        }
    }

    #[test]
    fn cached_looks_find_the_same_or_ask_for_patience() {
        let folder = site();
        let root = Root::open(&folder.path().join("root"), Resolver::Kernel, Links::Followed)
            .expect("the root");
        for path in ["a.txt", "dir/b.txt", "outside", "absolute", "missing"] {
            let patient = look(&root, path);
            match root.look(path, Patience::Cached) {
                Err(Errno::AGAIN) => {}
                Err(errno) => assert_eq!(format!("{errno:?}"), patient),
                Ok(found) => assert_eq!(format!("file {}", found.version.length), patient),
            }
        }
    }

    /// They were nothing, although they stay inside.
    #[test]
    fn absolute_link_back_into_the_root_is_followed() {
        let folder = site();
        let root = folder.path().join("root");
        let inside = |path: &str| root.join(path).display().to_string();
        let link = |target: &str, path: &str| symlink(target, root.join(path)).expect("a link");
        link(&inside("a.txt"), "to-file");
        link(&inside("dir"), "to-folder");
        link(&inside(""), "to-root");
        link(&inside("to-folder/b.txt"), "to-link");
        link("../to-file", "dir/relative");
        link(&inside("dir/../a.txt"), "dir/round");
        link(&inside("nowhere"), "to-nowhere");
        link(&inside("self"), "self");
        link(&inside("../secret.txt"), "out");
        link(&format!("{}-beside/a.txt", root.display()), "beside");
        link(&inside("outside"), "to-outside");
        std::fs::create_dir(folder.path().join("root-beside")).expect("a folder");
        std::fs::write(folder.path().join("root-beside/a.txt"), "secret").expect("a file");
        // A chain of as many as the kernel follows, and of one more.
        for at in 0..=40 {
            let target = if at == 0 { "a.txt".to_owned() } else { format!("chain{}", at - 1) };
            link(&inside(&target), &format!("chain{at}"));
        }
        // Another name of the root: a link to it may use either.
        symlink(&root, folder.path().join("alias")).expect("a link");
        link(&folder.path().join("alias/a.txt").display().to_string(), "by-alias");
        for resolver in [Resolver::Kernel, Resolver::Portable] {
            let open = |path: &Path, links| Root::open(path, resolver, links).expect("the root");
            let opened = open(&root, Links::Followed);
            for (path, expected) in [
                ("to-file", Ok(1)),
                ("to-folder/b.txt", Ok(2)),
                ("to-root/dir/b.txt", Ok(2)),
                ("to-link", Ok(2)),
                ("dir/relative", Ok(1)),
                ("dir/round", Ok(1)),
                ("to-root/to-root/to-file", Ok(1)),
                ("chain39", Ok(1)),
                ("chain40", Err(Errno::LOOP)),
                ("self", Err(Errno::LOOP)),
                ("to-nowhere", Err(Errno::NOENT)),
                ("to-file/b", Err(Errno::NOTDIR)),
                ("out", Err(Errno::XDEV)),
                ("beside", Err(Errno::XDEV)),
                ("to-outside", Err(Errno::XDEV)),
                ("absolute", Err(Errno::XDEV)),
                ("by-alias", Err(Errno::XDEV)),
            ] {
                let found = opened.look(path, Patience::Wait).map(|found| found.version.length);
                assert_eq!(found, expected, "{path} by {resolver:?}");
            }
            assert!(look(&opened, "to-root").starts_with("directory"));
            let by_alias = open(&folder.path().join("alias"), Links::Followed);
            assert_eq!(look(&by_alias, "by-alias"), "file 1", "{resolver:?}");
            assert_eq!(look(&by_alias, "to-file"), "file 1", "{resolver:?}");
            let refused = open(&root, Links::Refused);
            for path in ["to-file", "to-folder/b.txt", "to-root/a.txt", "dir/relative"] {
                let found = refused.look(path, Patience::Wait).map(|found| found.version.length);
                assert_eq!(found, Err(Errno::LOOP), "{path} by {resolver:?}");
            }
        }
        // Where the kernel has all of it at hand nobody waits for it.
        let opened = Root::open(&root, Resolver::Kernel, Links::Followed).expect("the root");
        if opened.place().is_local() && opened.resolver() == Resolver::Kernel {
            // A rename anywhere on the machine at this moment has it say that it is not.
            let tries = (0..1_000).map(|_| opened.look("to-link", Patience::Cached));
            let found = tries.into_iter().find_map(Result::ok).expect("at hand");
            assert_eq!(found.version.length, 2);
        }
    }

    #[test]
    fn a_root_that_is_no_directory_is_an_error() {
        let folder = site();
        for path in ["secret.txt", "missing"] {
            assert!(
                Root::open(&folder.path().join(path), Resolver::Kernel, Links::Followed).is_err()
            );
        }
        assert!(Root::open(Path::new(""), Resolver::Kernel, Links::Followed).is_err());
    }

    #[test]
    fn links_can_be_refused() {
        for resolver in [Resolver::Kernel, Resolver::Portable] {
            let folder = site();
            let root = folder.path().join("root");
            let root = Root::open(&root, resolver, Links::Refused).expect("the root");
            assert_eq!(look(&root, "a.txt"), "file 1");
            assert_eq!(look(&root, "dir/b.txt"), "file 2");
            for path in ["inside", "dir/up", "folder/b.txt", "outside", "absolute", "loop"] {
                let found = root.look(path, Patience::Wait);
                assert!(found.is_err(), "{path} by {resolver:?} is open");
            }
            for path in ["../secret.txt", "dir/../../secret.txt", ".."] {
                let found = root.look(path, Patience::Wait);
                assert!(found.is_err(), "{path} by {resolver:?} is open");
            }
        }
    }
}
