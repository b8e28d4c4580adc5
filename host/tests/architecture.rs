//! The architecture of `host/src`: which module may use which, and the code that has one place.
//!
//! The rules are the constants below, and `ARCHITECTURE.md` tells their reasons. Code
//! that breaks one is in [`EXCEPTIONS`]; an exception that is no longer needed fails too.
//!
//! - `source`: reads files of Rust.
//! - `paths`: to which file a path in Rust leads.
//! - `graph`: which file uses which, and circles.
//! - `exceptions`: code that breaks a rule.
//! - `rules_find_faults`: each rule, on a small tree that breaks it.

mod exceptions;
mod graph;
mod paths;
mod rules_find_faults;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use exceptions::EXCEPTIONS;
use graph::{Graph, of_files, of_modules};
use paths::Names;
use source::{File, Source};

/// Modules of the root. Each may use those in the sets behind its own, in each chain, and what
/// those may use.
const DIRECTION: &[&[&[&str]]] = &[
    &[
        &["main"],
        &["commands"],
        &["cli", "server", "admin", "dev"],
        &["http1", "http2", "http3"],
        &["service"],
        &["release", "clients"],
        &["guest", "files"],
        &["http"],
    ],
    &[&["server", "admin", "http1", "http2", "http3"], &["tls"], &["transport"], &["http"]],
    &[&["commands"], &["cli", "admin"], &["acme"], &["helper", "tls"]],
    // The fetcher is this program, too.
    &[&["main"], &["acme"]],
    // Rules become a table, and the guest that reads it.
    &[&["commands"], &["cli"], &["rules"], &["release"]],
    // Guests are compiled by a process of their own.
    &[&["guest"], &["helper"]],
];

/// Modules that all but `http` may use, and that use only one another.
const LEAVES: &[&str] = &[
    "cache",
    "clock",
    "diagnostics",
    "disk",
    "fair_queue",
    "file_watch",
    "foreign_pattern",
    "html",
    "in_flight",
    "line_writer",
    "lock",
    "log",
    "metrics",
    "named_file",
    "panics",
    "priority",
    "random",
    "sandbox",
    "secret_file",
    "service_manager",
    "supervise",
    "text",
    "throttle",
    "unprivileged",
];

/// What a module may never use, not even by a change of [`DIRECTION`]; `*` is every other one.
const NEVER: &[(&str, &[&str])] = &[
    ("service", &["http1", "http2", "http3", "transport", "tls"]),
    ("release", &["service", "rules"]),
    ("guest", &["service", "release", "files"]),
    ("files", &["service", "release", "guest"]),
    ("clients", &["guest", "files"]),
    ("transport", &["service", "release", "guest", "files"]),
    ("http", &["*"]),
];

/// What stands in no string but in these files or folders: in those of them that write or read it.
const SPELLED: &[(&str, &[&str])] = &[
    (
        r"\r\n",
        &[
            "http1/",
            // The PROXY protocol ends its lines so too.
            "transport/proxy_protocol.rs",
            // A body of several parts is MIME, in every version.
            "service/multipart.rs",
            // What a guest is tried with.
            "guest/validation/",
            // Is a client.
            "commands/health.rs",
        ],
    ),
    (
        "HTTP/1",
        &[
            "http1/",
            // What people read about it.
            "commands/manual/",
            // The line that a guest is asked with, in every version.
            "http/request.rs",
            // What a guest is tried with.
            "guest/validation/",
            // Is a client.
            "commands/health.rs",
        ],
    ),
];

/// Names, and parts of paths, that stand in no code but in these files or folders.
const NAMED: &[(&str, &[&str])] = &[
    // What generates the bindings of the contract, and what it makes.
    ("bindgen", &["guest/runtime/bindings/"]),
    ("exports::innkeeper", &["guest/runtime/bindings/"]),
    ("GuestPre", &["guest/runtime/bindings/"]),
    // The server connects nowhere. `health` is a process of its own, and asks the server. A socket
    // in the file system is asked whether a server still listens there.
    ("connect", &["helper/fetcher.rs", "commands/health.rs", "transport/endpoint.rs"]),
];

/// Lines that a file has at most, and the file in the middle.
const MOST_LINES: usize = 450;
const MEDIAN_LINES: usize = 150;

/// A kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// [`DIRECTION`], [`LEAVES`] and [`NEVER`]: `module → module`.
    Direction,
    /// No file uses one that uses it, through others or not: `file → file`.
    Circle,
    /// [`SPELLED`]: `text in file`.
    Spelled,
    /// [`NAMED`]: `name in file`.
    Named,
    /// Each module of the root is in [`DIRECTION`] or in [`LEAVES`]: `module`.
    Module,
    /// [`MOST_LINES`]: `file`; [`MEDIAN_LINES`]: `median`.
    Lines,
}

#[test]
fn code_keeps_to_the_architecture() {
    let source = Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let faults = faults(&source, EXCEPTIONS);
    assert!(faults.is_empty(), "{}\n(the rules: host/tests/architecture.rs)", faults.join("\n"));
}

