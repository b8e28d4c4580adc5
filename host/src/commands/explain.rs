//! `innkeeper explain [GUEST] LINE`: the response to one request, and its reasons.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use innkeeper_cases::{Fact, Facts};
use innkeeper_guest::rules::Table;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::engine::{start_for_trial, start_helpers};
use super::guest::{Named, load, read_in};
use super::open_root::open_root;
use super::stdout::headed;
use crate::cli::{ExplainArguments, request_line};
use crate::files::CacheSizes;
use crate::guest::StatedFacts;
use crate::guest::validation::cases::GuestRequest;
use crate::http::{Peer, Scheme, Version};
use crate::http1::response_head::{self, Persistence};
use crate::http1::{Limits, whole};
use crate::http2;
use crate::release::active::FailurePolicy;
use crate::release::{Active, Generation};
use crate::rules;
use crate::service::Response;
use crate::service::explain::Explanation;
use crate::service::{Service, Site};
use crate::text::escaped;

/// Prints the decision, what the host makes of it, and the head of the response.
pub fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    if let Some(folder) = arguments.guest.as_ref().filter(|guest| guest.is_dir()) {
        let folder = folder.display();
        bail!(
            "{folder} is a directory, and no guest: name what would be served by --root {folder}"
        );
    }
    if let Some(problem) = no_request(&arguments.line) {
        bail!("{problem}");
    }
    let root = arguments.root();
    let (_, files) =
        open_root(&root, arguments.files.options(), CacheSizes::default(), NonZeroUsize::MIN)?;
    let guest = arguments.configured.guest(arguments.guest.as_deref());
    let data = arguments.data.as_deref();
    let root = Some((root.as_path(), &*files));
    let named = read_in(guest, data, &[], &arguments.rules, root)?;
    let helpers = start_helpers(named.needs_helpers())?;
    let Named { name, offer, table, .. } = named;
    let guest = load(&name, &offer, start_for_trial(&arguments.limits, &arguments.code, helpers)?)?;
    let digest = guest.digest();
    let generation = Generation { guest: Arc::new(guest), files };
    let active = Active::new(generation, FailurePolicy::default());
    let (mut typed, mut fields, mut stated) =
        (arguments.line.clone(), arguments.fields.clone(), arguments.request_facts());
    if let Some(url) = request_line::url(&arguments.line) {
        typed = url.target.to_owned();
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        fields.insert(0, ("Host".to_owned(), url.authority.into_owned()));
        if url.scheme == Scheme::Https {
            stated = arguments.secured_facts();
        }
    }
    let stated = stated.context("--fact")?;
    let mut facts = StatedFacts::from(&stated);
    if stated.time_s().is_none() {
        facts.ambient = facts.ambient.now();
    }
    let ambient = facts.ambient.clone();
    let guest = &active.current().guest;
    let site = Site { ambient, ..Site::new(Arc::new(active)) };
    let service = Service::of(site, NonZeroUsize::MIN);
    let peer = Peer { scheme: facts.scheme, ..Peer::new(facts.client, 0) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        fields.insert(0, ("Host".to_owned(), "localhost".to_owned()));
    }
    let line = line(&typed, facts.version);
    let head = whole::write(&line, &fields);
    let mut lines = vec![("line", line.clone()), ("guest", format!("{name} ({digest})"))];
    if stated.stated().next().is_some() {
        lines.push(("protocol", protocol(&stated)));
    }
    let read = whole::read(&head, &Limits::default(), peer, facts.tls.as_ref());
    let (response, persistence) = match read {
        Err(refusal) => {
            let facts = facts.clone();
            let request = GuestRequest { line: line.as_bytes(), fields: &arguments.fields, facts };
            let why = &refusal.why;
            lines.push(("refused", format!("by the host, without asking the guest: {why}")));
            lines.push(match request.decide(guest) {
                Ok(decision) => ("decision", format!("would have been {decision}")),
                Err(failure) => ("decision", format!("would have failed: {failure}")),
            });
            (Response::text(refusal.status, why), Persistence::Close)
        }
        Ok((mut head, persistence)) => {
            // A proxy may tell another scheme than the connection has.
            head.request.scheme = facts.scheme;
            head.request.version = facts.version.max(head.request.version);
            let explanation = runtime
                .block_on(service.explain(&head.request))
                .context("the guest was not asked")?;
            describe(&explanation, &mut lines);
            let asked = (head.request.fields_for_guest(), facts.lend());
            let (_, printed) = guest.listen(head.request.line, asked.0, asked.1);
            lines.extend(headed("printed", printed));
            let names = arguments.fields.iter().map(|(name, _)| name.as_str());
            let fields = guest.unread(names.filter(|name| !is_of_host(name)));
            let fields = fields.into_iter().map(|name| format!("field {name}"));
            let of_facts = guest.unread_facts(&arguments.request_facts().unwrap_or_default());
            let of_facts = of_facts.into_iter().map(|name| format!("fact {name}"));
            for what in fields.chain(of_facts) {
                let warning = format!("the guest does not read the {what} (see its interests)");
                lines.push(("warning", warning));
            }
            if let Some(table) = &table {
                let shown = guest.shown(head.request.fields_for_guest(), facts.lend()).collect();
                explain_rules(table, &line, shown, &explanation, &mut lines)?;
            }
            (explanation.response, persistence)
        }
    };
    lines.extend(headed("response", head_lines(&response, persistence, facts.version)));
    let mut out = io::stdout().lock();
    lines
        .iter()
        .try_for_each(|(what, value)| writeln!(out, "{what:<9} {}", escaped(value)))
        .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with a word that is no line, no path and no URL.
