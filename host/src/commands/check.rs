//! `innkeeper check GUEST`: what a guest is, what it costs, whether it is fit.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use bytesize::ByteSize;

use super::engine::{keeping_code, start_for_trial, start_helpers, with_helpers};
use super::guest::{Named, load, read};
use super::progress;
use super::stdout::headed;
use crate::cli::CheckArguments;
use crate::guest::offer::Offer;
use crate::guest::runtime::contract::INTERFACE;
use crate::guest::runtime::program::Cost;
use crate::guest::validation::check::{CheckReport, FACTS, MEASURED_LINE, TRIAL_TIME, check};
use crate::guest::validation::live_proof;
use crate::guest::{Digest, Engine, LoadedGuest};
use crate::helper::Helpers;
use crate::rules::describe::{describe, shown};
use crate::text::escaped;

/// How often a decision is measured at most, and for how long: a guest in Python
/// takes 2 ms.
const SAMPLES: usize = 1_000;
const SAMPLING: Duration = Duration::from_secs(1);

/// Describes the guest. Succeeds if it is accepted.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let named = read(
        arguments.configured.guest(arguments.guest.as_deref()),
        arguments.data.as_deref(),
        &arguments.cases,
        &arguments.rules,
    )?;
    let helpers = start_helpers(named.needs_helpers())?;
    let Named { name, offer, table, warnings, .. } = named;
    let engine = start_for_trial(&arguments.limits, &arguments.code, helpers.clone())?;
    // What it says holds for a server.
    let engine = engine.without_seed();
    let began = Instant::now();
    let guest = load(&name, &offer, engine)?;
    let compile = began.elapsed();
    let mut out = io::stdout().lock();
    let mut print = |what: &str, value: std::fmt::Arguments| {
        writeln!(out, "{what:<10} {}", escaped(&value.to_string()))
            .context("cannot write to standard output")
    };
    let list = |names: Vec<&str>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    print("guest", format_args!("{name}"))?;
    print("digest", format_args!("sha256:{:#}", guest.digest()))?;
    let (form, size) = (guest.form(), offer.guest.len());
    print("form", format_args!("{form}, {} ({size} bytes)", ByteSize(size as u64)))?;
    if let Some(table) = &table {
        for (place, says) in describe(table) {
            print("rule", format_args!("{}: {says}", shown(table, place)))?;
        }
        for warning in warnings {
            print("warning", format_args!("{warning}"))?;
        }
    } else if let Some(data) = &offer.data {
        let (size, digest) = (data.bytes.len(), Digest::of(&data.bytes));
        let path = offer.data_path().unwrap_or(Path::new("")).display();
        let shown = ByteSize(size as u64);
        print("data", format_args!("{path}, {shown} ({size} bytes), sha256:{digest:#}"))?;
    }
    print("world", format_args!("{INTERFACE}"))?;
    let imports = list(guest.imports().iter().map(String::as_str).collect());
    let inert = if guest.imports().is_empty() { "" } else { " (inert: what it prints is shown)" };
    print("imports", format_args!("{imports}{inert}"))?;
    if guest.is_for_development() {
        print("warning", format_args!("it is built for development; build it for release"))?;
    }
    print("interests", format_args!("{}", list(guest.interests().collect())))?;
    let before = if guest.is_kept_code() { "before; loaded " } else { "" };
    print("compiled", format_args!("{before}in {compile:.1?}"))?;
    match progress::during("measuring decisions", || sample(&guest)) {
        Err(failure) => print("decision", format_args!("none: {failure}"))?,
        Ok(samples) => {
            let median = |part: fn(&Cost) -> Duration| {
                let mut times: Vec<_> = samples.iter().map(part).collect();
                times.sort();
                times[times.len() / 2]
            };
            let all = median(|cost| cost.instantiate + cost.decide + cost.drop);
            print(
                "decision",
                format_args!(
                    "{all:.1?} on a fresh instance, the median of {}: instantiate {:.1?}, call {:.1?}, \
                     drop {:.1?}",
                    samples.len(),
                    median(|cost| cost.instantiate),
                    median(|cost| cost.decide),
                    median(|cost| cost.drop)
                ),
            )?;
            let memory = samples.iter().map(|cost| cost.memory_bytes).max().unwrap_or_default();
            print("memory", format_args!("{}", ByteSize(memory as u64).display().iec()))?;
            if let Some(instructions) = count_instructions(arguments, helpers, &offer)? {
                print("fuel", format_args!("{instructions} instructions"))?;
            }
        }
    }
    match progress::during("compiling and trying its live form", || {
        live_proof::measure(&guest, &offer)
    }) {
        Ok(Ok(time)) => print("live", format_args!("{time:.1?} on an instance that is put back"))?,
        Ok(Err(why)) => {
            print("live", format_args!("no, each decision is on a fresh instance: {why}"))?
        }
        Err(problem) => print("live", format_args!("not known: {problem}"))?,
    }
    match progress::during("checking decisions", || check(&guest, &offer.cases)) {
        Ok(report) => {
            let kinds: Vec<_> = report
                .kinds
                .iter()
                .map(|(kind, count)| format!("{count} {}", kind.name()))
                .collect();
            print(
                "checked",
                format_args!(
                    "{} request lines and {} cases, twice: {}",
                    report.lines,
                    report.cases,
                    kinds.join(", ")
                ),
            )?;
            if let Some(tried) = tried(&report) {
                print("tried", format_args!("{tried}"))?;
            }
            for warning in &report.warnings {
                print("warning", format_args!("{warning}"))?;
            }
            print("verdict", format_args!("accepted"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            for (what, line) in headed("printed", problem.lines()) {
                print(what, format_args!("{line}"))?;
            }
            print("verdict", format_args!("rejected: {problem}"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What was tried besides, if the guest reads anything besides the line.
fn tried(report: &CheckReport) -> Option<String> {
    let &CheckReport { trials, skipped_trials, .. } = report;
    let skipped = match skipped_trials {
        0 => String::new(),
        count => format!("; {count} more were left out, as these took {TRIAL_TIME:.0?}"),
    };
    let all = trials + skipped_trials;
    (all > 0).then(|| format!("{trials} requests with values of its interests, twice{skipped}"))
}

fn sample(guest: &LoadedGuest) -> Result<Vec<Cost>, crate::guest::Failure> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.is_empty() || samples.len() < SAMPLES && began.elapsed() < SAMPLING {
        samples.push(guest.measure(MEASURED_LINE, [].into_iter(), FACTS.lend())?);
    }
    Ok(samples)
}

/// Counts on an engine of its own: what counts is slower.
fn count_instructions(
    arguments: &CheckArguments,
    helpers: Option<Helpers>,
    offer: &Offer,
) -> anyhow::Result<Option<u64>> {
    let engine = Engine::counting(arguments.limits.limits())
        .map_err(|error| anyhow!("cannot start the WebAssembly engine: {error:#}"))?;
    let engine = with_helpers(engine, arguments.limits.compile_limits(), helpers).for_author();
    let engine = Arc::new(keeping_code(engine, &arguments.code)?);
    let load = || LoadedGuest::load_with(&engine, &offer.guest, offer.data_bytes());
    let guest = progress::during("compiling it once more, to count instructions", load)?;
    Ok(guest
        .measure(MEASURED_LINE, [].into_iter(), FACTS.lend())
        .ok()
        .and_then(|cost| cost.instructions))
}
