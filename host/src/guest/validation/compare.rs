//! Compares the decisions of two guests on the requests that the first one decided lately.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::decision_cache::weigh;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::helper::CancelToken;
use crate::text;

/// Requests that are compared.
const COMPARED: usize = 1_000;

/// How long comparing may take.
const COMPARING: Duration = Duration::from_secs(2);

/// Differences that are reported.
const DIFFERENCES: usize = 100;

/// Bytes of decisions that differ, for the report to tell what responses they lead to.
const DECISIONS_BYTES: u64 = 4 << 20;

/// Characters that a report has of a decision. Its fields may have a hundred times as many.
pub(super) const SHOWN: usize = 1_000;

/// The result.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Distinct requests that were compared.
    pub compared: usize,
    /// How many of them the guests decide differently.
    pub differing: usize,
    /// Those: a hundred at most, as texts.
    pub differences: Vec<Difference>,
    /// The same with their decisions, as many as fit in 4 MiB.
    pub decisions: Vec<Differing>,
}

/// A request with two decisions on it, which differ.
#[derive(Debug)]
pub struct Differing {
    /// The request line.
    pub line: Vec<u8>,
    /// The facts and fields that the current guest reads: names and values.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The decision of the guest that serves.
    pub current: Result<Decision, Failure>,
    /// The decision of the one that may replace it.
    pub candidate: Result<Decision, Failure>,
}

/// A request on which two guests decide differently.
#[derive(Debug)]
pub struct Difference {
    /// The request line, and the fields that the current guest reads.
    pub request: String,
    /// The decision of the guest that serves.
    pub current: String,
    /// The decision of the one that may replace it.
    pub candidate: String,
}

/// Asks both guests.
pub(super) fn compare(
    current: &LoadedGuest,
    candidate: &LoadedGuest,
    cancel: &CancelToken,
) -> Comparison {
    let began = Instant::now();
    let mut seen = HashSet::new();
    let mut comparison = Comparison::default();
    let mut room = DECISIONS_BYTES;
    for key in current.cached_requests() {
        if seen.len() == COMPARED || began.elapsed() > COMPARING || cancel.is_canceled() {
            break;
        }
        let request = key.to_string();
        if !seen.insert(request.clone()) {
            continue;
        }
        let asked = key.request();
        let decisions = (current.decide_on(&asked), candidate.decide_on(&asked));
        if decisions.0 == decisions.1 {
            continue;
        }
        comparison.differing += 1;
        if comparison.differences.len() < DIFFERENCES {
            let (current, candidate) = distinct_texts(&decisions.0, &decisions.1);
            comparison.differences.push(Difference { request, current, candidate });
        }
        let weight = [&decisions.0, &decisions.1]
            .map(|decision| decision.as_ref().map_or(0, |decision| weigh(key.bytes(), decision)));
        if let Some(rest) = room.checked_sub(weight.iter().sum()) {
            room = rest;
            comparison.decisions.push(differing(asked, decisions));
        }
    }
    comparison.compared = seen.len();
    comparison
}

fn differing(
    request: Request,
    (current, candidate): (Result<Decision, Failure>, Result<Decision, Failure>),
) -> Differing {
    let fields = request.fields.into_iter();
    let fields = fields.map(|field| (field.name.into_owned(), field.value.into_owned())).collect();
    Differing { line: request.line, fields, current, candidate }
}

/// Texts for two different decisions, which differ too: of a long body they have the beginning,
/// and then a digest where the beginnings are the same.
fn distinct_texts(
    one: &Result<Decision, Failure>,
    other: &Result<Decision, Failure>,
) -> (String, String) {
    let text = |decision: &Result<Decision, Failure>| match decision {
        Ok(decision) => text::beginning(&decision.to_string(), SHOWN),
        Err(failure) => text::beginning(&format!("none: {failure}"), SHOWN),
    };
    let (first, second) = (text(one), text(other));
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
    use super::{Decision, distinct_texts};

    #[test]
    fn bodies_that_differ_at_their_end_have_distinct_texts() {
        let reply = |last: &str| {
            let body = ["x".repeat(200), last.to_owned()].concat().into_bytes().into();
            Ok(Decision::Reply { status: 200, fields: crate::http::Fields::new(), body })
        };
        let (first, second) = distinct_texts(&reply("a"), &reply("b"));
        assert!(first != second && first.contains("101 bytes more, digest "), "{first}\n{second}");
        let (first, second) = distinct_texts(&reply("a"), &Ok(Decision::not_found()));
        assert!(!first.contains("digest") && second == "not-found", "{first}\n{second}");
    }
}
