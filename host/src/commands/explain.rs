//! `innkeeper explain [GUEST] LINE`: the response to one request, and its reasons.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::engine::{start_for_trial, start_helpers};
use super::guest::{load, read_or_default};
use super::open::open_root;
use crate::cli::ExplainArguments;
use crate::files::CacheSizes;
use crate::guest::release::active::FailurePolicy;
use crate::guest::validation::cases::GuestRequest;
use crate::guest::{ActiveGuest, Decision, StatedFacts};
use crate::http::Peer;
use crate::http1::response_head::{self, Persistence};
use crate::http1::{Limits, whole};
use crate::service::Response;
use crate::service::Service;
use crate::service::explain::Explanation;
use crate::text::escaped;

/// Prints the decision, what the host makes of it, and the head of the response.
pub fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let files = open_root(
        &arguments.root,
        arguments.files.options(),
        CacheSizes::default(),
        NonZeroUsize::MIN,
    )?;
    let (name, bytes) = read_or_default(arguments.guest.as_deref())?;
    let generation = load(
        &name,
        &bytes,
        start_for_trial(&arguments.limits, start_helpers(arguments.guest.as_deref())?)?,
    )?;
    let digest = generation.digest();
    let guest = ActiveGuest::new(Arc::new(generation), FailurePolicy::default());
    let service = Service::new(files, Arc::new(guest));
    let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut fields = arguments.fields.clone();
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        fields.insert(0, ("Host".to_owned(), "localhost".to_owned()));
    }
    let head = whole::write(&arguments.line, &fields);
    let mut lines = vec![("line", arguments.line.clone()), ("guest", format!("{name} ({digest})"))];
    let (response, persistence) = match whole::read(&head, &Limits::default(), peer, None) {
        Err(refusal) => {
            let facts = StatedFacts::plain(peer.address);
            let request =
                GuestRequest { line: arguments.line.as_bytes(), fields: &arguments.fields, facts };
            let why = &refusal.why;
            lines.push(("refused", format!("by the host, without asking the guest: {why}")));
            lines.push(match request.decide(&service.guest.current()) {
                Ok(decision) => ("decision", format!("would have been {decision}")),
                Err(failure) => ("decision", format!("would have failed: {failure}")),
            });
            (Response::text(refusal.status, why), Persistence::Close)
        }
        Ok((head, persistence)) => {
            let explanation = runtime
                .block_on(service.explain(&head.request))
                .context("the guest was not asked")?;
            describe(&explanation, &mut lines);
            (explanation.response, persistence)
        }
    };
    let mut bytes = Vec::new();
    response_head::write(&response, persistence, &mut bytes);
    let head = String::from_utf8_lossy(&bytes);
    for (number, line) in head.trim_end().lines().enumerate() {
        lines.push((if number == 0 { "response" } else { "" }, line.to_owned()));
    }
    let mut out = io::stdout().lock();
    lines
        .iter()
        .try_for_each(|(what, value)| writeln!(out, "{what:<9} {}", escaped(value)))
        .context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
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
    let is_serve = matches!(**decision, Decision::Serve { .. });
    let is_taken = explanation.tried.iter().any(|(_, outcome)| outcome.starts_with("taken"));
    if is_serve && !is_taken && explanation.response.status == 200 {
        lines.push(("then", "the directory is listed".to_owned()));
    }
}
