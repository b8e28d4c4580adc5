//! The files of a guest: its own, that of its data, and those of the cases that it must pass.

use std::borrow::Cow;
use std::path::PathBuf;

use super::part_file::{read_data, read_guest};
use super::source::{Source, SourceError};
use crate::guest::DEFAULT_GUEST;
use crate::guest::offer::{Data, Offer};
use crate::guest::origin::Origin;
use crate::guest::validation::cases::{CaseFile, CaseFileError, read_cases};

/// The files that a guest comes from.
#[derive(Clone, Debug, Default)]
pub struct GuestFiles {
    /// The guest's file. Without one the built-in guest serves, until another is uploaded.
    pub guest: Option<PathBuf>,
    /// The file of the data that the guest is configured with.
    pub data: Option<PathBuf>,
    /// Files of cases that each guest must pass.
    pub cases: Vec<PathBuf>,
}

impl Source for GuestFiles {
    fn name(&self) -> Option<String> {
        self.guest.as_ref().map(|path| path.display().to_string())
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.guest.iter().chain(&self.data).chain(&self.cases).cloned().collect()
    }

    fn read(&self) -> Result<Offer, SourceError> {
        let (guest, origin) = match &self.guest {
            Some(path) => (Cow::Owned(read_guest(path)?), Origin::File),
            None => (Cow::Borrowed(DEFAULT_GUEST), Origin::BuiltIn),
        };
        Ok(Offer { guest, origin, data: self.data_for_uploads()?, cases: self.cases()? })
    }

    fn cases(&self) -> Result<Vec<CaseFile>, CaseFileError> {
        read_cases(&self.cases)
    }

    fn data_for_uploads(&self) -> Result<Option<Data>, SourceError> {
        let Some(path) = &self.data else { return Ok(None) };
        Ok(Some(Data { bytes: read_data(path)?, path: Some(path.clone()) }))
    }
}

/// The files of a guest, for a message: `policy.wasm with redirects.toml`.
pub fn shown<'a>(guest: &'a str, data: Option<&str>) -> Cow<'a, str> {
    match data {
        None => guest.into(),
        Some(data) => format!("{guest} with {data}").into(),
    }
}
