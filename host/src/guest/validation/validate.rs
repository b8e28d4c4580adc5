//! Validates a guest: compiles it, and checks it with its cases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cases::CaseFile;
use super::check::{CheckReport, check_unless};
use super::error::ValidationError;
use super::make_live;
use crate::guest::digest::Digest;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::offer::Offer;
use crate::guest::runtime::compile::Urgency;
use crate::guest::runtime::engine::Engine;
use crate::guest::runtime::limits::{DecisionLimits, GuestLimits};
use crate::helper::CancelToken;

/// Grows when the check becomes stricter: a guest that passed another one did not pass this.
const CHECKS: u32 = 2;

/// Requests of clients that a guest is checked with.
const RECENT: usize = 200;

/// A guest that may serve, and what its validation took.
pub struct Validated<G = LoadedGuest> {
    /// The guest.
    pub guest: G,
    /// What it passed.
    pub report: CheckReport,
    /// How long compiling took.
    pub compile: Duration,
    /// How long the check took, with the cases.
    pub check: Duration,
}

impl Validated {
    /// The same with a guest that is shared.
    pub fn shared(self) -> Validated<Arc<LoadedGuest>> {
        let Validated { guest, report, compile, check } = self;
        Validated { guest: Arc::new(guest), report, compile, check }
    }

    /// Keeps the guest's bytes and its data, if other data may be put under it.
    pub fn keep(&mut self, offer: Offer) {
        self.guest.keep(offer.made_of());
    }
}

/// A guest that was loaded and checked, whether or not it passed.
pub struct Checked {
    /// The guest.
    pub guest: LoadedGuest,
    /// What it passed, or why it is rejected.
    pub result: Result<CheckReport, ValidationError>,
    /// How long compiling took.
    pub compile: Duration,
    /// How long the check took, with the cases.
    pub check: Duration,
}

impl Checked {
    /// The guest, if it passed.
    pub fn validated(self) -> Result<Validated, ValidationError> {
        let Checked { guest, result, compile, check } = self;
        Ok(Validated { guest, report: result?, compile, check })
    }
}

/// Validates a guest on this thread, before anything is served. What the code cache has of an
/// earlier start is not done again, nor what another site has. Its decisions may use this.
pub fn validate(
    engine: &Arc<Engine>,
    offer: &Offer,
    own: DecisionLimits,
) -> Result<Validated, ValidationError> {
    let began = Instant::now();
    let cancel = CancelToken::default();
    let guest = load(engine, offer, own, Urgency::First, &cancel)?;
    let cases = &offer.cases[..];
    let compiled = Instant::now();
    let limits = GuestLimits { decision: own, ..engine.limits() };
    let limits = format!("{} {CHECKS} {limits:?}", env!("CARGO_PKG_VERSION"));
    let key = format!("{:#} {limits}", digest_with_cases(guest.digest(), cases));
    let key = Digest::of(key.as_bytes());
    let report = match engine.passed(key) {
        Some(average) => {
            guest.costs().begin_with(average);
            let cases = cases.iter().map(|file| file.cases.len()).sum();
            CheckReport { cases, average, is_cached: true, ..CheckReport::default() }
        }
        None => {
            let report = check_unless(&guest, cases, &[], &cancel)?;
            engine.note_passed(key, report.average);
            report
        }
    };
    make_live::later(&guest, offer, &[]);
    Ok(Validated { guest, report, compile: compiled - began, check: compiled.elapsed() })
}

/// Loads and checks a guest while another one serves, also on what clients requested of that
/// one lately. Its decisions may use what that one's may.
pub fn check_beside(
    engine: &Arc<Engine>,
    offer: &Offer,
    current: &LoadedGuest,
    cancel: &CancelToken,
) -> Result<Checked, LoadError> {
    let began = Instant::now();
    let guest = load(engine, offer, current.limits(), Urgency::Beside, cancel)?;
    let compiled = Instant::now();
    let recent: Vec<_> = current.cached_requests().take(RECENT).collect();
    let result = check_unless(&guest, &offer.cases, &recent, cancel);
    if result.is_ok() {
        make_live::later(&guest, offer, &recent);
    }
    Ok(Checked { guest, result, compile: compiled - began, check: compiled.elapsed() })
}

fn load(
    engine: &Arc<Engine>,
    offer: &Offer,
    own: DecisionLimits,
    urgency: Urgency,
    cancel: &CancelToken,
) -> Result<LoadedGuest, LoadError> {
    let Offer { guest, origin, .. } = offer;
    LoadedGuest::load_unless(engine, guest, offer.data_bytes(), own, *origin, urgency, cancel)
}

/// The digest of a guest together with that of its cases: a guest that was rejected for a wrong
/// case is tried again when the case is right.
pub fn digest_with_cases(guest: Digest, cases: &[CaseFile]) -> Digest {
    let digests = cases.iter().map(|file| file.digest);
    let all: String = std::iter::once(guest).chain(digests).map(|d| format!("{d:#}")).collect();
    Digest::of(all.as_bytes())
}
