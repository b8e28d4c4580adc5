//! The check that a guest must pass before its first request.
//!
//! - It decides on each of a set of request lines, of every form and of none, within its
//!   limits.
//! - Its cases pass.
//! - It is a function: asked again, on other instances and in another order, it decides the
//!   same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use innkeeper_cases::{Case, Mismatch};

use super::cases::{CaseFile, GuestRequest};
use super::error::{FailedCases, ValidationError};
use super::request_lines::request_lines;
use super::warnings::{self, Warning};
use crate::guest::decision::request::StatedFacts;
use crate::guest::decision::{Decision, Kind};
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::runtime::decision_cost::cpu_time;
use crate::helper::CancelToken;
use crate::text;

/// Characters that a message has of a decision.
const SHOWN_OF_DECISIONS: usize = 300;

/// Bytes that a message has of a request line.
const SHOWN_OF_LINES: usize = 60;

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
    /// How many of all those decisions were of each kind.
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
    check_unless(guest, cases, &CancelToken::default())
}

/// Checks a guest, unless that is canceled.
pub(super) fn check_unless(
    guest: &LoadedGuest,
    cases: &[CaseFile],
    cancel: &CancelToken,
) -> Result<CheckReport, ValidationError> {
    let lines = request_lines();
    let mut report = CheckReport { lines: lines.len(), ..CheckReport::default() };
    let built_in = lines.iter().map(|line| GuestRequest { line, fields: &[], facts: FACTS });
    let in_cases = cases.iter().flat_map(|file| &file.cases).map(GuestRequest::from);
    let requests: Vec<_> = built_in.chain(in_cases).collect();
    let (mut verdict, mut warned) = (Verdict::new(cases), BTreeMap::new());
    let before = cpu_time();
    decide_twice(
        &requests,
        cancel,
        |request| request.decide(guest),
        |number, decision| {
            *report.kinds.entry(decision.kind()).or_default() += 1;
            let line = requests[number].line;
            if let Some(warning) = warnings::of(line, decision) {
                warned.entry(warning).or_insert_with(|| warn(line, decision, warning));
            }
            if number >= lines.len() {
                verdict.judge(decision);
            }
        },
    )?;
    // Each was decided twice.
    let count = u32::try_from(2 * requests.len()).unwrap_or(u32::MAX);
    report.average = cpu_time().saturating_sub(before) / count;
    guest.costs().begin_with(report.average);
    report.warnings = warned.into_values().collect();
    report.cases = verdict.result()?;
    Ok(report)
}

/// A warning, with the request that it was found with.
fn warn(line: &[u8], decision: &Decision, warning: Warning) -> String {
    format!("on {} it decides {}: {warning}", shown(line), shown_of(decision))
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

/// Asks for all decisions, and for all of them again, from the last to the first. Each decision
/// is seen once, with its number, and is not kept: a guest may reply with a MiB on each line.
fn decide_twice(
    requests: &[GuestRequest<'_>],
    cancel: &CancelToken,
    decide: impl Fn(&GuestRequest<'_>) -> Result<Decision, Failure>,
    mut see: impl FnMut(usize, &Decision),
) -> Result<(), ValidationError> {
    let decide = |request: &GuestRequest<'_>| {
        if cancel.is_canceled() {
            return Err(ValidationError::Canceled);
        }
        decide(request).map_err(|failure| {
            let line = shown(request.line);
            ValidationError::Failed { line, failure }
        })
    };
    // The digest of each, and what a message has of it.
    let mut firsts: Vec<(Digest, Box<str>)> = Vec::with_capacity(requests.len());
    for (number, request) in requests.iter().enumerate() {
        let decision = decide(request)?;
        see(number, &decision);
        firsts.push((decision.digest(), shown_of(&decision).into()));
    }
    for (request, (digest, first)) in requests.iter().zip(&firsts).rev() {
        let second = decide(request)?;
        if second.digest() != *digest {
            return Err(ValidationError::NotDeterministic {
                line: shown(request.line),
                first: first.to_string(),
                second: shown_of(&second),
            });
        }
    }
    Ok(())
}

/// The beginning of a decision, for a message.
fn shown_of(decision: &Decision) -> String {
    text::beginning(&decision.to_string(), SHOWN_OF_DECISIONS)
}

/// A request line for a message: escaped, and of a long one the beginning.
fn shown(line: &[u8]) -> String {
    let rest = line.len().saturating_sub(SHOWN_OF_LINES);
    let more = if rest > 0 { format!(" (and {rest} bytes more)") } else { String::new() };
    format!("\"{}\"{more}", line[..line.len() - rest].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::{CancelToken, FACTS, GuestRequest, ValidationError, decide_twice, request_lines};
    use crate::guest::{Decision, Failure};
    use std::cell::Cell;

    fn requests(lines: &[Vec<u8>]) -> Vec<GuestRequest<'_>> {
        lines.iter().map(|line| GuestRequest { line, fields: &[], facts: FACTS }).collect()
    }

    /// Asks twice, and returns how many decisions were seen.
    fn decided(
        lines: &[Vec<u8>],
        decide: impl Fn(&GuestRequest<'_>) -> Result<Decision, Failure>,
    ) -> Result<usize, ValidationError> {
        let mut seen = 0;
        decide_twice(&requests(lines), &CancelToken::default(), decide, |number, _| {
            assert_eq!(number, seen);
            seen += 1;
        })?;
        Ok(seen)
    }

    fn reply(status: u16) -> Decision {
        Decision::Reply { status, fields: crate::http::Fields::new(), body: b"".as_slice().into() }
    }

    #[test]
    fn decision_that_depends_on_time_or_order_is_not_deterministic() {
        let lines = request_lines();
        let calls = Cell::new(0);
        let counts = |_: &GuestRequest| {
            calls.set(calls.get() + 1);
            Ok(reply(if calls.get() == lines.len() + 3 { 404 } else { 200 }))
        };
        let error = decided(&lines, counts).expect_err("no function");
        assert_eq!(error.code(), "not-deterministic");
        let text = error.to_string();
        assert!(text.contains("decides reply 200") && text.contains("then reply 404"), "{text}");
        let constant = |_: &GuestRequest| Ok(reply(200));
        assert_eq!(decided(&lines, constant), Ok(lines.len()));
    }

    #[test]
    fn one_failure_is_an_error() {
        let lines = request_lines();
        let fails = |asked: &GuestRequest| match asked.line {
            b"GET /%zz HTTP/1.1" => Err(Failure::Deadline),
            _ => Ok(reply(200)),
        };
        let line = "\"GET /%zz HTTP/1.1\"".to_owned();
        let error = ValidationError::Failed { line, failure: Failure::Deadline };
        assert_eq!(decided(&lines, fails), Err(error));
    }

    #[test]
    fn canceled_check_asks_no_more() {
        let lines = request_lines();
        let (cancel, calls) = (CancelToken::default(), Cell::new(0));
        let decide = |_: &GuestRequest| {
            calls.set(calls.get() + 1);
            cancel.cancel();
            Ok(reply(200))
        };
        let result = decide_twice(&requests(&lines), &cancel, decide, |_, _| {});
        assert_eq!((result, calls.get()), (Err(ValidationError::Canceled), 1));
    }
}
