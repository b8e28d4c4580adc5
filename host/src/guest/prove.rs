//! Whether a guest is fit to serve: compiled, checked, and held against its cases.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::cases::CaseFile;
use super::check::{Report, check};
use super::digest::Digest;
use super::engine::Engine;
use super::generation::Generation;
use super::source::Origin;

/// How the scheduler ranks the thread that compiles, beside workers with 0: it
/// gets about a tenth of a core that they want too, and all of one that is idle
/// (sched(7)).
const COMPILER_NICENESS: i32 = 10;

/// A generation that passed its check, and what that took.
pub struct Proven {
    /// What may serve now.
    pub generation: Generation,
    /// What it passed.
    pub report: Report,
    /// How long compiling took.
    pub compile: Duration,
    /// How long the check took, with the cases.
    pub check: Duration,
}

/// Compiles and checks a guest on this thread, before anything is served. What is kept of an
/// earlier start is not done again. The error is a sentence.
pub fn prove(
    engine: &Arc<Engine>,
    origin: Origin,
    bytes: &[u8],
    cases: &[CaseFile],
) -> Result<Proven, String> {
    let began = Instant::now();
    let generation = Generation::load(engine, bytes)?.coming_from(origin);
    let compiled = Instant::now();
    let limits = format!("{} {:?}", env!("CARGO_PKG_VERSION"), engine.limits());
    let key = Digest::of(format!("{:#} {limits}", tried(generation.digest(), cases)).as_bytes());
    let cache = engine.code_cache();
    let report = match cache.and_then(|cache| cache.passed(key)) {
        Some(average) => {
            generation.pace().begin_with(average);
            let cases = cases.iter().map(|file| file.cases.len()).sum();
            Report { cases, average, is_known: true, ..Report::default() }
        }
        None => {
            let report = check(&generation, cases)?;
            if let Some(cache) = cache {
                cache.note_passed(key, report.average);
            }
            report
        }
    };
    Ok(Proven { generation, report, compile: compiled - began, check: compiled.elapsed() })
}

/// Compiles and checks a guest while another one serves. The error tells why it cannot be
/// loaded, the verdict what it did not pass.
pub(super) fn try_out(
    engine: &Arc<Engine>,
    origin: Origin,
    bytes: &[u8],
    cases: &[CaseFile],
) -> Result<(Proven, Result<(), String>), String> {
    let began = Instant::now();
    let generation = compile_beside(engine, bytes)?.coming_from(origin);
    let compiled = Instant::now();
    let (report, verdict) = match check(&generation, cases) {
        Ok(report) => (report, Ok(())),
        Err(problem) => (Report::default(), Err(problem)),
    };
    let (compile, check) = (compiled - began, compiled.elapsed());
    Ok((Proven { generation, report, compile, check }, verdict))
}

/// Compiles on a thread that leaves the cores to the workers when they want them; that
/// thread alone, as what has been lowered is not raised again without a privilege. The
/// check, which has deadlines, is done on the caller's.
fn compile_beside(engine: &Arc<Engine>, bytes: &[u8]) -> Result<Generation, String> {
    let compile = || {
        if let Err(error) = rustix::process::setpriority_process(None, COMPILER_NICENESS) {
            tracing::debug!("guests are compiled at the priority of workers: {error}");
        }
        Generation::load(engine, bytes)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("compile".to_owned());
        let thread = thread
            .spawn_scoped(scope, compile)
            .map_err(|error| format!("no thread to compile it: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("compiling it panics".to_owned()))
    })
}

/// A guest together with the cases that it was held against: what was refused for a case
/// that is wrong is tried again when the case is right.
pub(super) fn tried(guest: Digest, cases: &[CaseFile]) -> Digest {
    let digests = cases.iter().map(|file| file.digest);
    let all: String = std::iter::once(guest).chain(digests).map(|d| format!("{d:#}")).collect();
    Digest::of(all.as_bytes())
}
