//! Where guests come from: what is read for each deployment, and what is watched.
//!
//! A source offers a guest, the data that configures it, and the cases that it must pass. All of
//! it is read for each deployment, so that what serves is what the files hold.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::part_file::NamedPartError;
use crate::file_watch::{Stamps, stamps};
use crate::files::Files;
use crate::guest::offer::{Data, Offer};
use crate::guest::validation::cases::{CaseFile, CaseFileError};

/// Whether the source is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// A change of a file is enough.
    On,
    /// Only a reload has it read.
    Off,
}

/// Where guests come from.
pub trait Source: Send + Sync {
    /// Its name in messages: the path of a file, usually. `None` if it cannot be another one, as
    /// the built-in guest is: then there is nothing to watch and to reload.
    fn name(&self) -> Option<String>;

    /// The files that it is read from, whether or not they are there now. A change of one of
    /// them has it read again.
    fn paths(&self) -> Vec<PathBuf>;

    /// What the files are like now. To be taken before they are read: what changes afterwards is
    /// noticed.
    fn stamps(&self) -> Stamps {
        stamps(self.paths().iter().map(PathBuf::as_path))
    }

    /// How long until it has to be read once more, whatever its files do: a file that was removed
    /// a moment ago may be written again.
    fn due_in(&self) -> Option<Duration> {
        None
    }

    /// Takes files that are missing as removed, however short a time ago: the next reading is on
    /// request.
    fn forget_missing(&self) {}

    /// Whether what it offers is made of files of the root too, as rules are: it serves with these
    /// files alone.
    fn depends_on_root(&self) -> bool {
        false
    }

    /// Has these be the files of the root from now on, for the next reading.
    fn set_root(&self, _: &Files) {}

    /// Reads all of it.
    fn read(&self) -> Result<Offer, SourceError>;

    /// Reads the cases that each guest must pass, also one that is uploaded.
    fn cases(&self) -> Result<Vec<CaseFile>, CaseFileError>;

    /// Reads the data that an uploaded guest is configured with, if it takes some and the guest
    /// that serves has none.
    fn data_for_uploads(&self) -> Result<Option<Data>, SourceError> {
        Ok(None)
    }
}

/// Why a source offers nothing.
#[derive(Debug)]
pub enum SourceError {
    /// The guest's file, or that of its data, cannot be read.
    Part(NamedPartError),
    /// One of its cases cannot.
    Cases(CaseFileError),
    /// They can be read, and make no guest. The message names the place.
    Rejected(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Part(error) => error.fmt(f),
            SourceError::Cases(error) => error.fmt(f),
            SourceError::Rejected(error) => error.fmt(f),
        }
    }
}

impl Error for SourceError {}

impl From<NamedPartError> for SourceError {
    fn from(error: NamedPartError) -> SourceError {
        SourceError::Part(error)
    }
}

impl From<CaseFileError> for SourceError {
    fn from(error: CaseFileError) -> SourceError {
        SourceError::Cases(error)
    }
}
