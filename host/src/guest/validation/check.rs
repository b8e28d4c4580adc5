//! The check that a guest must pass before its first request.
//!
//! - It decides on each of a set of request lines, of every form and of none, within its
//!   limits.
//! - Its cases pass.
//! - It decides with the fields and facts that it reads, whatever their values; and on what
//!   clients requested lately.
//! - It is a function: asked again, on other instances and in another order, it decides the
//!   same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use innkeeper_cases::{Case, Mismatch};

use super::cases::{CaseFile, GuestRequest};
use super::error::{FailedCases, ValidationError};
use super::request_lines::request_lines;
use super::trials::trials;
use super::twice::{decide_twice, shown, shown_of};
use super::warnings::{self, Warning};
use crate::clock::thread_cpu_time;
use crate::guest::decision::request::{Request, StatedFacts};
use crate::guest::decision::{Decision, Kind};
use crate::guest::decision_cache::Key;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::origin::Origin;
use crate::helper::CancelToken;

/// Of a core's time, what trying fields and recent requests may take: of a guest in Python it has
/// five hundred decisions, twice.
pub const TRIAL_TIME: Duration = Duration::from_secs(2);

/// The same for the built-in guests. Passwords take ten milliseconds each there, and saved rules
/// should be in service at once.
const OWN_TRIAL_TIME: Duration = Duration::from_millis(100);

/// Warnings about cases that state what the guest does not read.
const UNREAD: usize = 5;

/// The request whose decision is measured.
pub const MEASURED_LINE: &[u8] = b"GET /index.html HTTP/1.1";

/// The facts of all requests of a check.
pub const FACTS: StatedFacts = StatedFacts::plain(IpAddr::V4(Ipv4Addr::LOCALHOST));

/// What a guest passed.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Request lines of the built-in set on which it decided.
    pub lines: usize,
    /// Cases that passed.
    pub cases: usize,
    /// Requests on which it decided, with values of the fields and facts that it reads, and of
    /// those that clients made lately.
    pub trials: usize,
    /// Such requests that were left out, as those before took too long.
    pub skipped_trials: usize,
    /// How many of the decisions on lines and cases were of each kind.
    pub kinds: BTreeMap<Kind, usize>,
    /// Decisions that are allowed and unwise: of each kind the first, on one line.
    pub warnings: Vec<String>,
    /// What a decision took of a core's time, on average.
    pub average: Duration,
    /// Whether the check was passed before, by the same guest with the same cases, limits and
    /// version of innkeeper: a pure function that passed once passes again.
    pub is_cached: bool,
}

/// Checks a guest. The error is the first that is found.
pub fn check(guest: &LoadedGuest, cases: &[CaseFile]) -> Result<CheckReport, ValidationError> {
    check_unless(guest, cases, &[], &CancelToken::default())
}

/// Checks a guest, also on requests that clients made lately, unless that is canceled.
pub(super) fn check_unless(
    guest: &LoadedGuest,
    cases: &[CaseFile],
    recent: &[Key<'_>],
    cancel: &CancelToken,
) -> Result<CheckReport, ValidationError> {
    let lines = request_lines();
    let mut report = CheckReport { lines: lines.len(), ..CheckReport::default() };
    let of_line = |line: &Vec<u8>| guest.request(line, [].into_iter(), FACTS.lend());
    let all_cases = cases.iter().flat_map(|file| &file.cases);
    let of_case = |case| GuestRequest::from(case).shown_to(guest);
    let requests: Vec<_> =
        lines.iter().map(of_line).chain(all_cases.clone().map(of_case)).collect();
    let (mut verdict, mut warned) = (Verdict::new(cases), BTreeMap::new());
    let mut look_at = |request: &Request, decision: &Decision| {
        if let Some(warning) = warnings::of(&request.line, decision) {
            warned.entry(warning).or_insert_with(|| warn(request, decision, warning));
        }
    };
    let decide = |request: &Request| guest.decide_on(request);
    let before = thread_cpu_time();
    decide_twice(&requests, Duration::MAX, cancel, decide, |number, decision| {
        *report.kinds.entry(decision.kind()).or_default() += 1;
        look_at(&requests[number], decision);
        if number >= lines.len() {
            verdict.judge(decision);
        }
    })?;
    // Each was decided twice.
    let count = u32::try_from(2 * requests.len()).unwrap_or(u32::MAX);
    report.average = thread_cpu_time().saturating_sub(before) / count;
    guest.costs().begin_with(report.average);
    report.cases = verdict.result()?;
    // After the cases: their authors know them.
    let requests = trials(guest.read(), recent, all_cases.map(|case| &*case.line));
    let time = match guest.origin() {
        Origin::BuiltIn | Origin::Rules => OWN_TRIAL_TIME,
        Origin::File | Origin::Uploaded => TRIAL_TIME,
    };
    report.trials = decide_twice(&requests, time, cancel, decide, |number, decision| {
        look_at(&requests[number], decision);
    })?;
    report.skipped_trials = requests.len() - report.trials;
    report.warnings = warned.into_values().collect();
    report.warnings.extend(cases.iter().flat_map(|file| unread(file, guest)).take(UNREAD));
    Ok(report)
}

/// Warnings about cases that state what the guest does not read.
fn unread<'a>(file: &'a CaseFile, guest: &'a LoadedGuest) -> impl Iterator<Item = String> + 'a {
    file.cases.iter().filter_map(|case| {
        let unread = guest.unread_of(case);
        let place = format_args!("{}:{}", file.path.display(), case.line_number).to_string();
        (!unread.is_empty()).then(|| {
            format!("the case {place} states {}, which the guest does not read", unread.join(", "))
        })
    })
}

/// A warning, with the request that it was found with.
fn warn(request: &Request, decision: &Decision, warning: Warning) -> String {
    format!("on {} it decides {}: {warning}", shown(request), shown_of(decision))
}

/// Whether cases pass, while they are decided one after the other.
struct Verdict<'a, I> {
    cases: I,
    judged: usize,
    failed: usize,
    first: Option<(&'a CaseFile, &'a Case, Mismatch)>,
}

impl<'a> Verdict<'a, ()> {
    fn new(cases: &'a [CaseFile]) -> Verdict<'a, impl Iterator<Item = (&'a CaseFile, &'a Case)>> {
        let cases = cases.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)));
        Verdict { cases, judged: 0, failed: 0, first: None }
    }
}

impl<'a, I: Iterator<Item = (&'a CaseFile, &'a Case)>> Verdict<'a, I> {
    /// Compares the decision of the next case.
    fn judge(&mut self, decision: &Decision) {
        let Some((file, case)) = self.cases.next() else { return };
        self.judged += 1;
        if let Err(mismatch) = case.judge(&decision.lend()) {
            self.failed += 1;
            self.first.get_or_insert((file, case, mismatch));
        }
    }

    /// The number of cases, if all of them pass.
    fn result(self) -> Result<usize, ValidationError> {
        let Some((file, case, mismatch)) = self.first else { return Ok(self.judged) };
        Err(ValidationError::Cases(Box::new(FailedCases {
            failed: self.failed,
            total: self.judged,
            place: format!("{}:{}", file.path.display(), case.line_number),
            request: case.to_string(),
            expected: mismatch.expected,
            actual: mismatch.got,
        })))
    }
}
