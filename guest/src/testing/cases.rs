//! Runs a table of cases, the one of `innkeeper test`, against a policy natively.

use innkeeper_cases::{Case, Failure, parse};

use super::decide_with;
use super::lend::lend;
use crate::Policy;

/// Panics unless the policy passes each case of this table, and shows all that failed.
/// Returns the number of cases.
///
/// The table is the text of a TOML file, as `guest/cases.toml` is one:
///
/// ```
/// use innkeeper_guest::DefaultPolicy;
/// use innkeeper_guest::testing::check_cases;
///
/// check_cases::<DefaultPolicy>(
///     r#"
///     [[case]]
///     line = "GET /.git/config HTTP/1.1"
///     decision = "not-found"
///     "#,
/// );
/// ```
#[track_caller]
pub fn check_cases<P: Policy>(table: &str) -> usize {
    let cases = parse(table).unwrap_or_else(|error| panic!("the cases cannot be read: {error}"));
    let failures: Vec<_> = cases.iter().filter_map(failure::<P>).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    cases.len()
}

/// What is printed of a case that the policy fails.
fn failure<P: Policy>(case: &Case) -> Option<String> {
    let fields = case.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let decision = decide_with::<P>(&case.line, &fields.collect::<Vec<_>>(), &case.facts);
    let mismatch = case.judge(&lend(&decision)).err()?;
    let failure = Failure {
        place: &format!("line {}", case.line_number),
        name: case.name.as_deref(),
        request: &case.to_string(),
        expected: &mismatch.expected,
        got: &mismatch.got,
    };
    Some(failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::check_cases;
    use crate::DefaultPolicy;

    #[test]
    #[should_panic(
        expected = "1 of 2 cases failed\n\nline 2: failed\n  request   GET /a HTTP/1.1 (b: c)\n  \
                    expected  file \"b\"\n  got       file \"a\"\n"
    )]
    fn failed_case_is_shown() {
        check_cases::<DefaultPolicy>(
            "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } },
                     { line = 'GET /a HTTP/1.1', fields = { b = 'c' }, decision = { file = 'b' } }]",
        );
    }

    #[test]
    #[should_panic(expected = "the cases cannot be read: line 1: missing field `decision`")]
    fn unreadable_table_is_no_passed_table() {
        check_cases::<DefaultPolicy>("case = [{ line = 'a' }]");
    }
}
