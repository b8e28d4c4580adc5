//! What another guest would change for clients: recent requests whose responses differ, grouped by
//! what differs, with examples.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::files::Files;
use crate::guest::validation::compare::Differing;
use crate::guest::validation::report::ValidationReport;
use crate::guest::{Decision, Failure};
use crate::http::{Field, Peer};
use crate::http1::{Limits, whole};
use crate::service::preview::Preview;
use crate::service::{Service, Site};
use crate::text;

/// Examples of each group.
const EXAMPLES: usize = 3;

/// Groups that are told. The rest is in the number of requests that differ.
const GROUPS: usize = 50;

/// Characters of a value, or of a body, that are told.
const VALUE: usize = 200;

/// Fields of a response that are told.
const FIELDS: usize = 40;

/// How long it may take to look for the files that responses have.
const LOOKING: Duration = Duration::from_secs(2);

/// A kind of change, and the requests that it concerns.
#[derive(Debug, Serialize)]
pub(super) struct ChangeBody {
    kind: Kind,
    /// The status, or `none`.
    current: String,
    /// As well.
    candidate: String,
    /// Names of the fields that differ, where the rest is the same.
    fields: BTreeSet<String>,
    requests: usize,
    examples: Vec<ExampleBody>,
}

/// What differs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The candidate makes no decision.
    Failure,
    /// The status.
    Status,
    /// Where the client is sent.
    Location,
    /// The file that is sent.
    File,
    /// The content that the guest sends.
    Content,
    /// Header fields.
    Fields,
    /// Nothing that a client of today's files sees.
    Nothing,
}

#[derive(Debug, Serialize)]
struct ExampleBody {
    request: String,
    current: ResponseBody,
    candidate: ResponseBody,
}

#[derive(Debug, Serialize)]
struct ResponseBody {
    /// Null if there is no decision.
    status: Option<u16>,
    location: Option<String>,
    file: Option<String>,
    /// The beginning of the content that the guest sends.
    content: Option<String>,
    /// The other fields: `name: value`.
    fields: Vec<String>,
    /// Why there is no decision.
    failure: Option<String>,
}

/// The changes of a report: what harms clients comes first, and of one kind what concerns most
/// requests.
pub(super) async fn of(
    service: &Service,
    site: &Site,
    report: &ValidationReport,
) -> Vec<ChangeBody> {
    let Ok(active) = &site.active else { return Vec::new() };
    let files = &active.current().files;
    let began = Instant::now();
    let mut changes: Vec<ChangeBody> = Vec::new();
    let decisions = report.details.iter().flat_map(|details| &details.comparison.decisions);
    for differing in decisions {
        if began.elapsed() > LOOKING {
            break;
        }
        let Some((current, candidate)) = responses(service, files, differing).await else {
            continue;
        };
        add(&mut changes, differing, current, candidate);
        tokio::task::yield_now().await;
    }
    changes.sort_by_key(|change| (!harms(change), change.kind, Reverse(change.requests)));
    changes.truncate(GROUPS);
    changes
}

/// The responses that both decisions lead to. `None` if a connection would refuse the request.
async fn responses(
    service: &Service,
    files: &Files,
    differing: &Differing,
) -> Option<(ResponseBody, ResponseBody)> {
    let line = String::from_utf8_lossy(&differing.line);
    // Those with a colon are facts.
    let fields = differing.fields.iter().filter(|(name, _)| !name.starts_with(':'));
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.clone(), text(value))).collect();
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        fields.push(("Host".to_owned(), "localhost".to_owned()));
    }
    let head = whole::write(&line, &fields);
    let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let mut bodies = Vec::with_capacity(2);
    for decision in [&differing.current, &differing.candidate] {
        let (head, _) = whole::read(&head, &Limits::default(), peer, None).ok()?;
        let preview = service.preview(files, head.request, decision).await;
        bodies.push(response(preview, decision));
    }
    let candidate = bodies.pop()?;
    Some((bodies.pop()?, candidate))
}

fn response(preview: Preview, decision: &Result<Decision, Failure>) -> ResponseBody {
    let Preview { file, response } = preview;
    let value = |field: &Field| {
        text::beginning(&text::escaped(&String::from_utf8_lossy(&field.value)), VALUE)
    };
    let is_location = |field: &&Field| field.name.eq_ignore_ascii_case("location");
    let others = response.fields.iter().filter(|field| !is_location(field));
    let content = match decision {
        // A long one is told apart by its digest.
        Ok(Decision::Reply { body, .. }) if !body.is_empty() => {
            let beginning = text::one_line(&String::from_utf8_lossy(body));
            let beginning = text::beginning(&beginning, VALUE);
            Some(match body.len() > VALUE {
                true => format!("{beginning}, SHA-256 {}", crate::guest::Digest::of(body)),
                false => beginning,
            })
        }
        _ => None,
    };
    ResponseBody {
        status: decision.is_ok().then_some(response.status),
        location: response.fields.iter().find(is_location).map(value),
        file: file.map(|file| text::beginning(&text::escaped(&file), VALUE)),
        content,
        fields: others
            .take(FIELDS)
            .map(|field| format!("{}: {}", field.name.to_ascii_lowercase(), value(field)))
            .collect(),
        failure: decision
            .as_ref()
            .err()
            .map(|failure| text::beginning(&text::one_line(&failure.to_string()), VALUE)),
    }
}

