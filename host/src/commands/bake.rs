//! `innkeeper bake GUEST DATA -o FILE`: makes one guest of a guest and its data.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use bytesize::ByteSize;

use super::engine::{start_for_trial, start_helpers};
use super::guest::read_or_default;
use super::output_file;
use super::stdout::print;
use crate::cli::BakeArguments;
use crate::guest::release::source::Offer;
use crate::guest::{Engine, LoadedGuest};
use crate::text::escaped;

/// Bakes it.
pub fn run(arguments: &BakeArguments) -> anyhow::Result<ExitCode> {
    let BakeArguments { guest, data, output, limits } = arguments;
    let (name, offer) = read_or_default(Some(guest), Some(data), &[])?;
    let engine = start_for_trial(limits, start_helpers(true)?)?;
    bake(&name, &offer, engine, output, &[guest, data])
}

/// Writes the guest that this one is with its data, once it can be loaded. `sources` are the files
/// that it is made of.
pub(super) fn bake(
    name: &str,
    offer: &Offer,
    engine: Engine,
    output: &Path,
    sources: &[&Path],
) -> anyhow::Result<ExitCode> {
    let failed = |error| anyhow!("cannot bake {name}: {error}");
    let engine = Arc::new(engine);
    let baked = engine.bake(&offer.guest, offer.data_bytes()).map_err(failed)?;
    let guest = LoadedGuest::load(&engine, &baked).map_err(failed)?;
    output_file::write(output, &baked, sources)?;
    print(format_args!(
        "{} ({}, {}) is {} in one file\n",
        escaped(&output.display().to_string()),
        guest.digest(),
        ByteSize(baked.len() as u64).display().iec(),
        escaped(name),
    ))?;
    Ok(ExitCode::SUCCESS)
}
