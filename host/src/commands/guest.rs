//! The guest that a command names with its data, or the built-in one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};

use crate::cli::Settings;
use crate::guest::release::guest_files::{self, GuestFiles};
use crate::guest::release::source::{Offer, Source};
use crate::guest::{Engine, LoadedGuest};

/// Where the guests of a server come from.
pub(super) fn source(settings: &Settings) -> anyhow::Result<Arc<dyn Source>> {
    source_with(settings, &settings.guest.cases)
}

/// Where they come from, with these cases.
pub(super) fn source_with(
    settings: &Settings,
    cases: &[PathBuf],
) -> anyhow::Result<Arc<dyn Source>> {
    let guest = &settings.guest;
    let source = named(guest.file.as_deref(), guest.data.as_deref(), cases)?;
    Ok(Arc::new(source))
}

/// Reads the guest that a command names, or gives the built-in one, with its name for messages.
pub(super) fn read_or_default(
    guest: Option<&Path>,
    data: Option<&Path>,
    cases: &[PathBuf],
) -> anyhow::Result<(String, Offer)> {
    let source = named(guest, data, cases)?;
    let offer = source.read()?;
    Ok((name(&source, &offer), offer))
}

/// The name of what a source offers, for messages.
pub(super) fn name(source: &dyn Source, offer: &Offer) -> String {
    let Some(name) = source.name() else { return "the built-in guest".to_owned() };
    let data = offer.data_path().map(|path| path.display().to_string());
    guest_files::shown(&name, data.as_deref()).into_owned()
}

/// The files of a guest.
fn named(
    guest: Option<&Path>,
    data: Option<&Path>,
    cases: &[PathBuf],
) -> anyhow::Result<GuestFiles> {
    if let (Some(data), None) = (data, guest) {
        bail!(
            "the data in {} (--data) is for a guest that reads it: name the guest, or leave out \
             the data",
            data.display()
        );
    }
    Ok(GuestFiles {
        guest: guest.map(Path::to_owned),
        data: data.map(Path::to_owned),
        cases: cases.to_vec(),
    })
}

/// Loads a guest to try it, on an engine of its own.
pub(super) fn load(name: &str, offer: &Offer, engine: Engine) -> anyhow::Result<LoadedGuest> {
    LoadedGuest::load_with(&Arc::new(engine), &offer.guest, offer.data_bytes())
        .map_err(|error| anyhow!("cannot load {name}: {error}"))
}