/// Counts a change, in the group of its like.
fn add(
    changes: &mut Vec<ChangeBody>,
    differing: &Differing,
    current: ResponseBody,
    candidate: ResponseBody,
) {
    let kind = kind(&current, &candidate);
    let fields = match kind {
        Kind::Fields => names(&current, &candidate),
        _ => BTreeSet::new(),
    };
    let (from, to) = (label(&current), label(&candidate));
    let same = changes.iter_mut().find(|change| {
        (change.kind, &change.current, &change.candidate, &change.fields)
            == (kind, &from, &to, &fields)
    });
    let change = match same {
        Some(change) => change,
        None => {
            let (requests, examples) = (0, Vec::new());
            changes.push(ChangeBody {
                kind,
                current: from,
                candidate: to,
                fields,
                requests,
                examples,
            });
            changes.last_mut().expect("it was pushed")
        }
    };
    change.requests += 1;
    if change.examples.len() < EXAMPLES {
        let line = String::from_utf8_lossy(&differing.line).into_owned();
        let shown = differing
            .fields
            .iter()
            .map(|(name, value)| format!(" ({name}: {})", String::from_utf8_lossy(value)));
        let request = line + &shown.collect::<String>();
        let request = text::beginning(&text::escaped(&request), 5 * VALUE);
        change.examples.push(ExampleBody { request, current, candidate });
    }
}

fn kind(current: &ResponseBody, candidate: &ResponseBody) -> Kind {
    if candidate.status.is_none() && current.status.is_some() {
        return Kind::Failure;
    }
    match () {
        () if current.status != candidate.status => Kind::Status,
        () if current.location != candidate.location => Kind::Location,
        () if current.file != candidate.file => Kind::File,
        () if current.content != candidate.content => Kind::Content,
        () if current.fields != candidate.fields => Kind::Fields,
        () => Kind::Nothing,
    }
}

/// The names of fields that differ.
fn names(current: &ResponseBody, candidate: &ResponseBody) -> BTreeSet<String> {
    let all = current.fields.iter().chain(&candidate.fields);
    let differ =
        all.filter(|field| !(current.fields.contains(field) && candidate.fields.contains(field)));
    differ.filter_map(|field| Some(field.split(':').next()?.to_owned())).collect()
}

fn label(response: &ResponseBody) -> String {
    response.status.map_or_else(|| "none".to_owned(), |status| status.to_string())
}

/// Whether clients get an error that they do not get now, or a worse one.
fn harms(change: &ChangeBody) -> bool {
    let class = |label: &str| label.parse::<u16>().map_or(0, |status| status / 100);
    let (from, to) = (class(&change.current), class(&change.candidate));
    change.kind == Kind::Failure || (from > 0 && to > from && to >= 4)
}

#[cfg(test)]
mod tests {
    use super::{Kind, ResponseBody, kind, names};

    fn response(status: u16) -> ResponseBody {
        ResponseBody {
            status: Some(status),
            location: None,
            file: None,
            content: None,
            fields: vec!["vary: accept".to_owned()],
            failure: None,
        }
    }

    #[test]
    fn change_is_of_the_kind_that_matters_most() {
        let none = || ResponseBody { status: None, ..response(200) };
        let with = |field: &str| ResponseBody { fields: vec![field.to_owned()], ..response(200) };
        let file = |name: &str| ResponseBody { file: Some(name.to_owned()), ..with(name) };
        for (current, candidate, expected) in [
            (response(200), none(), Kind::Failure),
            (none(), response(200), Kind::Status),
            (response(200), response(404), Kind::Status),
            (file("a"), file("b"), Kind::File),
            (response(200), with("a: b"), Kind::Fields),
            (response(200), response(200), Kind::Nothing),
        ] {
            assert_eq!(kind(&current, &candidate), expected, "{current:?} {candidate:?}");
        }
        let names: Vec<_> = names(&response(200), &with("a: b")).into_iter().collect();
        assert_eq!(names, ["a", "vary"]);
    }
}
