//! What the program can be told to do, one file for each.
//!
//! - [`serve`]: serve a directory.
//! - [`mod@test`]: run cases against a guest.
//! - [`check`]: tell what a guest is, and what it costs.
//! - [`compile`]: compile a guest ahead of time.
//! - [`explain`]: show how one request is answered.
//! - [`new`]: write a policy to begin with.
//! - [`health`]: ask a server whether it is well.

pub mod check;
pub mod compile;
mod confine;
pub mod explain;
pub mod health;
pub mod new;
pub mod serve;
mod signals;
pub mod test;

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rustix::process::{Resource, getrlimit};

use crate::cli::GuestLimitSettings;
use crate::files::{Caches, Files, Options, Resolver};
use crate::guest::release::source::read_guest;
use crate::guest::{self, DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest, PreparedEngine};
use crate::helper::{Confinement, Helpers, Spawner};
use crate::in_flight;

/// Writes to standard output. Where that cannot be written it is an error; `print` would
/// panic.
fn print(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    io::stdout().write_fmt(text).context("cannot write to standard output")
}

/// Opens the directory to serve, or says what to do.
fn open_files(root: &Path, options: Options, workers: NonZeroUsize) -> anyhow::Result<Files> {
    let caches = Caches::new(workers, &in_flight::FILES);
    let files = Files::open(root, options, &caches).map_err(|error| {
        let root = root.display();
        match error.kind() {
            io::ErrorKind::NotFound => anyhow!(
                "cannot serve {root}: there is no such directory; name the one to serve, as in: \
                 innkeeper path/to/site"
            ),
            io::ErrorKind::NotADirectory => {
                anyhow!("cannot serve {root}: it is not a directory; name the one it is in")
            }
            _ => anyhow!("cannot serve {root}: {error}"),
        }
    })?;
    if files.resolver() == Resolver::Portable {
        tracing::warn!("kernel has no openat2 (Linux 5.6), paths are resolved more slowly");
    }
    Ok(files)
}

/// How guests are compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compilation {
    /// Each anew.
    Whole,
    /// What was not compiled before, for who edits them.
    Incremental,
}

/// Makes the engine for this many workers, up to its threads.
fn prepare_engine(
    limits: GuestLimits,
    workers: NonZeroUsize,
    compilation: Compilation,
) -> anyhow::Result<PreparedEngine> {
    let workers = u32::try_from(workers.get()).context("too many workers")?;
    let engine = match compilation {
        Compilation::Whole => PreparedEngine::new(limits, workers),
        Compilation::Incremental => PreparedEngine::for_edits(limits, workers),
    };
    engine.map_err(|error| cannot_start_engine(&error))
}

/// Starts the threads of an engine, and has this one ready to run guests.
fn start(engine: PreparedEngine) -> anyhow::Result<Engine> {
    guest::prepare_thread().map_err(|error| cannot_start_engine(&error))?;
    engine.start().map_err(|error| cannot_start_engine(&error))
}

/// Says why, and what to do where the address space is limited: that looks as if there were no
/// memory, and is not what memory is saved with.
fn cannot_start_engine(error: &dyn fmt::Display) -> anyhow::Error {
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

/// Starts what starts helpers.
fn start_spawner(confinement: Confinement) -> anyhow::Result<Spawner> {
    Spawner::start(confinement).context(
        "cannot start the process that compiles guests: this program must be able to run itself \
         again, by /proc/self/exe",
    )
}

/// What compiles this guest. The built-in one needs nothing.
fn start_helpers(guest: Option<&Path>) -> anyhow::Result<Option<Helpers>> {
    let attend = |_| {
        let helpers = start_spawner(Confinement::Sandbox)?.attend();
        helpers.context("cannot start the thread that listens to helpers")
    };
    guest.map(attend).transpose()
}

/// Starts an engine to try a guest on.
fn start_engine(limits: &GuestLimitSettings, helpers: Option<Helpers>) -> anyhow::Result<Engine> {
    let engine = start(prepare_engine(limits.limits(), NonZeroUsize::MIN, Compilation::Whole)?)?;
    Ok(with_helpers(engine, limits, helpers))
}

/// The engine, compiling in helpers if there are some.
fn with_helpers(engine: Engine, limits: &GuestLimitSettings, helpers: Option<Helpers>) -> Engine {
    match helpers {
        Some(helpers) => engine.compiling_in(helpers, limits.compile_limits()),
        None => engine,
    }
}

/// Loads a guest to try it, on an engine of its own.
fn load(name: &str, bytes: &[u8], engine: Engine) -> anyhow::Result<LoadedGuest> {
    LoadedGuest::load(&Arc::new(engine), bytes)
        .map_err(|error| anyhow!("{name} is not a guest: {error}"))
}

/// The name of a guest, for messages, and its bytes.
fn read_guest_or_default(path: Option<&Path>) -> anyhow::Result<(String, Vec<u8>)> {
    match path {
        None => Ok(("the built-in guest".to_owned(), DEFAULT_GUEST.to_vec())),
        Some(path) => {
            let bytes = read_guest(path).map_err(|error| anyhow!(error))?;
            Ok((path.display().to_string(), bytes))
        }
    }
}
