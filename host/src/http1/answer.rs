//! One request becomes a reply: the guest decides, the site gives.

use super::accept::listing_form;
use super::connection::Service;
use super::fields;
use super::head::Head;
use super::location;
use super::representation::{self, prepared, wants_a_part};
use crate::disk::{self, Unanswered};
use crate::files::encodings::{Accepted, preferred};
use crate::files::listing::Form;
use crate::files::{FoundFile, Lookup, Recency, SystemError};
use crate::guest::{self, Candidate, Decision, Facts, Failure};
use crate::http::{Method, Peer};
use crate::in_flight::{REPLIES, SharedBytes};
use crate::reply::{Body, Extent, Field, NO_SNIFFING, PLAIN_TEXT, Reply};

/// A site's page for what is not found. The nearest one up the tree is sent.
const NOT_FOUND_PAGE: &str = "404.html";

/// Directories of a path that are searched for that page: those nearest to the root.
const NOT_FOUND_DEPTH: usize = 16;

/// What the host does with what the site has (RFC 9110, section 10.2.1).
const ALLOW: Field = Field::fixed("Allow", "GET, HEAD, OPTIONS");

/// Answers a request, and tells who decided how.
pub(super) async fn answer(
    service: &Service,
    head: &Head<'_>,
    peer: Peer,
) -> (Reply, guest::Decided) {
    let facts = Facts { client: peer.address };
    let decided = service.guest.decide(peer.worker, head.line, head.shown_fields(), facts).await;
    let reply = match &decided.decision {
        Ok(decision) => carry_out(decision, service, head, peer.worker, &mut |_, _| {}).await,
        Err(failure) => failed(failure),
    };
    let reply = match &service.tail {
        Some(tail) => tail.append_to(reply),
        None => reply,
    };
    (reply, decided)
}

/// The answer where there is no decision. Why, is in the log, and nobody else's
/// business.
pub(super) fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::Busy => unavailable(),
        _ => Reply::plain(500),
    }
}

/// Is told of each candidate that was tried, and what came of it.
pub(super) type Note<'a> = dyn FnMut(&Candidate, &Lookup) + Send + 'a;

/// Carries out a decision.
pub(super) async fn carry_out(
    decision: &Decision,
    service: &Service,
    head: &Head<'_>,
    worker: usize,
    note: &mut Note<'_>,
) -> Reply {
    let asked = Asked { service, head, worker };
    match decision {
        Decision::Redirect { status, location, fields } => {
            let location = Field::new("Location", location::escaped(location).into_owned());
            fields::add(Reply::plain(*status), fields).with(location)
        }
        Decision::Reply { status, fields, body } => reply(*status, fields, body),
        Decision::Serve { candidates, status, fields } => match refuse_method(head.method) {
            Some(refusal) => refusal,
            None => serve(asked, candidates, *status, fields, note).await,
        },
        Decision::NotFound => match refuse_method(head.method) {
            Some(refusal) => refusal,
            None => not_found(asked, "").await,
        },
    }
}

/// The answer to a method that is not for files, whatever the path.
fn refuse_method(method: Method) -> Option<Reply> {
    match method {
        Method::Get | Method::Head => None,
        Method::Options => Some(Reply::bare(204).with(ALLOW)),
        Method::Known => Some(Reply::plain(405).with(ALLOW)),
        Method::Unknown => Some(Reply::plain(501)),
    }
}

/// What is to be answered, by whom.
#[derive(Clone, Copy)]
struct Asked<'a> {
    service: &'a Service,
    head: &'a Head<'a>,
    worker: usize,
}

/// Serves the first candidate that exists.
async fn serve(
    asked: Asked<'_>,
    candidates: &[Candidate],
    status: u16,
    fields: &guest::Fields,
    note: &mut Note<'_>,
) -> Reply {
    let Asked { service, head, worker } = asked;
    // Parts are those of status 200 alone.
    let accepted = accepted(head, status == 200 && wants_a_part(head));
    let recency = match fields::are_for_long(fields) {
        true => Recency::Now,
        false => Recency::Lately,
    };
    let mut named_directory = false;
    for candidate in candidates {
        let found = match candidate {
            Candidate::File(path) => service.files.find(worker, path, &accepted, recency).await,
            Candidate::Index(directory) => {
                service.files.find_index(worker, directory, &accepted, recency).await
            }
        };
        note(candidate, &found);
        match found {
            Lookup::File(file) => return send(asked, &file, status, fields).await,
            Lookup::Directory => named_directory = true,
            Lookup::Missing => {}
            Lookup::Forbidden => {
                // The client is not told that there is something to find.
                tracing::warn!("{candidate:?} is forbidden to this process; answered as not found");
                return fields::vary(not_found(asked, candidate.path()).await, fields);
            }
            Lookup::Error(error) => return cannot("open", candidate, error),
        }
    }
    if named_directory
        && status == 200
        && let Some(location) = location::with_slash(head.target)
    {
        return fields::vary(Reply::plain(301).with(Field::new("Location", location)), fields);
    }
    if status == 200 {
        for candidate in candidates {
            let Candidate::Index(directory) = candidate else { continue };
            let form = listing_form(&head.joined("accept").unwrap_or_default());
            match service.files.list(directory, form).await {
                Ok(Some(text)) => return fields::add(listing(&text, form), fields),
                Ok(None) => {}
                Err(error) => return cannot("list", candidate, error),
            }
        }
    }
    fields::vary(not_found(asked, candidates.first().map_or("", Candidate::path)).await, fields)
}

