//! The guest that a command names, or the built-in one.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use crate::guest::release::source::read_guest;
use crate::guest::{DEFAULT_GUEST, Engine, LoadedGuest};

/// The name of a guest, for messages, and its bytes.
pub(super) fn read_or_default(path: Option<&Path>) -> anyhow::Result<(String, Vec<u8>)> {
    match path {
        None => Ok(("the built-in guest".to_owned(), DEFAULT_GUEST.to_vec())),
        Some(path) => {
            let bytes = read_guest(path)?;
            Ok((path.display().to_string(), bytes))
        }
    }
}

/// Loads a guest to try it, on an engine of its own.
pub(super) fn load(name: &str, bytes: &[u8], engine: Engine) -> anyhow::Result<LoadedGuest> {
    LoadedGuest::load(&Arc::new(engine), bytes)
        .map_err(|error| anyhow!("cannot load {name}: {error}"))
}
