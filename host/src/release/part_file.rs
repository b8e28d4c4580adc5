//! Reads the file of a guest, or that of its data: once, and as a whole.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::guest::runtime::compile_job::MAX_DATA_BYTES;
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::named_file::{self, NamedFileError};

/// A part of a guest that is read from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The guest itself.
    Guest,
    /// Its data.
    Data,
}

/// A file of a guest that cannot be read.
#[derive(Debug)]
pub struct NamedPartError {
    /// What it has of the guest.
    pub part: Part,
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: NamedFileError,
}

impl fmt::Display for NamedPartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.part {
            Part::Guest => "the guest",
            Part::Data => "the guest's data",
        };
        write!(f, "cannot read {what} {}: {}", self.path.display(), self.problem.with_advice())
    }
}

impl std::error::Error for NamedPartError {}

/// Reads the file of a guest, once.
pub fn read_guest(path: &Path) -> Result<Vec<u8>, NamedPartError> {
    read(Part::Guest, path, MAX_GUEST_BYTES)
}

/// Reads the file of a guest's data, once.
pub fn read_data(path: &Path) -> Result<Vec<u8>, NamedPartError> {
    read(Part::Data, path, MAX_DATA_BYTES)
}

fn read(part: Part, path: &Path, limit: u64) -> Result<Vec<u8>, NamedPartError> {
    named_file::read_whole(path, limit).map_err(|problem| NamedPartError {
        part,
        path: path.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::{NamedFileError, read_guest};
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
            assert!(matches!(error.problem, NamedFileError::Changed), "{error}");
        });
    }
}
