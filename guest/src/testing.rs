//! Checks for the unit tests of a policy: asks it natively, as the host would.
//!
//! Whether the host would carry out what was decided is not told here:
//! `innkeeper check` does, and `innkeeper test` holds the built guest against the
//! same cases as [`check_cases`].

mod cases;
mod words;

pub use cases::check_cases;

use crate::{Decision, Field, Policy, Request};

/// Facts that a request has if the test does not say otherwise.
const FACTS: [(&str, &str); 2] = [(":client-address", "127.0.0.1"), (":scheme", "http")];

/// What the policy decides about a request with this line and these fields and
/// facts. As in service it is told only what it named as an interest: facts first,
/// and names in lower case.
pub fn decide<P: Policy>(line: impl AsRef<[u8]>, fields: &[(&str, &str)]) -> Decision {
    let given = |name: &str| fields.iter().find(|(given, _)| *given == name);
    let facts = P::INTERESTS.iter().filter_map(|&interest| {
        let fact = FACTS.iter().find(|(name, _)| *name == interest)?;
        Some(given(interest).unwrap_or(fact))
    });
    let read = fields.iter().filter(|(name, _)| {
        let is_read = |interest: &&str| interest.eq_ignore_ascii_case(name);
        !name.starts_with(':') && P::INTERESTS.iter().any(is_read)
    });
    let fields = facts
        .chain(read)
        .map(|&(name, value)| Field::new(name.to_ascii_lowercase(), value))
        .collect();
    P::decide(&Request::new(line.as_ref(), fields))
}

/// Panics unless the policy decides this about a request with this line and these
/// fields and facts, as [`decide`] puts it.
#[track_caller]
pub fn check<P: Policy>(
    line: impl AsRef<[u8]>,
    fields: &[(&str, &str)],
    expected: impl Into<Decision>,
) {
    let line = line.as_ref();
    let (decision, expected) = (decide::<P>(line, fields), expected.into());
    assert!(
        decision == expected,
        "{} {fields:?}\n  expected {}\n  got      {}",
        line.escape_ascii(),
        words::of(&expected),
        words::of(&decision)
    );
}

#[cfg(test)]
mod tests {
    use super::{check, decide};
    use crate::{Decision, Policy, Reply, Request};

    /// Answers with what it was told.
    struct Told;

    impl Policy for Told {
        const INTERESTS: &'static [&'static str] = &["Accept", ":scheme", ":client-address"];

        fn decide(request: &Request) -> Decision {
            let told = request.fields().iter().flat_map(|field| {
                [field.name.as_bytes(), b"=", field.value.as_slice(), b" "].concat()
            });
            Reply::text(200, told.collect::<Vec<_>>()).into()
        }
    }

    #[test]
    fn a_policy_is_told_what_it_is_interested_in() {
        let line = "GET / HTTP/1.1";
        let fields = [("ACCEPT", "a"), ("cookie", "b"), ("accept", "c")];
        let told = ":scheme=http :client-address=127.0.0.1 accept=a accept=c ";
        check::<Told>(line, &fields, Reply::text(200, told));
        let told = ":scheme=http :client-address=192.0.2.1 ";
        check::<Told>(line, &[(":client-address", "192.0.2.1")], Reply::text(200, told));
    }

    #[test]
    #[should_panic(
        expected = "GET / HTTP/1.1 [(\"accept\", \"a\")]\n  expected not-found\n  got      \
                               reply 200 \":scheme=http"
    )]
    fn what_was_decided_otherwise_is_shown() {
        check::<Told>("GET / HTTP/1.1", &[("accept", "a")], Decision::NotFound);
    }

    #[test]
    fn a_line_need_not_be_text() {
        assert!(matches!(decide::<Told>(b"\xff", &[]), Decision::Reply(_)));
    }
}
