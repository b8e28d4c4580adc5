//! Asks a guest for decisions, and for all of them again, from the last to the first: a guest is a
//! function of its request.

use std::time::Duration;

use super::error::ValidationError;
use crate::clock::thread_cpu_time;
use crate::guest::decision::Decision;
use crate::guest::decision::request::Request;
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::helper::CancelToken;
use crate::text;

/// Characters that a message has of a decision.
const SHOWN_OF_DECISIONS: usize = 300;

/// Bytes that a message has of a request line.
const SHOWN_OF_LINES: usize = 60;

/// Bytes that a message has of the value of a field, and fields that it has of a request.
const SHOWN_OF_VALUES: usize = 100;
const SHOWN_FIELDS: usize = 8;

/// Asks for all decisions, and for all of them again. Each decision is seen once, with its number,
/// and is not kept: a guest may reply with a MiB on each line.
///
/// Those that are not begun when this thread ran for `time` are left out. Returns how many were
/// decided.
pub(super) fn decide_twice(
    requests: &[Request],
    time: Duration,
    cancel: &CancelToken,
    decide: impl Fn(&Request) -> Result<Decision, Failure>,
    mut see: impl FnMut(usize, &Decision),
) -> Result<usize, ValidationError> {
    let began = thread_cpu_time();
    let is_over = |time| thread_cpu_time().saturating_sub(began) > time;
    let decide = |request: &Request| {
        if cancel.is_canceled() {
            return Err(ValidationError::Canceled);
        }
        decide(request).map_err(|failure| {
            let request = shown(request);
            ValidationError::Failed { request, failure }
        })
    };
    // The digest of each, and what a message has of it.
    let mut firsts: Vec<(Digest, Box<str>)> = Vec::with_capacity(requests.len());
    for (number, request) in requests.iter().enumerate() {
        if is_over(time / 2) {
            break;
        }
        let decision = decide(request)?;
        see(number, &decision);
        firsts.push((decision.digest(), shown_of(&decision).into()));
    }
    for (request, (digest, first)) in requests.iter().zip(&firsts).rev() {
        let second = decide(request)?;
        if second.digest() != *digest {
            return Err(ValidationError::NotDeterministic {
                request: shown(request),
                first: first.to_string(),
                second: shown_of(&second),
            });
        }
    }
    Ok(firsts.len())
}

/// The beginning of a decision, for a message.
pub(super) fn shown_of(decision: &Decision) -> String {
    text::beginning(&decision.to_string(), SHOWN_OF_DECISIONS)
}

/// A request for a message: `"GET / HTTP/1.1" (cookie: "a=b")`. Escaped, and of what is long the
/// beginning.
pub(super) fn shown(request: &Request) -> String {
    let mut all = beginning(&request.line, SHOWN_OF_LINES);
    for field in request.fields.iter().take(SHOWN_FIELDS) {
        let value = beginning(&field.value, SHOWN_OF_VALUES);
        all.push_str(&format!(" ({}: {value})", field.name.escape_default()));
    }
    let more = request.fields.len().saturating_sub(SHOWN_FIELDS);
    if more > 0 {
        all.push_str(&format!(" (and {more} fields more)"));
    }
    all
}

fn beginning(bytes: &[u8], shown: usize) -> String {
    let rest = bytes.len().saturating_sub(shown);
    let more = if rest > 0 { format!(" (and {rest} bytes more)") } else { String::new() };
    format!("\"{}\"{more}", bytes[..bytes.len() - rest].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::{CancelToken, Request, ValidationError, decide_twice, shown};
    use crate::guest::validation::request_lines::request_lines;
    use crate::guest::{Decision, Failure};
    use crate::http::Field;
    use std::cell::Cell;
    use std::time::Duration;

    fn requests(lines: &[Vec<u8>]) -> Vec<Request> {
        lines.iter().map(|line| Request { line: line.clone(), fields: Vec::new() }).collect()
    }

    /// Asks twice, and returns how many decisions were seen.
    fn decided(
        lines: &[Vec<u8>],
        decide: impl Fn(&Request) -> Result<Decision, Failure>,
    ) -> Result<usize, ValidationError> {
        let mut seen = 0;
        let cancel = CancelToken::default();
        decide_twice(&requests(lines), Duration::MAX, &cancel, decide, |number, _| {
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
        let counts = |_: &Request| {
            calls.set(calls.get() + 1);
            Ok(reply(if calls.get() == lines.len() + 3 { 404 } else { 200 }))
        };
        let error = decided(&lines, counts).expect_err("no function");
        assert_eq!(error.code(), "not-deterministic");
        let text = error.to_string();
        assert!(text.contains("decides reply 200") && text.contains("then reply 404"), "{text}");
        let constant = |_: &Request| Ok(reply(200));
        assert_eq!(decided(&lines, constant), Ok(lines.len()));
    }

    #[test]
    fn one_failure_is_an_error() {
        let lines = request_lines();
        let fails = |asked: &Request| match &asked.line[..] {
            b"GET /%zz HTTP/1.1" => Err(Failure::Deadline),
            _ => Ok(reply(200)),
        };
        let request = "\"GET /%zz HTTP/1.1\"".to_owned();
        let error = ValidationError::Failed { request, failure: Failure::Deadline };
        assert_eq!(decided(&lines, fails), Err(error));
    }

    #[test]
    fn canceled_check_asks_no_more() {
        let lines = request_lines();
        let (cancel, calls) = (CancelToken::default(), Cell::new(0));
        let decide = |_: &Request| {
            calls.set(calls.get() + 1);
            cancel.cancel();
            Ok(reply(200))
        };
        let result = decide_twice(&requests(&lines), Duration::MAX, &cancel, decide, |_, _| {});
        assert_eq!((result, calls.get()), (Err(ValidationError::Canceled), 1));
    }

    #[test]
    fn requests_beyond_the_time_are_left_out() {
        let lines = request_lines();
        let decide = |_: &Request| Ok(reply(200));
        let cancel = CancelToken::default();
        let result = decide_twice(&requests(&lines), Duration::ZERO, &cancel, decide, |_, _| {});
        assert!(result.expect("no failure") < lines.len());
    }

    #[test]
    fn shown_request_has_its_fields_and_is_bounded() {
        let field = |name: &'static str, value: &[u8]| Field::new(name, value);
        let line = b"GET / HTTP/1.1".to_vec();
        let one = Request { line: line.clone(), fields: vec![field("cookie", b"a=\"\xff")] };
        assert_eq!(shown(&one), r#""GET / HTTP/1.1" (cookie: "a=\"\xff")"#);
        let fields = (0..64).map(|_| field("cookie", &[0xff; 8000])).collect();
        let long = shown(&Request { line, fields });
        assert!(long.len() < 5_000 && long.ends_with(" (and 56 fields more)"), "{long}");
    }
}
