//! `innkeeper bake GUEST DATA -o FILE`: makes one guest of a guest and its data.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use bytesize::ByteSize;

use super::engine::{start_for_trial, start_helpers};
use super::guest::{Named, compiling, read};
use super::output_file::Readers;
use super::stdout::print;
use super::{output_file, progress};
use crate::cli::BakeArguments;
use crate::guest::LoadedGuest;
use crate::text::escaped;

/// Bakes it.
pub fn run(arguments: &BakeArguments) -> anyhow::Result<ExitCode> {
    let BakeArguments { guest, data, output, configured, rules, code, limits } = arguments;
    let data = data.as_deref().or(configured.given.data.as_deref());
    let named = read(configured.guest(guest.as_deref()), data, &[], rules)?;
    if named.offer.data.is_none() {
        bail!(
            "there is nothing to bake: name a guest and its data, as in: innkeeper bake policy.wasm \
             data -o baked.wasm, or rules, as in: innkeeper bake --rules rules.toml -o policy.wasm"
        );
    }
    let engine = start_for_trial(limits, code, start_helpers(named.needs_helpers())?)?;
    let Named { name, offer, table, files, .. } = named;
    let failed = |error| anyhow!("cannot bake {name}: {error}");
    let engine = Arc::new(engine);
    let baked = progress::during(format_args!("configuring {}", escaped(&name)), || {
        engine.bake(&offer.guest, offer.data_bytes())
    });
    let baked = baked.map_err(failed)?;
    let load = || LoadedGuest::load(&engine, &baked);
    let guest = progress::during(compiling(&name, &offer), load).map_err(failed)?;
    let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    let has_passwords = table.is_some_and(|table| !table.passwords.is_empty());
    let readers = if has_passwords { Readers::Owner } else { Readers::OfSources };
    output_file::write(output, &baked, &files, readers)?;
    print(format_args!(
        "{} ({}, {}) is {} in one file{}\n",
        escaped(&output.display().to_string()),
        guest.digest(),
        ByteSize(baked.len() as u64).display().iec(),
        escaped(&name),
        if has_passwords {
            ", which only you can read: it has the hashes of passwords"
        } else {
            ""
        },
    ))?;
    Ok(ExitCode::SUCCESS)
}