/// The reply that sends a file, as it was made before if that is how it is to be.
async fn send(
    Asked { service, head, .. }: Asked<'_>,
    file: &FoundFile,
    status: u16,
    fields: &guest::Fields,
) -> Reply {
    // A tail makes another answer of it.
    let prepared = service.tail.is_none().then(|| prepared(file, status, fields, head)).flatten();
    match prepared {
        Some(reply) => reply,
        None => representation::reply(file, status, fields, head).await,
    }
}

/// The reply where the system cannot do that. The client is told whether to come again, the
/// log tells why.
fn cannot(what: &str, candidate: &Candidate, error: SystemError) -> Reply {
    match error {
        SystemError::Exhausted(error) => {
            tracing::error!("cannot {what} {candidate:?} now: {error}");
            unavailable()
        }
        SystemError::Failed(error) => {
            tracing::error!("cannot {what} {candidate:?}: {error}");
            Reply::plain(500)
        }
        SystemError::Unanswered(why) => {
            // Of a device that gives no answer the log tells once; not for each request.
            match why {
                Unanswered::Late(after) if after < disk::PATIENCE => {
                    tracing::debug!("cannot {what} {candidate:?} now: {why}");
                }
                _ => tracing::error!("cannot {what} {candidate:?} now: {why}"),
            }
            let seconds = disk::PATIENCE.as_secs().to_string();
            Reply::plain(503).with(Field::new("Retry-After", seconds))
        }
    }
}

/// The reply that lists a directory.
fn listing(text: &SharedBytes, form: Form) -> Reply {
    if REPLIES.refuses(text) {
        return unavailable();
    }
    let content_type = match form {
        Form::Json => "application/json",
        Form::Html => "text/html; charset=utf-8",
    };
    let fields = vec![
        Field::fixed("Content-Type", content_type),
        NO_SNIFFING,
        Field::fixed("Vary", "Accept"),
        Field::fixed("Cache-Control", "no-cache"),
        // The page has names in it that anyone may have chosen.
        Field::fixed("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    let extent = Extent { first: 0, length: text.len() as u64 };
    Reply {
        fields,
        body: Body::Shared { content: text.send(&REPLIES), extent },
        ..Reply::bare(200)
    }
}

/// The page for what is not found that is nearest to this path, or one line where
/// there is none.
async fn not_found(asked: Asked<'_>, path: &str) -> Reply {
    let Asked { service, head, worker } = asked;
    let accepted = accepted(head, false);
    // From the path's own directory up to the root.
    let above = path.rmatch_indices('/').map(|(end, _)| &path[..=end]).chain([""]);
    let depth = path.matches('/').count() + 1;
    for directory in above.skip(depth.saturating_sub(NOT_FOUND_DEPTH)) {
        let page = [directory, NOT_FOUND_PAGE].concat();
        let found = service.files.find(worker, &page, &accepted, Recency::Lately).await;
        if let Lookup::File(page) = found {
            return send(asked, &page, 404, &guest::Fields::default()).await;
        }
    }
    Reply::plain(404)
}

/// The forms of a file that the client accepts, for a part of it or for all.
fn accepted(head: &Head<'_>, wants_a_part: bool) -> Accepted {
    let codings = head.joined("accept-encoding").map_or_else(Vec::new, |value| preferred(&value));
    // Who accepts no coding gets the same in any case.
    let ready_made = wants_a_part && !codings.is_empty();
    Accepted { codings: codings.into(), ready_made }
}

/// A reply of the guest's own.
fn reply(status: u16, fields: &[guest::Field], body: &SharedBytes) -> Reply {
    if REPLIES.refuses(body) {
        return unavailable();
    }
    let mut reply = Reply::bare(status);
    if !body.is_empty() {
        let content_type = match fields::own_type(fields) {
            Some(own) => Field::new("Content-Type", own),
            None => PLAIN_TEXT,
        };
        reply.fields.extend([content_type, NO_SNIFFING]);
        let extent = Extent { first: 0, length: body.len() as u64 };
        reply.body = Body::Shared { content: body.send(&REPLIES), extent };
    }
    fields::add(reply, fields)
}

/// The answer while the machine is short of something that will be there again.
fn unavailable() -> Reply {
    Reply::plain(503).with(Field::fixed("Retry-After", "1"))
}
