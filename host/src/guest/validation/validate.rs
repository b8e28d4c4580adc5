//! Whether a guest is fit to serve: compiled, checked, and held against its cases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::check::{Report, check_unless};
use crate::guest::cases::CaseFile;
use crate::guest::digest::Digest;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::origin::Origin;
use crate::guest::runtime::compile::{LoadError, Urgency};
use crate::guest::runtime::engine::Engine;
use crate::helper::GiveUp;

/// A generation that passed its check, and what that took.
pub struct Validated {
    /// What may serve now.
    pub generation: LoadedGuest,
    /// What it passed.
    pub report: Report,
    /// How long compiling took.
    pub compile: Duration,
    /// How long the check took, with the cases.
    pub check: Duration,
}

/// Compiles and checks a guest on this thread, before anything is served. What is kept of an
/// earlier start is not done again.
pub fn validate(
    engine: &Arc<Engine>,
    origin: Origin,
    bytes: &[u8],
    cases: &[CaseFile],
) -> Result<Validated, LoadError> {
    let began = Instant::now();
    let give_up = GiveUp::default();
    let generation = LoadedGuest::load_unless(engine, bytes, origin, Urgency::First, &give_up)?;
    let compiled = Instant::now();
    let limits = format!("{} {:?}", env!("CARGO_PKG_VERSION"), engine.limits());
    let key = Digest::of(format!("{:#} {limits}", tried(generation.digest(), cases)).as_bytes());
    let cache = engine.code_cache();
    let report = match cache.and_then(|cache| cache.passed(key)) {
        Some(average) => {
            generation.cost().begin_with(average);
            let cases = cases.iter().map(|file| file.cases.len()).sum();
            Report { cases, average, is_known: true, ..Report::default() }
        }
        None => {
            let report = check_unless(&generation, cases, &give_up)?;
            if let Some(cache) = cache {
                cache.note_passed(key, report.average);
            }
            report
        }
    };
    Ok(Validated { generation, report, compile: compiled - began, check: compiled.elapsed() })
}

/// Compiles and checks a guest while another one serves. The error tells why it cannot be
/// loaded, the verdict what it did not pass.
pub(in crate::guest) fn validate_beside(
    engine: &Arc<Engine>,
    origin: Origin,
    bytes: &[u8],
    cases: &[CaseFile],
    give_up: &GiveUp,
) -> Result<(Validated, Result<(), LoadError>), LoadError> {
    let began = Instant::now();
    let generation = LoadedGuest::load_unless(engine, bytes, origin, Urgency::Beside, give_up)?;
    let compiled = Instant::now();
    let (report, verdict) = match check_unless(&generation, cases, give_up) {
        Ok(report) => (report, Ok(())),
        Err(problem) => (Report::default(), Err(problem)),
    };
    let (compile, check) = (compiled - began, compiled.elapsed());
    Ok((Validated { generation, report, compile, check }, verdict))
}

/// A guest together with the cases that it was held against: what was refused for a case
/// that is wrong is tried again when the case is right.
pub(in crate::guest) fn tried(guest: Digest, cases: &[CaseFile]) -> Digest {
    let digests = cases.iter().map(|file| file.digest);
    let all: String = std::iter::once(guest).chain(digests).map(|d| format!("{d:#}")).collect();
    Digest::of(all.as_bytes())
}
