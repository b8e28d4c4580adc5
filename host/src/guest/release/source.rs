//! The file of a guest, and the files of cases that it must pass.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::file_watch::{Stamps, stamp_of, stamps};
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::guest::validation::cases::CaseFileError;
use crate::named_file::{self, NamedFileError};

/// Whether the file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// A change of the file is enough.
    On,
    /// Only a reload has it read.
    Off,
}

/// The files that guests come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The guest's file. Without one the built-in guest serves, until another is uploaded.
    pub guest: Option<PathBuf>,
    /// Files of cases that each guest must pass. They are read again for each.
    pub cases: Vec<PathBuf>,
    /// What the files were like before they were read for the first time.
    pub(in crate::guest) at_first: Stamps,
}

impl Source {
    /// To be made before the guest is read: what changes afterwards is noticed.
    pub fn new(guest: Option<PathBuf>, cases: Vec<PathBuf>) -> Source {
        let mut source = Source { guest, cases, at_first: Vec::new() };
        source.at_first = source.stamps();
        source
    }

    /// What the files are like now.
    pub(in crate::guest) fn stamps(&self) -> Stamps {
        stamps(self.guest.iter().chain(&self.cases).map(PathBuf::as_path))
    }
}

/// A guest's file that cannot be read.
#[derive(Debug)]
pub struct GuestFileError {
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: GuestFileProblem,
}

/// What is wrong with a guest's file.
#[derive(Debug)]
pub enum GuestFileProblem {
    /// Its bytes cannot be read.
    File(NamedFileError),
    /// It changed while it was read.
    Changed,
}

impl fmt::Display for GuestFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read the guest {}: ", self.path.display())?;
        match &self.problem {
            GuestFileProblem::File(error) if error.kind() == ErrorKind::PermissionDenied => write!(
                f,
                "{error}; the server's user must be able to read it, and to pass all folders on \
                 its path"
            ),
            GuestFileProblem::File(error) => error.fmt(f),
            GuestFileProblem::Changed => {
                f.write_str("it changed while it was read; rename a finished file over it")
            }
        }
    }
}

impl std::error::Error for GuestFileError {}

/// A guest's file, or a file of its cases, that cannot be read.
#[derive(Debug)]
pub enum SourceError {
    /// The guest's.
    Guest(GuestFileError),
    /// One of its cases.
    Cases(CaseFileError),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Guest(error) => error.fmt(f),
            SourceError::Cases(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SourceError {}

impl From<GuestFileError> for SourceError {
    fn from(error: GuestFileError) -> SourceError {
        SourceError::Guest(error)
    }
}

impl From<CaseFileError> for SourceError {
    fn from(error: CaseFileError) -> SourceError {
        SourceError::Cases(error)
    }
}

/// Reads the file of a guest, once.
pub fn read_guest(path: &Path) -> Result<Vec<u8>, GuestFileError> {
    let error = |problem| GuestFileError { path: path.to_owned(), problem };
    let cannot = |cause: NamedFileError| error(GuestFileProblem::File(cause));
    let (file, metadata) = named_file::open(path).map_err(cannot)?;
    let bytes = named_file::read_all(&file, MAX_GUEST_BYTES).map_err(cannot)?;
    let after = file.metadata().map_err(|cause| cannot(cause.into()))?;
    if stamp_of(&metadata) != stamp_of(&after) {
        // A half of the one and a half of the other could pass for a guest.
        return Err(error(GuestFileProblem::Changed));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{GuestFileProblem, read_guest};
    use std::fs::File;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn file_that_changes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.wasm");
        let file = File::create(&path).expect("a file");
        file.set_len(32 << 20).expect("longer");
        assert_eq!(read_guest(&path).expect("bytes").len(), 32 << 20);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    file.set_len(16 << 20).expect("shorter");
                    file.set_len(32 << 20).expect("longer");
                }
            });
            let began = Instant::now();
            let noticed = loop {
                let read = read_guest(&path);
                if read.is_err() || began.elapsed() > Duration::from_secs(20) {
                    break read;
                }
            };
            done.store(true, Ordering::Relaxed);
            let error = noticed.expect_err("it changes all the time");
            assert!(matches!(error.problem, GuestFileProblem::Changed), "{error}");
        });
    }
}
