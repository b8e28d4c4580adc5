//! The directory of compiled guests.
//!
//! What is read from here runs as native code. So the directory and each file in it must belong
//! to the user that runs the server, or to root, and no other user may be able to write them;
//! anything else is refused.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};

use crate::named_file;

/// Files that are kept: compiled guests and functions, and notes of passed checks. The oldest
/// goes first.
pub(super) const KEPT: usize = 128;

/// Bytes of all of them: a day's edits of a guest in Python would have ten times as many.
pub(super) const KEPT_BYTES: u64 = 1 << 30;

/// Bytes of one of them. A guest in Python, the largest known, has 60 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// What the names of its files end with.
pub(super) const SUFFIX: &str = ".cwasm";

/// A directory that cannot be used.
#[derive(Debug)]
pub struct CodeDirectoryError {
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: CodeDirectoryProblem,
}

/// What is wrong with a directory.
#[derive(Debug)]
pub enum CodeDirectoryProblem {
    /// It cannot be made or opened.
    Io(io::Error),
    /// It is not a directory.
    NoDirectory,
    /// Other users could put code there.
    WritableByOthers,
}

impl fmt::Display for CodeDirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot keep compiled guests in {}: ", self.path.display())?;
        match &self.problem {
            CodeDirectoryProblem::Io(error) => {
                write!(f, "{error}; name a directory with --code-cache")
            }
            CodeDirectoryProblem::NoDirectory => {
                f.write_str("it is not a directory; name a directory with --code-cache")
            }
            CodeDirectoryProblem::WritableByOthers => f.write_str(
                "others could put code there; it must belong to the user that runs innkeeper, and \
                 be writable by no other user (chmod 700)",
            ),
        }
    }
}

impl std::error::Error for CodeDirectoryError {}

/// An open directory.
pub(super) struct CodeDirectory {
    path: PathBuf,
    directory: File,
}

impl CodeDirectory {
    /// Opens the directory, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> Result<CodeDirectory, CodeDirectoryError> {
        let error = |problem| CodeDirectoryError { path: path.to_owned(), problem };
        let io = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AlreadyExists => error(CodeDirectoryProblem::NoDirectory),
            _ => error(CodeDirectoryProblem::Io(cause)),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            openat(CWD, path, flags, Mode::empty()).map_err(|cause| io(cause.into()))?;
        let directory = File::from(directory);
        if is_private(&directory).map_err(io)? {
            Ok(CodeDirectory { path: path.to_owned(), directory })
        } else {
            Err(error(CodeDirectoryProblem::WritableByOthers))
        }
    }

    /// Whether [`open`](CodeDirectory::open) would succeed. Nothing is made.
    pub(super) fn check(path: &Path) -> Result<(), CodeDirectoryError> {
        let error = |problem| CodeDirectoryError { path: path.to_owned(), problem };
        let missing = path.ancestors().take_while(|path| !path.exists()).last();
        match missing {
            Some(first) => named_file::can_create(first)
                .map_err(|cause| error(CodeDirectoryProblem::Io(cause))),
            None if !path.is_dir() => Err(error(CodeDirectoryProblem::NoDirectory)),
            None => CodeDirectory::open(path).map(drop),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file, if it is there.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(io::Error::other("not a compiled guest"));
        }
        if !is_private(&file)? {
            return Err(io::Error::other("other users could have written it"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file that is whole whenever it has its name, even after a crash.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // In a container each process has the same number: one that was killed while it
        // wrote must not keep its successors from writing.
        let random = RandomState::new().hash_one(std::process::id());
        let unfinished = format!("{name}.{random:016x}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.directory, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
            renameat(&self.directory, &unfinished, &self.directory, name).map_err(Into::into)
        });
        if written.is_err() {
            // Without it there is nothing to clear away.
            let _ = unlinkat(&self.directory, &unfinished, AtFlags::empty());
        }
        written.and_then(|()| self.thin_out())
    }

    /// Removes the oldest, so that no more than [`KEPT`] and [`KEPT_BYTES`] remain, and what
    /// a process that was killed had begun to write.
    pub(super) fn thin_out(&self) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, u64, OsString)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().windows(SUFFIX.len()).any(|part| part == SUFFIX.as_bytes()) {
                let metadata = match entry.metadata() {
                    // Another process was quicker.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                kept.push((metadata.modified()?, metadata.len(), name));
            }
        }
        kept.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0;
        for (before, (_, length, name)) in kept.iter().enumerate() {
            bytes += length;
            // The newest stays, however large it is.
            if before == 0 || before < KEPT && bytes <= KEPT_BYTES {
                continue;
            }
            match unlinkat(&self.directory, name, AtFlags::empty()) {
                // Another process was quicker.
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether only root and this user can have written a file.
fn is_private(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let owner = metadata.uid();
    let is_unwritable = metadata.mode() & 0o022 == 0;
    Ok(is_unwritable && (owner == 0 || owner == rustix::process::geteuid().as_raw()))
}
