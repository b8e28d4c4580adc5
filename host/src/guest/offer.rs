//! What a guest is made of: its bytes, its data, and the cases that it must pass.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::digest::Identity;
use super::loaded_guest::{LoadedGuest, MadeOf};
use super::origin::Origin;
use super::runtime::live::source::Source;
use super::validation::cases::CaseFile;

/// A guest that may serve, with all that belongs to it.
#[derive(Debug)]
pub struct Offer {
    /// The guest: a component, or a core module that carries its component type.
    pub guest: Cow<'static, [u8]>,
    /// Where it came from.
    pub origin: Origin,
    /// The data that configures it, if there is any.
    pub data: Option<Data>,
    /// The cases that it must pass.
    pub cases: Vec<CaseFile>,
}

impl Offer {
    /// The digests of what would serve.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.guest, self.data_bytes())
    }

    /// The guest and its data, to be kept.
    pub(super) fn made_of(self) -> MadeOf {
        MadeOf { guest: self.guest, data: self.data.map(|data| data.bytes) }
    }

    /// What the live form of the guest that was loaded of this is made of.
    pub(super) fn source(&self, guest: &LoadedGuest) -> Source<'_> {
        Source { guest: &self.guest, data: self.data_bytes(), digest: guest.digest() }
    }

    /// The data's bytes.
    pub fn data_bytes(&self) -> Option<&[u8]> {
        self.data.as_ref().map(|data| &data.bytes[..])
    }

    /// The file of the data.
    pub fn data_path(&self) -> Option<&Path> {
        self.data.as_ref()?.path.as_deref()
    }
}

/// Data that configures a guest.
#[derive(Clone, Debug)]
pub struct Data {
    /// The data, as the guest reads it.
    pub bytes: Vec<u8>,
    /// The file that it was read from, if it is one.
    pub path: Option<PathBuf>,
}
