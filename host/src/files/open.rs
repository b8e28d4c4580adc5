//! Opens a path while no worker waits for a disk.

use std::sync::Arc;

use rustix::io::Errno;

use super::beneath::{self, Found, Outcome, Root, Task};
use super::found::{Lookup, SystemError};
use super::resolver::Patience;
use super::validators::Version;
use crate::disk::{self, JobError, OpenFile, Progress};

/// Why nothing was opened.
pub(super) enum OpenError {
    /// The system returned an error.
    System(Errno),
    /// The file system did not respond.
    NoResponse(JobError),
}

impl OpenError {
    /// The outcome of a lookup that failed so.
    pub(super) fn lookup(self) -> Lookup {
        match self {
            OpenError::System(errno) => failed(errno),
            OpenError::NoResponse(why) => Lookup::Error(SystemError::NoResponse(why)),
        }
    }
}

/// Opens the path. A path on a local file system that the kernel has cached is opened at once. The
/// others may wait, and are opened by threads that may: each device has its own.
pub(super) async fn open(root: &Arc<Root>, path: &str) -> Result<Found, OpenError> {
    match root.look(path, Patience::Cached) {
        Err(Errno::AGAIN) => {}
        found => return found.map_err(OpenError::System),
    }
    let (mut place, mut task) = (root.place(), Task::Whole(path.to_owned()));
    loop {
        let root = Arc::clone(root);
        let work = move |_: &Progress| root.look_on(place, task, Patience::Wait);
        match disk::run(place, work).await.map_err(OpenError::NoResponse)? {
            Outcome::Done(found) => return found.map_err(OpenError::System),
            Outcome::Elsewhere(next, rest) => (place, task) = (next, rest),
        }
    }
}

/// The version that an open file has now, if its file system responds.
pub(super) async fn version(file: &Arc<OpenFile>) -> Option<Version> {
    let described = if file.place().is_local() {
        beneath::version(file)
    } else {
        let (place, file) = (file.place(), Arc::clone(file));
        disk::run(place, move |_: &Progress| beneath::version(&file)).await.ok()?
    };
    described.ok().map(|(_, version)| version)
}

/// The outcome of a lookup for which opening failed so.
pub(super) fn failed(errno: Errno) -> Lookup {
    match errno {
        // ELOOP: symbolic links that lead in circles, or a magic link. EXDEV: a way out of the
        // root. ENXIO: a socket, or a device without driver. EINVAL and EILSEQ: a name that the
        // file system cannot hold.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NXIO
        | Errno::NODEV
        | Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::ILSEQ => Lookup::Missing,
        Errno::ACCESS | Errno::PERM => Lookup::Forbidden,
        // EAGAIN: another program has a lease on it and was asked to give it up.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
            Lookup::Error(SystemError::Exhausted(errno))
        }
        _ => Lookup::Error(SystemError::Failed(errno)),
    }
}
