//! Rules that never do anything, and redirects that lead in a circle.
//!
//! The engine itself is asked, with requests made for each rule: paths on which the rule's
//! wildcards stand for what no other rule names. So a finding is what clients would meet, and a table
//! of many rules takes as many questions and not their square. Which files there are is not known
//! here: a redirect that holds only where there is no file may end at one.

mod budget;
mod finding;
mod routes;
mod sample;

use budget::Budget;
pub use finding::{CircleEnds, Finding, Lint};
use routes::Routes;

use super::Rules;
use super::table::{Access, AccessBy, FieldChange, Place, Table};
use crate::pattern::Pattern;

/// Looks through a table that the engine takes. The findings are in the order of sources and lines.
pub fn lint(table: &Table) -> Vec<Finding> {
    Rules::new(table).map_or_else(|_| Vec::new(), |rules| lint_while(table, rules, &mut || true))
}

/// The same with the rules of the table, which are ready, until there is no more time for it. That is
/// asked after some questions, each of which takes a pass over the table at most.
pub fn lint_while(table: &Table, rules: Rules, has_time: &mut dyn FnMut() -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    fields(table, &mut findings);
    let mut budget = Budget::new(has_time);
    passwords(table, &mut budget, &mut findings);
    access(table, &mut budget, &mut findings);
    Routes::new(table, rules, budget).lint(&mut findings);
    findings.sort_by_key(|finding| finding.place);
    findings
}

/// Rules about fields that do nothing.
fn fields(table: &Table, findings: &mut Vec<Finding>) {
    let mut added = std::collections::BTreeSet::new();
    for header in &table.headers {
        if header.changes.is_empty() {
            findings.push(Finding { place: header.place, lint: Lint::NoFields });
        }
        for (at, change) in header.changes.iter().enumerate() {
            match change {
                FieldChange::Add { name, .. } => {
                    added.insert(name.to_ascii_lowercase());
                }
                FieldChange::Remove { name } => {
                    // A rule that replaces a field takes it away first.
                    let is_replaced = header.adds_behind(at, name);
                    if !is_replaced && !added.contains(&name.to_ascii_lowercase()) {
                        let lint = Lint::RemovesNothing(name.clone());
                        findings.push(Finding { place: header.place, lint });
                    }
                }
            }
        }
    }
}

/// Of several passwords for a path the first rule counts.
fn passwords(table: &Table, budget: &mut Budget<'_>, findings: &mut Vec<Finding>) {
    let rules = table.passwords.iter().map(|rule| (rule.place, rule.pattern.as_str(), true));
    shadowed(rules, budget, findings);
}

/// Behind a rule that lets nobody in, none counts that goes by the client. Rules by referer are a list
/// of their own: they let clients in, so that none of them ends it.
fn access(table: &Table, budget: &mut Budget<'_>, findings: &mut Vec<Finding>) {
    let by_client = |rule: &&Access| !matches!(rule.by, AccessBy::Referers(_));
    let ends = |rule: &Access| !rule.allow && rule.by == AccessBy::All;
    let rules = table.access.iter().filter(by_client);
    let rules = rules.map(|rule| (rule.place, rule.pattern.as_str(), ends(rule)));
    shadowed(rules, budget, findings);
}

/// Rules whose paths all have an earlier rule that ends the list.
fn shadowed<'t>(
    rules: impl Iterator<Item = (Place, &'t str, bool)>,
    budget: &mut Budget<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut ending: Vec<(Place, Pattern)> = Vec::new();
    let rules: Vec<_> = rules.collect();
    for (at, &(place, text, ends)) in rules.iter().enumerate() {
        let paths: Vec<_> = match ending.is_empty() {
            true => Vec::new(),
            false => sample::paths(text).collect(),
        };
        budget.spend(ending.len());
        if budget.is_spent() {
            let lint = Lint::NotCompared(rules.len() - at);
            return findings.push(Finding { place, lint });
        }
        let covers = |(_, pattern): &&(Place, Pattern)| {
            !paths.is_empty() && paths.iter().all(|path| pattern.matches(&path.resolved).is_some())
        };
        // Rules of one place were written as one.
        let by = ending.iter().find(covers).map(|(by, _)| *by).filter(|by| *by != place);
        match by {
            Some(by) => findings.push(Finding { place, lint: Lint::Shadowed(by) }),
            None if ends => ending.extend(Pattern::parse(text).map(|pattern| (place, pattern))),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