fn no_request(typed: &str) -> Option<String> {
    let is_request = typed.contains([' ', '/']) && !typed.ends_with(".wasm");
    (!is_request).then(|| match typed.ends_with(".wasm") {
        true => format!("name a request, as in: innkeeper explain {typed} /path"),
        false => format!(
            "{typed:?} is no request; write a path, or a method and a path, as in /path or 'HEAD /path'"
        ),
    })
}

/// Bytes that stand in no target of a request: a browser escapes them.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// The line that a guest gets. A client of HTTP/2 sends none, and its version may be typed. A path
/// alone, which may be as people write it, is one of GET.
fn line(typed: &str, version: Version) -> String {
    let is_whole = typed.contains(" HTTP/");
    if typed.starts_with('/') && !is_whole {
        return whole::line(&format!("GET {}", utf8_percent_encode(typed, ESCAPED)));
    }
    let is_method = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_whole && typed.split_once(" /").is_some_and(|(method, _)| is_method(method)) {
        return whole::line(typed);
    }
    let Some(name) = version.name() else { return typed.to_owned() };
    match typed.rsplit_once(' ') {
        Some((rest, end)) if end == name || Some(end) == name.strip_suffix(".0") => {
            whole::line(rest)
        }
        _ => typed.to_owned(),
    }
}

/// Whether the host itself goes by a field.
fn is_of_host(name: &str) -> bool {
    const FIELDS: [&str; 16] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "transfer-encoding",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What carries the request: `h2, https, tls-version 1.3`.
fn protocol(facts: &Facts) -> String {
    let value = |fact| facts.value(fact).unwrap_or_default();
    let stated = facts.stated().map(|(fact, _)| fact).filter(|fact| !Fact::PLAIN.contains(fact));
    let more = Fact::PLAIN.into_iter().skip(3).chain(stated).filter_map(|fact| {
        let name = fact.name();
        Some(format!(", {} {}", name.trim_start_matches(':'), facts.value(fact)?))
    });
    let more = more.collect::<String>();
    format!("{}, {}{more}", value(Fact::Protocol), value(Fact::Scheme))
}

/// The head of a response, as its version of HTTP has it.
fn head_lines(response: &Response, persistence: Persistence, version: Version) -> Vec<String> {
    if let Some(name) = version.name() {
        let head = http2::response::head(response);
        let status = format!("{name} {}", head.status().as_str());
        let fields = head
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        return [status].into_iter().chain(fields).collect();
    }
    let mut bytes = Vec::new();
    response_head::write(response, persistence, &mut bytes);
    String::from_utf8_lossy(&bytes).trim_end().lines().map(str::to_owned).collect()
}

/// Adds the rules that made the decision. They are told by the code of the guest in this process,
/// which has to decide as the guest did.
fn explain_rules(
    table: &Table,
    line: &str,
    fields: Vec<(String, Vec<u8>)>,
    explanation: &Explanation,
    lines: &mut Vec<(&str, String)>,
) -> anyhow::Result<()> {
    let explained = rules::explain::explain(table, line.as_bytes(), fields.into_iter())?;
    let at = lines.iter().position(|(what, _)| *what == "decision").unwrap_or(lines.len());
    let rules = match explained.rules.is_empty() {
        true => vec!["none takes part".to_owned()],
        false => explained.rules,
    };
    lines.splice(at..at, rules.into_iter().map(|rule| ("rule", rule)));
    let is_same = match (&explained.decision, &explanation.decision) {
        (Ok(one), Ok(other)) => one.digest() == other.digest(),
        (Err(_), Err(_)) => true,
        _ => false,
    };
    if !is_same {
        lines.push((
            "warning",
            "the guest decided otherwise than these rules: report it".to_owned(),
        ));
    }
    Ok(())
}

/// Adds the decision, and the outcome of its candidates.
fn describe(explanation: &Explanation, lines: &mut Vec<(&str, String)>) {
    let decision = match &explanation.decision {
        Ok(decision) => decision,
        Err(failure) => return lines.push(("decision", format!("none: {failure}"))),
    };
    lines.push(("decision", decision.to_string()));
    for (candidate, outcome) in &explanation.tried {
        lines.push(("tried", format!("{candidate}: {outcome}")));
    }
    lines.extend(explanation.then.map(|then| ("then", then.to_owned())));
}
