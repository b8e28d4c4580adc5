//! What is found out about a guest that somebody hands over: whether it is fit, which of
//! its cases hold, and what it would decide otherwise than the one that serves.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::cases::{CaseFile, CaseOutcome};
use super::generation::Generation;
use super::prove::Proven;

/// Requests for which the decisions of two guests are compared.
const COMPARED: usize = 1_000;

/// How long that may take.
const COMPARING: Duration = Duration::from_secs(2);

/// Differences that are told.
const DIFFERENCES: usize = 100;

/// What was found out.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// The SHA-256 of its file.
    pub digest: String,
    /// Whether it is fit to serve, and if not, why not.
    pub fit: bool,
    /// Why it is not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
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

impl Trial {
    /// Of a guest that could not even be loaded, or before it was.
    pub(super) fn unfit(digest: String, problem: String) -> Trial {
        Trial {
            digest,
            fit: false,
            problem: Some(problem),
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
            compared: 0,
            differences: Vec::new(),
        }
    }

    /// Of a guest that was loaded, whether or not it passed its check.
    pub(super) fn of(
        proven: &Proven,
        verdict: Result<(), String>,
        cases: &[CaseFile],
        serving: &Generation,
    ) -> Trial {
        let guest = &proven.generation;
        let (compared, differences) = compare(serving, guest);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
        Trial {
            digest: format!("{:#}", guest.digest()),
            fit: verdict.is_ok(),
            problem: verdict.err(),
            serves: false,
            form: Some(guest.form().to_string()),
            imports: guest.imports().to_vec(),
            interests: guest.interests().map(str::to_owned).collect(),
            compile_ms: milliseconds(proven.compile),
            check_ms: milliseconds(proven.check),
            lines: proven.report.lines,
            decided: proven.report.kinds.iter().map(|(kind, &n)| (kind.name(), n)).collect(),
            warnings: proven.report.warnings.clone(),
            cases: cases.iter().flat_map(|file| file.outcomes(guest)).collect(),
            compared,
            differences,
        }
    }
}

/// Asks both for decisions on what the first one was asked of late.
fn compare(serving: &Generation, other: &Generation) -> (usize, Vec<Difference>) {
    let began = Instant::now();
    let mut seen = HashSet::new();
    let mut differences = Vec::new();
    for key in serving.remembered_keys() {
        if seen.len() == COMPARED || began.elapsed() > COMPARING {
            break;
        }
        let asked = key.to_string();
        if !seen.insert(asked.clone()) {
            continue;
        }
        let told = |guest: &Generation| match guest.decide_on(&key) {
            Ok(decision) => decision.to_string(),
            Err(failure) => format!("none: {failure}"),
        };
        let (now, then) = (told(serving), told(other));
        if now != then && differences.len() < DIFFERENCES {
            differences.push(Difference { asked, now, then });
        }
    }
    (seen.len(), differences)
}
