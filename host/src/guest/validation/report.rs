//! The report on an uploaded guest: whether it is accepted, which of its cases fail, and what it
//! decides differently from the guest that serves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::cases::{CaseFile, CaseOutcome};
use super::check::CheckReport;
use super::compare::{Comparison, SHOWN, compare};
use super::error::ValidationError;
use super::validate::Checked;
use crate::guest::decision::Kind;
use crate::guest::digest::Identity;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::runtime::component::Form;
use crate::helper::CancelToken;
use crate::text;

/// How long the cases of a report may take: a guest may take all of its deadline for each, and
/// fail.
const CASES: Duration = Duration::from_secs(10);

/// The report.
#[derive(Debug)]
pub struct ValidationReport {
    /// The digests of the guest's file and of its data.
    pub identity: Identity,
    /// Why it is not accepted, if it is not.
    pub error: Option<ValidationError>,
    /// Whether it serves now.
    pub is_active: bool,
    /// What is known of it, if it was loaded.
    pub details: Option<Details>,
}

/// What is known of a guest that was loaded, whether or not it passed its check.
#[derive(Debug)]
pub struct Details {
    /// What its file holds.
    pub form: Form,
    /// Its imports, escaped. Calling one traps.
    pub imports: Vec<String>,
    /// Names of the header fields and facts that it reads.
    pub interests: Vec<String>,
    /// How long compiling it took.
    pub compile: Duration,
    /// How long its check took.
    pub check: Duration,
    /// Request lines of the check on which it decided; 0 if it did not pass.
    pub lines: usize,
    /// Requests with values of what it reads, and of those that clients made lately, on which it
    /// decided.
    pub trials: usize,
    /// Such requests that were left out, as those before took too long.
    pub skipped_trials: usize,
    /// How many decisions were of each kind.
    pub kinds: BTreeMap<Kind, usize>,
    /// Decisions that are allowed and unwise.
    pub warnings: Vec<String>,
    /// Its cases.
    pub cases: Vec<CaseOutcome>,
    /// Cases that are not in the report, as those before them took too long.
    pub skipped_cases: usize,
    /// Its decisions beside those of the guest that serves.
    pub comparison: Comparison,
}

impl ValidationReport {
    /// Of a guest that was not loaded.
    pub fn not_loaded(identity: Identity, error: ValidationError) -> Self {
        ValidationReport { identity, error: Some(error), is_active: false, details: None }
    }

    /// Of a guest that was loaded, beside the one that serves.
    pub fn of(
        checked: &Checked,
        cases: &[CaseFile],
        current: &LoadedGuest,
        cancel: &CancelToken,
    ) -> Self {
        let guest = &checked.guest;
        let comparison = compare(current, guest, cancel);
        let (outcomes, skipped_cases) = outcomes(cases, guest, cancel);
        let passed = checked.result.as_ref().ok();
        ValidationReport {
            identity: guest.identity(),
            error: checked.result.as_ref().err().cloned(),
            is_active: false,
            details: Some(Details {
                form: guest.form(),
                imports: guest.imports().to_vec(),
                interests: guest.interests().map(str::to_owned).collect(),
                compile: checked.compile,
                check: checked.check,
                lines: passed.map_or(0, |report| report.lines),
                trials: passed.map_or(0, |report| report.trials),
                skipped_trials: passed.map_or(0, |report| report.skipped_trials),
                kinds: passed.map_or_else(BTreeMap::new, |report| report.kinds.clone()),
                warnings: warnings(guest, passed),
                cases: outcomes,
                skipped_cases,
                comparison,
            }),
        }
    }

    /// Whether the guest may serve.
    pub fn is_accepted(&self) -> bool {
        self.error.is_none()
    }

    /// Rejects the guest for this reason, unless there is another one.
    pub fn reject(&mut self, error: ValidationError) {
        self.error.get_or_insert(error);
    }
}

/// What is unwise about a guest and its decisions, and no error.
fn warnings(guest: &LoadedGuest, passed: Option<&CheckReport>) -> Vec<String> {
    let is_development = guest.is_for_development() && !guest.serves_its_author();
    let of_build = is_development.then_some("it is built for development; build it for release");
    let of_decisions = passed.into_iter().flat_map(|report| report.warnings.iter().cloned());
    of_build.map(str::to_owned).into_iter().chain(of_decisions).collect()
}

/// The outcomes of cases, and how many were skipped for want of time.
fn outcomes(
    files: &[CaseFile],
    guest: &LoadedGuest,
    cancel: &CancelToken,
) -> (Vec<CaseOutcome>, usize) {
    let began = Instant::now();
    let all = files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)));
    let mut outcomes = Vec::new();
    for (file, case) in all {
        if began.elapsed() > CASES || cancel.is_canceled() {
            break;
        }
        let mut outcome = file.outcome(case, guest);
        outcome.got = text::beginning(&outcome.got, SHOWN);
        outcomes.push(outcome);
    }
    let count = files.iter().map(|file| file.cases.len()).sum::<usize>();
    let skipped = count - outcomes.len();
    (outcomes, skipped)
}
