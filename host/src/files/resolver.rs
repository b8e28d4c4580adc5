//! Opens a path below a directory handle: in one kernel operation, or name by name.
//!
//! On Linux that is `openat2(2)` with `RESOLVE_BENEATH` (since 5.6). The portable way is
//! cap-std's, which walks name by name where the kernel lacks the call, and uses it itself where
//! it does not: the reference that both are held against is in `host/fuzz`.

use std::ffi::CStr;
use std::fs::File;
use std::thread;
use std::time::Duration;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::options::Links;

/// Whether opening may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Only what the kernel has cached, on file systems that are known to be local; for the
    /// rest, EAGAIN.
    Cached,
    /// As long as the disk takes, but not for a program that has a lease.
    WaitForDisk,
    /// As long as it takes.
    Wait,
}

/// Attempts at a path through `..` in a symbolic link, which the kernel gives up (EAGAIN) whenever
/// anything is renamed meanwhile. Races are lost rarely; this many in a row are an attack.
const RACE_ATTEMPTS: usize = 16;

/// How long, and how often at most, a thread that may wait does so for a file that another
/// program has a lease on (fcntl(2), `F_SETLEASE`; Samba does): it is asked to give it up.
const LEASE_REST: Duration = Duration::from_millis(20);
const LEASE_RESTS: usize = 5;

/// How files are opened: for reading, never as the terminal of this process, and
/// without waiting for the other end of a FIFO.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

pub(super) fn open_kernel(
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

pub(super) fn openat2(root: impl AsFd, path: &CStr, resolve: ResolveFlags) -> Result<File, Errno> {
    rustix::fs::openat2(root, path, FLAGS, Mode::empty(), resolve).map(File::from)
}

pub(super) fn open_portable(root: &Dir, path: &str, links: Links) -> Result<File, Errno> {
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
