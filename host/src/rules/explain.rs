//! Which rules make a decision: the same code decides in this process, and tells.

use innkeeper_guest::rules::{Place, Rules, Table};
use innkeeper_guest::{Field, Request};

use super::describe::{describe, shown};
use super::problem::Problem;
use crate::guest::Decision;

/// A decision by rules, and the rules that made it.
pub struct Explained {
    /// The decision. The error is a sentence: the host refuses it.
    pub decision: Result<Decision, Problem>,
    /// The rules in the order in which they took part: where each stands, what it did, and what it
    /// says.
    pub rules: Vec<String>,
}

/// Decides by a table, on a request with these fields and facts.
pub fn explain(
    table: &Table,
    line: &[u8],
    fields: impl Iterator<Item = (String, Vec<u8>)>,
) -> Result<Explained, Problem> {
    let rules =
        Rules::new(table).map_err(|error| Problem::at(error.place.line, error.problem.text()))?;
    let fields = fields.map(|(name, value)| Field { name, value }).collect();
    let (decision, applied) = rules.explain(&Request::new(line, fields));
    let all = describe(table);
    // Several rules may stand on one line.
    let text = |place: Place| {
        let here = all.iter().filter(|rule| rule.0 == place).map(|(_, says)| says.as_str());
        here.collect::<Vec<_>>().join(" | ")
    };
    let rules = applied.into_iter().map(|applied| {
        let (place, says) = (shown(table, applied.place), text(applied.place));
        format!("{place} {}: {says}", applied.what.text())
    });
    let decision =
        Decision::of_native(decision).map_err(|refusal| Problem::new(refusal.to_string()));
    let mut rules: Vec<_> = rules.collect();
    rules.dedup();
    Ok(Explained { decision, rules })
}
