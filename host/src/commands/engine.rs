//! The WebAssembly engine of a command, and the helpers that compile guests for it.

use std::fmt;
use std::num::NonZeroUsize;

use anyhow::{Context, anyhow};
use rustix::process::{Resource, getrlimit};

use crate::cli::GuestLimitSettings;
use crate::cli::command::CodeCacheArguments;
use crate::guest::runtime::code_cache::CodeCache;
use crate::guest::runtime::compile::CompileLimits;
use crate::guest::{self, Engine, GuestLimits, PreparedEngine};
use crate::helper::{Confinement, Helpers, Spawner};

/// How guests are compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compilation {
    /// Each as a whole.
    Whole,
    /// Only the functions that changed, for a guest that is edited.
    Incremental,
}

/// Makes the engine for this many workers, up to its threads.
pub(super) fn prepare(
    limits: GuestLimits,
    workers: NonZeroUsize,
    compilation: Compilation,
) -> anyhow::Result<PreparedEngine> {
    let workers = u32::try_from(workers.get()).context("too many workers")?;
    let engine = match compilation {
        Compilation::Whole => PreparedEngine::new(limits, workers),
        Compilation::Incremental => PreparedEngine::for_edits(limits, workers),
    };
    engine.map_err(|error| cannot_start(&error))
}

/// Starts the threads of an engine, and prepares this one to run guests.
pub(super) fn start(engine: PreparedEngine) -> anyhow::Result<Engine> {
    guest::prepare_thread().map_err(|error| cannot_start(&error))?;
    engine.start().map_err(|error| cannot_start(&error))
}

/// Names the cause, and what to do where the address space is limited: that looks like a lack of
/// memory, and is no way to save any.
fn cannot_start(error: &dyn fmt::Display) -> anyhow::Error {
    let limit = getrlimit(Resource::As).current;
    let advice = limit.map(|bytes| {
        format!(
            "; this process may have {} MiB of address space (ulimit -v), and reserves some 25 GiB \
             for each worker, of which it uses little: lift that limit, and limit the memory \
             itself (MemoryMax= of systemd)",
            bytes >> 20
        )
    });
    anyhow!("cannot start the WebAssembly engine: {error:#}{}", advice.unwrap_or_default())
}

/// Starts the process that starts helpers.
pub(super) fn start_spawner(confinement: Confinement) -> anyhow::Result<Spawner> {
    Spawner::start(confinement).context(
        "cannot start the process that compiles guests: this program must be able to run itself \
         again, by /proc/self/exe",
    )
}

/// Starts what compiles a guest, unless it is the built-in one without rules, which needs nothing.
pub(super) fn start_helpers(is_needed: bool) -> anyhow::Result<Option<Helpers>> {
    let attend = || {
        let helpers = start_spawner(Confinement::Sandbox)?.attend();
        helpers.context("cannot start the thread that listens to helpers")
    };
    is_needed.then(attend).transpose()
}

/// Starts an engine to try a guest on.
pub(super) fn start_for_trial(
    limits: &GuestLimitSettings,
    code: &CodeCacheArguments,
    helpers: Option<Helpers>,
) -> anyhow::Result<Engine> {
    keeping_code(start_alone(limits, helpers)?, code)
}

/// The same, which keeps no compiled guests.
pub(super) fn start_alone(
    limits: &GuestLimitSettings,
    helpers: Option<Helpers>,
) -> anyhow::Result<Engine> {
    let engine = prepare(limits.limits(), NonZeroUsize::MIN, Compilation::Whole)?;
    Ok(with_helpers(start(engine)?, limits.compile_limits(), helpers).for_author())
}

/// The engine, with the folder of compiled guests. One that was not named, and cannot be used, is done
/// without.
pub(super) fn keeping_code(engine: Engine, code: &CodeCacheArguments) -> anyhow::Result<Engine> {
    let Some(folder) = code.directory() else { return Ok(engine) };
    match CodeCache::open(&folder) {
        Ok(cache) => Ok(engine.keeping_code(cache)),
        Err(error) if code.is_named() => Err(error.into()),
        Err(_) => Ok(engine),
    }
}

/// The engine, which compiles in helpers if there are some.
pub(super) fn with_helpers(
    engine: Engine,
    limits: CompileLimits,
    helpers: Option<Helpers>,
) -> Engine {
    match helpers {
        Some(helpers) => engine.compiling_in(helpers, limits),
        None => engine,
    }
}
