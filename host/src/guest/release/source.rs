//! Where guests come from: a file, with files of cases that it must pass.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::guest::cases::{CaseFile, CaseFileError};
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::named_file;

/// Whether the file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// A change of the file is enough.
    On,
    /// Only a reload has it read.
    Off,
}

/// Where guests come from, and what they have to pass.
#[derive(Clone, Debug)]
pub struct Source {
    /// The guest's file. Without one the built-in guest serves, until another is
    /// handed over.
    pub guest: Option<PathBuf>,
    /// Files of cases that must hold. They are read anew for each guest.
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
        self.guest.iter().chain(&self.cases).map(|path| stamp(path)).collect()
    }
}

/// Reads the file of a guest, once. The error is a sentence.
pub fn read_guest(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read the guest {shown}: {error}");
    let (file, metadata) = named_file::open(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => cannot(&format_args!(
            "{error}; the server's user must be able to read it, and to pass all folders on its path"
        )),
        _ => cannot(&error),
    })?;
    let bytes = named_file::read_all(&file, MAX_GUEST_BYTES).map_err(|error| cannot(&error))?;
    let after = file.metadata().map_err(|error| cannot(&error))?;
    if stamp_of(&metadata) != stamp_of(&after) {
        // A half of the one and a half of the other could pass for a guest.
        return Err(cannot(&"it changed while it was read; rename a finished file over it"));
    }
    Ok(bytes)
}

/// Reads files of cases.
pub fn read_cases(paths: &[PathBuf]) -> Result<Vec<CaseFile>, CaseFileError> {
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

/// Those of several files; `None` for one that is not there.
pub(in crate::guest) type Stamps = Vec<Option<Stamp>>;

/// What changes when a file does, or when its path leads to another: device, inode,
/// length, and the times of modification and change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// Of the file at this path, or of none.
fn stamp(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|file| stamp_of(&file))
}

fn stamp_of(file: &Metadata) -> Stamp {
    let (modified, changed) =
        ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    (file.dev(), file.ino(), file.len(), modified, changed)
}

#[cfg(test)]
mod tests {
    use super::read_guest;
    use std::fs::File;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn a_file_that_changes_while_it_is_read_is_no_guest() {
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
            let problem = noticed.expect_err("it changes all the time");
            assert!(problem.contains("it changed while it was read"), "{problem}");
        });
    }
}
