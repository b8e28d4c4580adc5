//! What is found out about a guest that somebody hands over: whether it is fit, which of
//! its cases hold, and what it would decide otherwise than the one that serves.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::validate::Validated;
use crate::guest::cases::{CaseFile, CaseOutcome};
use crate::guest::decision::Decision;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::runtime::compile::LoadError;
use crate::helper::GiveUp;
use crate::text;

/// Requests for which the decisions of two guests are compared.
const COMPARED: usize = 1_000;

/// How long that may take.
const COMPARING: Duration = Duration::from_secs(2);

/// Differences that are told.
const DIFFERENCES: usize = 100;

/// How long cases may take that are asked to be told one by one: a guest may take all of its
/// deadline for each, and fail.
const CASES: Duration = Duration::from_secs(10);

/// Characters that are told of what was decided on one request. The fields of a decision may
/// have a hundred times as many.
const TOLD: usize = 1_000;

/// What was found out.
#[derive(Debug, Serialize)]
pub struct ValidationReport {
    /// The SHA-256 of its file.
    pub digest: String,
    /// Whether it is fit to serve, and if not, why not.
    pub fit: bool,
    /// Why it is not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether it could not be tried now, whatever it is.
    #[serde(skip)]
    pub is_hindered: bool,
    /// Whether it serves now.
    pub serves: bool,
    /// What its file holds. What follows is there only if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// What it names as imports. Calling one traps.
    pub imports: Vec<String>,
    /// Names of the header fields and facts that it reads.
    pub interests: Vec<String>,
    /// How long compiling it took, in milliseconds.
    pub compile_ms: f64,
    /// How long its check took, in milliseconds.
    pub check_ms: f64,
    /// Request lines of the check on which it decided.
    pub lines: usize,
    /// How many decisions were of each kind.
    pub decided: BTreeMap<&'static str, usize>,
    /// What it had better not decide.
    pub warnings: Vec<String>,
    /// Its cases.
    pub cases: Vec<CaseOutcome>,
    /// Cases that are not told here, as those before them took too long.
    pub cases_left_out: usize,
    /// Requests of late for which its decision was compared with that of the guest that
    /// serves.
    pub compared: usize,
    /// Those of them on which it decides otherwise: a hundred at most.
    pub differences: Vec<Difference>,
}

/// A request on which two guests decide differently.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The request line, and the fields that the guest that serves reads.
    pub asked: String,
    /// What the guest that serves decides.
    pub now: String,
    /// What the other one decides.
    pub then: String,
}

impl ValidationReport {
    /// Of a guest that could not even be loaded, or before it was.
    pub(in crate::guest) fn unfit(digest: String, problem: &LoadError) -> ValidationReport {
        ValidationReport {
            digest,
            fit: false,
            problem: Some(problem.to_string()),
            is_hindered: !matches!(problem, LoadError::Unfit(_)),
            serves: false,
            form: None,
            imports: Vec::new(),
            interests: Vec::new(),
            compile_ms: 0.0,
            check_ms: 0.0,
            lines: 0,
            decided: BTreeMap::new(),
            warnings: Vec::new(),
            cases: Vec::new(),
            cases_left_out: 0,
            compared: 0,
            differences: Vec::new(),
        }
    }

    /// Of a guest that was loaded, whether or not it passed its check.
    pub(in crate::guest) fn of(
        validated: &Validated,
        verdict: Result<(), String>,
        cases: &[CaseFile],
        serving: &LoadedGuest,
        give_up: &GiveUp,
    ) -> ValidationReport {
        let guest = &validated.generation;
        let (compared, differences) = compare(serving, guest, give_up);
        let (told, cases_left_out) = outcomes(cases, guest, give_up);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
        ValidationReport {
            digest: format!("{:#}", guest.digest()),
            fit: verdict.is_ok(),
            problem: verdict.err(),
            is_hindered: false,
            serves: false,
            form: Some(guest.form().to_string()),
            imports: guest.imports().to_vec(),
            interests: guest.interests().map(str::to_owned).collect(),
            compile_ms: milliseconds(validated.compile),
            check_ms: milliseconds(validated.check),
            lines: validated.report.lines,
            decided: validated.report.kinds.iter().map(|(kind, &n)| (kind.name(), n)).collect(),
            warnings: validated.report.warnings.clone(),
            cases: told,
            cases_left_out,
            compared,
            differences,
        }
    }

    /// Makes it one that is not fit, for this reason, unless there is another one.
    pub(in crate::guest) fn refuse(&mut self, problem: String) {
        self.fit = false;
        self.problem.get_or_insert(problem);
    }
}

/// What comes of the cases, and how many of them were not asked for want of time.
fn outcomes(
    files: &[CaseFile],
    guest: &LoadedGuest,
    give_up: &GiveUp,
) -> (Vec<CaseOutcome>, usize) {
    let began = Instant::now();
    let all = files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)));
    let mut outcomes = Vec::new();
    for (file, case) in all {
        if began.elapsed() > CASES || give_up.is_wanted() {
            break;
        }
        let mut outcome = file.outcome(case, guest);
        outcome.got = text::beginning(&outcome.got, TOLD);
        outcomes.push(outcome);
    }
    let count = files.iter().map(|file| file.cases.len()).sum::<usize>();
    let left_out = count - outcomes.len();
    (outcomes, left_out)
}

/// Asks both for decisions on what the first one was asked of late.
fn compare(
    serving: &LoadedGuest,
    other: &LoadedGuest,
    give_up: &GiveUp,
) -> (usize, Vec<Difference>) {
    let began = Instant::now();
    let mut seen = HashSet::new();
    let mut differences = Vec::new();
    for key in serving.cached_requests() {
        if seen.len() == COMPARED || began.elapsed() > COMPARING || give_up.is_wanted() {
            break;
        }
        let asked = key.to_string();
        if !seen.insert(asked.clone()) {
            continue;
        }
        let (now, then) = (serving.decide_again(&key), other.decide_again(&key));
        if now != then && differences.len() < DIFFERENCES {
            let (now, then) = told_apart(&now, &then);
            differences.push(Difference { asked, now, then });
        }
    }
    (seen.len(), differences)
}

/// Tells two decisions that differ, so that the texts do too: of a long body the beginning is
/// shown, and then its digest says that the rest is another.
fn told_apart(
    one: &Result<Decision, Failure>,
    other: &Result<Decision, Failure>,
) -> (String, String) {
    let told = |decision: &Result<Decision, Failure>| match decision {
        Ok(decision) => text::beginning(&decision.to_string(), TOLD),
        Err(failure) => text::beginning(&format!("none: {failure}"), TOLD),
    };
    let (first, second) = (told(one), told(other));
    match (one, other) {
        (Ok(one), Ok(other)) if first == second => (
            format!("{first}, digest {}", one.digest()),
            format!("{second}, digest {}", other.digest()),
        ),
        _ => (first, second),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, told_apart};

    #[test]
    fn bodies_that_differ_at_their_end_are_told_apart() {
        let reply = |last: &str| {
            let body = ["x".repeat(200), last.to_owned()].concat().into_bytes().into();
            Ok(Decision::Reply { status: 200, fields: crate::http::Fields::new(), body })
        };
        let (now, then) = told_apart(&reply("a"), &reply("b"));
        assert!(now != then && now.contains("101 bytes more, digest "), "{now}\n{then}");
        let (now, then) = told_apart(&reply("a"), &Ok(Decision::NotFound));
        assert!(!now.contains("digest") && then == "not-found", "{now}\n{then}");
    }
}
