//! The root of a site: its `_redirects` and `_headers`, as they come and go while it is served.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::error::RulesError;
use super::kept::Kept;
use super::part::Part;
use super::problem::Problem;
use super::site::{FILE_BYTES, NAMES, PARSERS, too_large};
use crate::files::{RootReader, paths_below};
use crate::lock::lock;
use crate::named_file::NamedFileError;

/// The root of a site.
pub struct SiteRoot {
    path: PathBuf,
    is_obeyed: bool,
    now: Mutex<Now>,
}

/// The directory that the path leads to, and what its files were last.
struct Now {
    reader: RootReader,
    files: [Kept<Vec<u8>>; NAMES.len()],
}

/// What a file says, or what is wrong with it.
pub(super) type Parsed = Result<Part, Vec<Problem>>;

impl SiteRoot {
    /// A root at this path, whose files are obeyed.
    pub fn new(path: &Path, reader: RootReader) -> SiteRoot {
        let now = Now { reader, files: Default::default() };
        SiteRoot { path: path.to_owned(), is_obeyed: true, now: Mutex::new(now) }
    }

    /// The same, whose files are files like any others.
    pub fn without_rules(path: &Path, reader: RootReader) -> SiteRoot {
        SiteRoot { is_obeyed: false, ..SiteRoot::new(path, reader) }
    }

    /// Whether its files are obeyed.
    pub(super) fn is_obeyed(&self) -> bool {
        self.is_obeyed
    }

    /// Has the path lead to another directory from now on: nothing of what the one before had is
    /// kept.
    pub(super) fn replace(&self, reader: RootReader) {
        let mut now = lock(&self.now);
        if !now.reader.is_same(&reader) {
            *now = Now { reader, files: Default::default() };
        }
    }

    /// The path of a file of it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What reads any of its files.
    pub(super) fn reader(&self) -> RootReader {
        lock(&self.now).reader.clone()
    }

    /// Reads its files: those that are there, or were a moment ago.
    pub(super) fn read(&self) -> Vec<Result<(String, Parsed), RulesError>> {
        if !self.is_obeyed {
            return Vec::new();
        }
        let Now { reader, files } = &mut *lock(&self.now);
        let files = NAMES.into_iter().zip(PARSERS).zip(files);
        let read = files.filter_map(|((name, parse), known)| {
            let path = self.file(name);
            let bytes = match reader.read(name, FILE_BYTES) {
                Ok(bytes) => known.update(bytes)?,
                Err(error) => {
                    known.unreadable();
                    return Some(match error {
                        NamedFileError::TooLarge(_) => {
                            Ok((path.display().to_string(), Err(too_large())))
                        }
                        error => Err(RulesError::SiteFile(path, error)),
                    });
                }
            };
            Some(Ok((path.display().to_string(), parse(bytes))))
        });
        read.collect()
    }

    /// How long until the rules of a file that is missing end, with a reading. `None` if none is.
    pub(super) fn due_in(&self) -> Option<Duration> {
        lock(&self.now).files.iter().filter_map(Kept::due_in).min()
    }

    /// Forgets what its files were: the rules of those that are missing end with the next reading.
    pub(super) fn forget_missing(&self) {
        lock(&self.now).files = Default::default();
    }

    /// Paths below it of these files and its own that are not for clients.
    pub(super) fn hidden<'a>(&self, files: impl Iterator<Item = &'a Path>) -> Vec<String> {
        let of_site = if self.is_obeyed() { &NAMES[..] } else { &[] };
        let mut hidden: Vec<_> = of_site.iter().map(|name| (*name).to_owned()).collect();
        hidden.extend(files.flat_map(|file| paths_below(&self.path, file)));
        hidden.sort();
        hidden.dedup();
        hidden
    }

    /// Has these paths never served, and these files beneath no root.
    pub(super) fn hide(&self, paths: &[String], files: &[PathBuf]) {
        self.reader().hide(paths, files.iter().cloned());
    }
}
