//! One case: a request, the expected decision, and how a decision is judged.

use std::fmt;

use crate::decision::{Decision, SHOWN_OF_BODIES};
use crate::expected::Expected;
use crate::facts::Facts;
use crate::text::Plain;

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The line of the table on which it begins, counted from 1.
    pub line_number: usize,
    /// Its name, if the table has one.
    pub name: Option<String>,
    /// The request line, as bytes.
    pub line: Vec<u8>,
    /// The header fields of the request, in order of their names.
    pub fields: Vec<(String, String)>,
    /// What is known of the request besides its head.
    pub facts: Facts,
    /// What the table states of the decision.
    pub expected: Expected,
}

/// How a decision differs from the expected one. Each is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The expected decision.
    pub expected: String,
    /// The decision, or why there is none.
    pub got: String,
}

/// A failed case, as `innkeeper test` and the unit tests of a policy print it: four lines.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// Where the case stands: `cases.toml:3`.
    pub place: &'a str,
    /// Its name, if the table has one.
    pub name: Option<&'a str>,
    /// The request, as [`Case`] prints it.
    pub request: &'a str,
    /// The expected decision.
    pub expected: &'a str,
    /// The decision, or why there is none.
    pub got: &'a str,
}

impl Case {
    /// Compares a decision with the expected one.
    pub fn judge(&self, decision: &Decision<'_>) -> Result<(), Mismatch> {
        if self.expected.matches(decision) {
            return Ok(());
        }
        // As much of a body as the case states: the place where the two differ is shown.
        let body_bytes = self.expected.body_bytes().unwrap_or(0).max(SHOWN_OF_BODIES);
        Err(self.mismatch(decision.in_words(Some(body_bytes))))
    }

    /// The mismatch with this, which is no decision or another one.
    pub fn mismatch(&self, got: impl fmt::Display) -> Mismatch {
        Mismatch { expected: self.expected.to_string(), got: got.to_string() }
    }
}

/// The request: its line, and its stated facts and its fields in parentheses.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line.escape_ascii())?;
        let facts = self.facts.stated().map(|(fact, value)| (fact.name(), value));
        let fields = self.fields.iter().map(|(name, value)| (name.into(), value.as_str()));
        for (name, value) in facts.chain(fields) {
            write!(f, " ({}: {})", Plain(name.as_bytes()), Plain(value.as_bytes()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| Plain(text.as_bytes()).to_string();
        writeln!(f, "{}: {}", plain(self.place), plain(self.name.unwrap_or("failed")))?;
        writeln!(f, "  request   {}", plain(self.request))?;
        writeln!(f, "  expected  {}", plain(self.expected))?;
        writeln!(f, "  got       {}", plain(self.got))
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use crate::decision::{Decision, Page};
    use crate::table::parse;

    #[test]
    fn judged_decision_is_none_or_a_mismatch_of_both() {
        let cases = parse("case = [{ line = 'a', decision = { file = 'b' } }]").expect("a case");
        let serve = |path| Decision::page(Page::File(path));
        assert_eq!(cases[0].judge(&serve("b")), Ok(()));
        let mismatch = cases[0].judge(&serve("c")).expect_err("another file");
        assert_eq!(mismatch.expected, "file \"b\"");
        assert_eq!(mismatch.got, "file \"c\"");
    }

    #[test]
    fn bodies_that_differ_at_their_end_are_shown_to_it() {
        let body = "a".repeat(200);
        let table =
            format!("case = [{{ line = 'a', decision = {{ reply = {{ body = '{body}b' }} }} }}]");
        let cases = parse(&table).expect("a case");
        let reply = format!("{body}c");
        let decision = Decision::Reply { status: 200, fields: Vec::new(), body: reply.as_bytes() };
        let mismatch = cases[0].judge(&decision).expect_err("another body");
        assert!(mismatch.expected.ends_with("ab\""), "{}", mismatch.expected);
        assert!(mismatch.got.ends_with("ac\""), "{}", mismatch.got);
    }

    #[test]
    fn failure_is_four_plain_lines() {
        let failure = Failure {
            place: "a.toml:3",
            name: None,
            request: "GET /\x1b HTTP/1.1",
            expected: "not-found",
            got: "file \"a\"",
        };
        assert_eq!(
            failure.to_string(),
            "a.toml:3: failed\n  request   GET /\\u{1b} HTTP/1.1\n  expected  not-found\n  \
             got       file \"a\"\n"
        );
        let named = Failure { name: Some("two\nlines"), ..failure };
        assert!(named.to_string().starts_with("a.toml:3: two\\nlines\n"), "{named}");
    }
}
