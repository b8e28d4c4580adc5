//! `innkeeper test GUEST CASES…`: unit tests of a compiled guest.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use innkeeper_cases::Failure;
use serde::Serialize;

use super::engine::{start_for_trial, start_helpers};
use super::guest::{Named, load, read};
use super::stdout::headed;
use crate::cli::{OutcomeFormat, TestArguments};
use crate::diagnostics;
use crate::guest::decision::Kind;
use crate::guest::validation::cases::CaseOutcome;
use crate::text::{escaped, plain_json};

/// The outcome of all cases.
#[derive(Serialize)]
struct Outcome {
    guest: String,
    digest: String,
    passed: usize,
    failed: usize,
    /// How many of the decisions of passed cases are of each kind.
    decisions: BTreeMap<&'static str, usize>,
    cases: Vec<CaseOutcome>,
}

/// Runs the cases. Succeeds if all of them pass.
pub fn run(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let (mut guest, mut cases) = (arguments.guest.clone(), arguments.cases.clone());
    let (rules, given) = (&arguments.rules, &arguments.configured.given);
    let has_rules = rules.rules.stated().next().is_some() || rules.root.is_some();
    let has_other = has_rules || given.guest.is_some();
    if has_other && guest.as_deref().is_some_and(is_cases) {
        // There is no guest to be named first.
        cases.splice(0..0, guest.take());
    }
    if cases.is_empty() {
        cases.clone_from(&given.cases);
    }
    if guest.is_none() && !has_other || cases.is_empty() && !has_rules {
        diagnostics::error(
            &"name a guest and files of cases, as in: innkeeper test policy.wasm cases.toml",
        );
        return Ok(ExitCode::from(2));
    }
    let guest = arguments.configured.guest(guest.as_deref());
    let named = read(guest, arguments.data.as_deref(), &cases, rules)?;
    let helpers = start_helpers(named.needs_helpers())?;
    let Named { name, offer, warnings, .. } = named;
    for warning in warnings {
        tracing::warn!(error = warning, "rule may be a mistake");
    }
    if offer.cases.is_empty() {
        bail!("there are no cases; name a file of them, or write [[case]] into the file of rules");
    }
    let guest = load(&name, &offer, start_for_trial(&arguments.limits, &arguments.code, helpers)?)?;
    let mut outcome = Outcome {
        guest: name,
        digest: format!("{:#}", guest.digest()),
        passed: 0,
        failed: 0,
        decisions: Kind::ALL.iter().map(|kind| (kind.name(), 0)).collect(),
        cases: Vec::new(),
    };
    for case in offer.cases.iter().flat_map(|file| file.outcomes(&guest)) {
        match case.kind {
            Some(kind) => {
                *outcome.decisions.entry(kind.name()).or_default() += 1;
                outcome.passed += 1;
            }
            None => outcome.failed += 1,
        }
        outcome.cases.push(case);
    }
    let out = io::stdout().lock();
    match arguments.format {
        OutcomeFormat::Text => write_text(&outcome, out),
        OutcomeFormat::Json => write_json(&outcome, out),
    }
    .context("cannot write the outcome")?;
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a file that is named first is one of cases, where it need not be a guest.
fn is_cases(path: &Path) -> bool {
    !path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat")
}

fn write_json(outcome: &Outcome, mut out: impl Write) -> io::Result<()> {
    let json = serde_json::to_string_pretty(outcome)?;
    writeln!(out, "{}", plain_json(&json))
}

fn write_text(outcome: &Outcome, mut out: impl Write) -> io::Result<()> {
    for case in &outcome.cases {
        if let Some(expected) = &case.expected {
            let failure = Failure {
                place: &format!("{}:{}", case.file, case.line),
                name: case.name.as_deref(),
                request: &case.request,
                expected,
                got: &case.got,
            };
            write!(out, "{failure}")?;
            for (what, line) in headed("printed", &case.printed) {
                writeln!(out, "  {what:<9} {line}")?;
            }
            writeln!(out)?;
        }
    }
    for case in outcome.cases.iter().filter(|case| !case.unread.is_empty()) {
        let (file, line, names) = (escaped(&case.file), case.line, case.unread.join(", "));
        writeln!(
            out,
            "warning: {file}:{line} states {names}, which the guest does not read: name it in its \
             interests, or leave it out"
        )?;
    }
    let decisions: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| format!("{} {}", outcome.decisions[kind.name()], kind.name()))
        .collect();
    let all = outcome.passed + outcome.failed;
    writeln!(out, "{} of {all} cases passed: {}", outcome.passed, decisions.join(", "))
}
