//! Checks for the unit tests of a policy. They ask it natively, as the host would ask the
//! guest.
//!
//! They do not check the contract's rules, such as which paths a decision may name:
//! `innkeeper check` does. `innkeeper test` runs the table of [`check_cases`] against the
//! built guest.

mod cases;
pub(crate) mod lend;

pub use cases::check_cases;

use innkeeper_cases::{Fact, Facts};

use crate::{Decision, Field, Policy, Request};
use lend::lend;

/// The decision of the policy on a request with this line and these fields and facts.
///
/// As in service, the policy sees only the fields and facts that are among its interests:
/// facts first, and names in lower case. A request is a plain one of HTTP/1.1 from 127.0.0.1,
/// unless facts state something else. With a fact of TLS, such as `:client-name`, it is one over
/// TLS: `:scheme` is `https`. `:time/60` states the time for every grain; without it, it is
/// 1735689600, the beginning of 2025 in UTC. A `:client-bucket/N` that is not stated is 0.
///
/// Panics if there is no such fact, or if it never has this value.
#[track_caller]
pub fn decide<P: Policy>(line: impl AsRef<[u8]>, fields: &[(&str, &str)]) -> Decision {
    let mut facts = Facts::default();
    for (name, value) in fields.iter().filter(|(name, _)| name.starts_with(':')) {
        let fact = Fact::from_name(name);
        let fact = fact.unwrap_or_else(|error| panic!("{name:?} is not a fact; {error}"));
        facts.state(fact, value).unwrap_or_else(|error| panic!("{error}"));
    }
    decide_with::<P>(line.as_ref(), fields, &facts)
}

/// The same with facts that are known. Those among the fields do not count.
fn decide_with<P: Policy>(line: &[u8], fields: &[(&str, &str)], facts: &Facts) -> Decision {
    let interests = P::interests();
    let facts = interests.iter().filter_map(|name| {
        let value = facts.value(Fact::from_name(name).ok()?)?;
        Some((name.as_str(), value))
    });
    let read = fields.iter().copied().filter(|(name, _)| {
        let is_read = |interest: &String| interest.eq_ignore_ascii_case(name);
        !name.starts_with(':') && interests.iter().any(is_read)
    });
    let fields = facts
        .chain(read.map(|(name, value)| (name, value.into())))
        .map(|(name, value)| Field::new(name.to_ascii_lowercase(), value.as_bytes()))
        .collect();
    P::decide(&Request::new(line, fields))
}

/// Panics unless the policy makes this decision on a request with this line and these fields
/// and facts, as [`decide`] does.
///
/// A short form equals the [`Serve`](crate::Serve) that it stands for.
#[track_caller]
pub fn check<P: Policy>(
    line: impl AsRef<[u8]>,
    fields: &[(&str, &str)],
    expected: impl Into<Decision>,
) {
    let line = line.as_ref();
    let (decision, expected) = (decide::<P>(line, fields), expected.into());
    let (decision, expected) = (lend(&decision), lend(&expected));
    assert!(
        decision == expected,
        "{} {fields:?}\n  expected  {}\n  got       {}",
        line.escape_ascii(),
        expected.in_full(),
        decision.in_full(),
    );
}

#[cfg(test)]
mod tests {
    use super::{check, decide};
    use crate::{Decision, Policy, Reply, Request};

    /// Replies with the fields and facts that it sees.
    struct Echo;

    impl Policy for Echo {
        const INTERESTS: &'static [&'static str] =
            &["Accept", ":scheme", ":client-address", ":time/60", ":time/3600", ":client-bucket/9"];

        fn decide(request: &Request) -> Decision {
            let lines = request.fields().iter().flat_map(|field| {
                [field.name.as_bytes(), b"=", field.value.as_slice(), b" "].concat()
            });
            Reply::text(200, lines.collect::<Vec<_>>()).into()
        }
    }

    #[test]
    fn policy_sees_its_interests_and_nothing_else() {
        let line = "GET / HTTP/1.1";
        let fields = [("ACCEPT", "a"), ("cookie", "b"), ("accept", "c")];
        let time = ":time/60=1735689600 :time/3600=1735689600 :client-bucket/9=0 ";
        let seen = [":scheme=http :client-address=127.0.0.1 ", time, "accept=a accept=c "].concat();
        check::<Echo>(line, &fields, Reply::text(200, seen));
        let seen = [":scheme=http :client-address=192.0.2.1 ", time].concat();
        check::<Echo>(line, &[(":client-address", "192.0.2.1")], Reply::text(200, seen));
        let seen = [":scheme=https :client-address=127.0.0.1 ", time].concat();
        check::<Echo>(line, &[(":client-name", "alice")], Reply::text(200, seen));
        let time = [(":time/60", "7260"), (":client-bucket/9", "8")];
        let seen = ":scheme=http :client-address=127.0.0.1 \
                    :time/60=7260 :time/3600=7200 :client-bucket/9=8 ";
        check::<Echo>(line, &time, Reply::text(200, seen));
    }

    #[test]
    #[should_panic(
        expected = "GET / HTTP/1.1 [(\"accept\", \"a\")]\n  expected  not-found\n  got       \
                               reply 200 \":scheme=http"
    )]
    fn another_decision_is_shown() {
        check::<Echo>("GET / HTTP/1.1", &[("accept", "a")], Decision::NotFound);
    }

    #[test]
    #[should_panic(expected = "`:scheme` is \"ftp\"; write \"http\" or \"https\"")]
    fn value_that_a_fact_never_has_is_refused() {
        decide::<Echo>("GET / HTTP/1.1", &[(":scheme", "ftp")]);
    }

    #[test]
    fn line_that_is_no_text_gets_a_decision() {
        assert!(matches!(decide::<Echo>(b"\xff", &[]), Decision::Reply(_)));
    }
}
