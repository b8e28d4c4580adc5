//! What changes when a file does, or when its path leads to another one.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::change::SETTLED;

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
