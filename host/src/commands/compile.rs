//! `innkeeper compile GUEST`: compiles a guest ahead of the start that needs it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};

use super::engine::{start_alone, start_helpers};
use super::guest::{Named, load, read};
use super::stdout::print;
use crate::cli::CompileArguments;
use crate::guest::runtime::code_cache::CodeCache;
use crate::guest::validation::make_live;
use crate::text::escaped;

/// Compiles it, unless that was done before.
pub fn run(arguments: &CompileArguments) -> anyhow::Result<ExitCode> {
    let Some(folder) = arguments.code.directory() else {
        bail!("there is no folder to keep it in; name one with --code-cache DIR");
    };
    let guest = arguments.configured.guest(arguments.guest.as_deref());
    let named = read(guest, arguments.data.as_deref(), &[], &arguments.rules)?;
    let helpers = start_helpers(named.needs_helpers())?;
    let Named { name, offer, .. } = named;
    // Elsewhere one that cannot be used is done without.
    let cache = CodeCache::open(&folder)?;
    let engine = start_alone(&arguments.limits, helpers)?.keeping_code(cache);
    let began = Instant::now();
    let guest = load(&name, &offer, engine)?;
    let live = make_live::now(&guest, &offer)
        .with_context(|| format!("cannot compile the live form of {}", escaped(&name)))?;
    let live = live.err().map(|why| format!(", without a live form: {why}")).unwrap_or_default();
    print(format_args!(
        "{} ({}) is ready to be loaded, in {}, after {:.1?}{live}\n",
        escaped(&name),
        guest.digest(),
        escaped(&folder.display().to_string()),
        began.elapsed()
    ))?;
    Ok(ExitCode::SUCCESS)
}
