//! What a path names: the outcomes of a lookup.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::io::Errno;

use super::content::Content;
use super::encodings::Coding;
use super::kept_fields::KeptFields;
use super::media_type::MediaType;
use super::validators::Validators;
use crate::disk::JobError;

/// What a path names.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A regular file, open for reading.
    File(Arc<FoundFile>),
    /// A directory.
    Directory,
    /// Nothing that is served: nothing at all, a way out of the root, a loop of symbolic links, a
    /// FIFO, a socket or a device.
    Missing,
    /// Something that this process may not read.
    Forbidden,
    /// The system failed.
    Error(SystemError),
}

/// Why the system can neither open nor read something that may exist.
#[derive(Clone, Copy, Debug)]
pub enum SystemError {
    /// It is out of descriptors or memory now.
    Exhausted(Errno),
    /// The file system failed.
    Failed(Errno),
    /// The file system did not respond in time.
    NoResponse(JobError),
}

/// How recent a lookup must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recency {
    /// As it is now.
    Now,
    /// As it was within [`Options::cache_valid`](super::Options::cache_valid), if the worker is
    /// busy.
    Lately,
}

/// A regular file beneath the root, as its handle described it.
#[derive(Debug)]
pub struct FoundFile {
    /// The content.
    pub content: Content,
    /// Its length in bytes when it was opened.
    pub length: u64,
    /// The type of its content, by the name that was looked up.
    pub media_type: MediaType,
    /// The coding of its content, if the media type is that of the decoded content.
    pub coding: Option<Coding>,
    /// Whether it was compressed on the fly: whether it is depends on the load.
    pub is_made_now: bool,
    /// Whether another client may get it in another coding.
    pub varies: bool,
    /// Siblings that exist and were not sent in its place.
    pub passed_over: Vec<(Coding, PassedOver)>,
    /// The validators of this version.
    pub validators: Validators,
    /// The value of `Cache-Control`, if there is one.
    pub cache_control: Option<String>,
    /// Whether that lets clients keep it for long.
    pub is_for_long: bool,
    /// The entity tag as it stands in a field.
    pub tag: Option<String>,
    /// The fields of the response that sends all of it, for the next time.
    pub whole: OnceLock<KeptFields>,
    /// The fields of the response to a client that has this version.
    pub unmodified: OnceLock<KeptFields>,
}

/// Why a sibling is not sent in the place of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It is older, so it was made from another version.
    Older(Duration),
    /// It is a directory, a FIFO or the like.
    NoFile,
    /// It is empty, and so nothing in any coding: what made it did not get to its end.
    Empty,
    /// This process may not read it.
    Forbidden,
    /// The system is out of descriptors or memory.
    Exhausted(Errno),
    /// The system could not open it.
    Failed(Errno),
}

impl fmt::Display for PassedOver {
    /// The clause behind "is passed over: ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassedOver::Older(by) => {
                write!(f, "it is older than the file by {}.", by.as_secs())?;
                write!(f, "{:03} s", by.subsec_millis())
            }
            PassedOver::NoFile => f.write_str("it is no regular file"),
            PassedOver::Empty => f.write_str("it is empty, which is no content in that coding"),
            PassedOver::Forbidden => f.write_str("this process may not read it"),
            PassedOver::Exhausted(error) | PassedOver::Failed(error) => {
                write!(f, "it cannot be opened: {error}")
            }
        }
    }
}

impl Lookup {
    /// Whether it may be cached. A file only if it was left alone for a moment, so that its
    /// version can be told from the next, and only with the validators that it keeps.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Lookup::File(file) => file.validators.are_final,
            Lookup::Directory | Lookup::Missing => true,
            Lookup::Forbidden | Lookup::Error(_) => false,
        }
    }

    /// Whether both are the same version of a file, in the same form.
    pub(super) fn is_same(&self, other: &Lookup) -> bool {
        let described = |lookup: &Lookup| match lookup {
            Lookup::File(file) => file.tag.clone().map(|tag| {
                let said = (file.cache_control.clone(), file.varies, file.passed_over.clone());
                (tag, file.validators, file.coding, said)
            }),
            _ => None,
        };
        described(self).is_some_and(|one| described(other) == Some(one))
    }
}
