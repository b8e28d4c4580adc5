//! Looks for rules that do nothing, in bounded time: whoever writes a file of the site must not keep
//! the server at it.

use std::time::Duration;

use innkeeper_guest::rules::lint::{Finding, lint_while};
use innkeeper_guest::rules::{Rules, Table};

use crate::clock::thread_cpu_time;

/// Time of the processor that it may take: a deployment that waits for it is still a short one.
const CPU_TIME: Duration = Duration::from_millis(400);

/// What may be wrong with the rules of a table, which are ready. Where not all were looked at, a
/// finding says so.
pub(super) fn lint(table: &Table, rules: Rules) -> Vec<Finding> {
    let began = thread_cpu_time();
    lint_while(table, rules, &mut || thread_cpu_time().saturating_sub(began) < CPU_TIME)
}

#[cfg(test)]
mod tests {
    use super::{lint, thread_cpu_time};
    use innkeeper_guest::rules::lint::lint_while;
    use innkeeper_guest::rules::{Rules, Table, redirects_file};
    use std::time::Duration;

    /// Rules that match nothing of one another, and take long to find that out.
    fn table(count: usize) -> Table {
        let line = |at| format!("/*q{at:06}z*{}*c*d*e*f*g*b /x0\n", "y".repeat(200));
        let file: String = (0..count).map(line).collect();
        let routes = redirects_file::parse(file.as_bytes(), 0).expect("redirects");
        Table { routes, ..Table::default() }
    }

    #[test]
    fn patterns_that_are_tried_in_vain_have_an_end() {
        assert!(Rules::new(&table(2_000)).is_err(), "more than may match one path");
        let table = table(400);
        let rules = Rules::new(&table).expect("few enough");
        let began = thread_cpu_time();
        lint(&table, rules.clone());
        // A build without optimization takes most of it for the table itself.
        assert!(
            thread_cpu_time() - began < Duration::from_secs(3),
            "{:?}",
            thread_cpu_time() - began
        );
        let findings = lint_while(&table, rules, &mut || false);
        let last = findings.last().expect("a finding");
        assert!(last.text(&[]).starts_with("not all rules were compared: "), "{findings:?}");
    }
}