/// The rules themselves: what is never to be is not allowed by the direction.
#[test]
fn direction_allows_nothing_that_is_never_to_be() {
    for &(from, never) in NEVER {
        for &to in never.iter().filter(|to| **to != "*") {
            assert!(!is_allowed(&direction(), from, to), "{from} → {to}");
        }
    }
    let circular = direction();
    let circular = circular.circular();
    assert!(circular.is_empty(), "{circular:?}");
}

/// What breaks a rule and is no exception, and exceptions that are not needed.
fn faults(source: &Source, exceptions: &[(Rule, &str, &str)]) -> Vec<String> {
    let excepted: BTreeSet<_> =
        exceptions.iter().map(|&(rule, who, _)| (rule, who.to_owned())).collect();
    let mut found = BTreeMap::new();
    found.extend(against_direction(source));
    found.extend(unknown(source));
    found.extend(out_of_place(source));
    let needed: BTreeSet<_> = found.keys().cloned().chain(circular(source, &[])).collect();
    found.retain(|fault, _| !excepted.contains(fault));
    found.extend(circular(source, exceptions).into_iter().map(|fault| (fault, String::new())));
    let faults = found.iter().map(|((rule, who), more)| format!("{rule:?}: {who} {more}"));
    let unneeded = excepted.difference(&needed);
    let unneeded = unneeded.map(|(rule, who)| format!("{rule:?}: {who} is no exception any more"));
    faults.chain(unneeded).collect()
}

/// The allowed uses: each module may use the next ones in its chains.
fn direction() -> Graph {
    let mut graph = Graph::default();
    for chain in DIRECTION {
        for pair in chain.windows(2) {
            for (from, to) in
                pair[0].iter().flat_map(|from| pair[1].iter().map(move |to| (from, to)))
            {
                graph.add(from, to);
            }
        }
    }
    graph
}

fn is_allowed(direction: &Graph, from: &str, to: &str) -> bool {
    let is_never = NEVER.iter().any(|(one, never)| {
        *one == from && never.iter().any(|never| *never == "*" || *never == to)
    });
    !is_never && (LEAVES.contains(&to) || direction.reach(from).contains(to))
}

/// Modules of the root that no rule knows.
fn unknown(source: &Source) -> Vec<((Rule, String), String)> {
    let known: BTreeSet<_> = DIRECTION.iter().copied().flatten().copied().flatten().collect();
    let modules = source.files.keys().filter_map(|path| path.split(['/', '.']).next());
    let unknown = modules
        .filter(|module| *module != "lib" && !known.contains(module) && !LEAVES.contains(module));
    unknown.map(|module| ((Rule::Module, module.to_owned()), String::new())).collect()
}

fn against_direction(source: &Source) -> Vec<((Rule, String), String)> {
    let (modules, files) = of_modules(source);
    let direction = direction();
    let refused = modules.edges().filter(|(from, to)| !is_allowed(&direction, from, to));
    refused
        .map(|(from, to)| {
            let files = &files[&(from.to_owned(), to.to_owned())];
            ((Rule::Direction, format!("{from} → {to}")), format!("{files:?}"))
        })
        .collect()
}

/// The uses that make circles, without these exceptions.
fn circular(source: &Source, exceptions: &[(Rule, &str, &str)]) -> Vec<(Rule, String)> {
    let mut graph = of_files(source);
    for (_, who, _) in exceptions.iter().filter(|(rule, ..)| *rule == Rule::Circle) {
        let (from, to) = who.split_once(" → ").expect("a file and another");
        graph.remove(from, to);
    }
    let circular = graph.circular().into_iter();
    circular.map(|(from, to)| (Rule::Circle, format!("{from} → {to}"))).collect()
}

/// What stands in a file in which it may not, and files that are too long.
fn out_of_place(source: &Source) -> Vec<((Rule, String), String)> {
    let mut found = Vec::new();
    let mut note = |rule, who: String| found.push(((rule, who), String::new()));
    for (path, File { lines, literals, words, paths, .. }) in &source.files {
        let may = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        for (text, places) in SPELLED {
            if !may(places) && literals.iter().any(|literal| literal.contains(text)) {
                note(Rule::Spelled, format!("{text} in {path}"));
            }
        }
        for (name, places) in NAMED {
            let is_part = |(_, path): &(_, Names)| path.has(name);
            if !may(places) && (words.iter().any(|word| word == name) || paths.iter().any(is_part))
            {
                note(Rule::Named, format!("{name} in {path}"));
            }
        }
        if *lines > MOST_LINES {
            note(Rule::Lines, path.clone());
        }
    }
    let lines = source.files.values().map(|file| file.lines);
    if median(lines.collect()) > MEDIAN_LINES {
        note(Rule::Lines, "median".to_owned());
    }
    found
}

fn median(mut lines: Vec<usize>) -> usize {
    lines.sort_unstable();
    lines.get(lines.len() / 2).copied().unwrap_or(0)
}
