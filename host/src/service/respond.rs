//! One request becomes a response: the guest decides, the files give.

use std::sync::Arc;

use super::context::Context;
use super::explain::Trace;
use super::location;
use super::record::Record;
use super::site::SiteOfWorker;
use super::{
    Body, Response, Service, admission, challenge, directory, error_page, file, policy_fields,
    selection,
};
use crate::files::encodings::Accepted;
use crate::files::{Lookup, Recency};
use crate::guest::{Candidate, Decided, Decision, Facts, Otherwise, Page};
use crate::http::response::{NO_SNIFFING, PLAIN_TEXT};
use crate::http::{Field, Fields, Method, Request};
use crate::in_flight::{REPLIES, Share, SharedBytes};
use crate::release::Active;
use crate::throttle::Kinds;

/// Each file once, however often it is asked for.
static FORBIDDEN: Kinds = Kinds::new();

/// What a client is told whose request is for a host that no site has.
const NO_SITE: &str = "no site here has the host of the request";

/// The methods for files (RFC 9110, section 10.2.1).
const ALLOW: Field = Field::fixed("Allow", "GET, HEAD, OPTIONS");

impl Service {
    /// Responds to a request. The record notes the decision.
    pub async fn respond(&self, request: &Request<'_>, record: &mut Record<'_, '_>) -> Response {
        let scheme = record.scheme();
        if let Some(challenge) = challenge::respond(self.challenges.as_ref(), request).await {
            return record.identify(challenge);
        }
        let Some(of) = record.site().cloned() else {
            return self.refuse(421, NO_SITE, record);
        };
        let https = &of.site.https;
        // Not one match over all: each connection would have room for a redirect while the guest decides.
        let response = if let Some(wait) = record.over_limit() {
            self.in_form_for(request, admission::too_many("requests", wait))
        } else if let Some(redirect) = https.redirect(request, scheme) {
            redirect
        } else if let Ok(active) = &of.site.active {
            self.decide(active, &of, request, record).await
        } else {
            // The log says why, once.
            self.in_form_for(request, error_page::unavailable())
        };
        record.identify(https.secure(response, request, scheme))
    }

    /// Responds as the guest decides.
    async fn decide(
        &self,
        active: &Active,
        of: &SiteOfWorker,
        request: &Request<'_>,
        record: &mut Record<'_, '_>,
    ) -> Response {
        let facts = Facts {
            client: record.client(),
            scheme: record.scheme().unwrap_or(request.scheme),
            version: request.version,
            tls: request.tls,
            ambient: &of.site.ambient,
            site: of.share.as_ref().map(|_| of.number),
        };
        let (worker, fields) = (request.peer.worker, request.fields_for_guest());
        let (decided, generation) = active.decide(worker, request.line, fields, facts).await;
        if let Some(trace) = record.trace() {
            trace.set_generation(&generation);
        }
        let (files, share) = (&generation.files, of.share.as_ref());
        let context = Context { service: self, files, share, request };
        let response = match &decided.decision {
            Ok(decision) => context.carry_out(decision, record.trace()).await,
            Err(failure) => error_page::no_decision(failure),
        };
        record.set_decided(decided);
        let response = self.in_form_for(request, response);
        match &self.page_script {
            Some(script) => {
                let failure = record.decided().and_then(Decided::failure);
                script.tell(request.line, failure, &response);
                script.append_to(response)
            }
            None => response,
        }
    }

    /// Responds to what a wire refuses: with this status, and this sentence about it.
    pub fn refuse(&self, status: u16, why: &str, record: &Record<'_, '_>) -> Response {
        let response = match record.over_limit() {
            None => Response::text(status, why),
            Some(wait) => admission::too_many("requests", wait),
        };
        record.identify(match record.request() {
            Some(request) => {
                let response = self.in_form_for(request, response);
                match record.site() {
                    Some(of) => of.site.https.secure(response, request, record.scheme()),
                    None => response,
                }
            }
            None => response,
        })
    }
}

impl Context<'_> {
    /// Carries out a decision.
    pub(super) async fn carry_out(
        &self,
        decision: &Decision,
        trace: Option<&mut Trace>,
    ) -> Response {
        match decision {
            Decision::Redirect { status, location, fields } => redirect(*status, location, fields),
            Decision::Reply { status, fields, body } => reply(*status, fields, body, self.share),
            Decision::Serve { candidates, otherwise, fields } => {
                if let Some(refusal) = refuse_method(self.request.method) {
                    return policy_fields::add_to_own(refusal, fields);
                }
                if candidates.is_empty() && otherwise.is_none() {
                    return Box::pin(error_page::not_found(self, "", fields)).await;
                }
                self.serve(candidates, otherwise.as_deref(), fields, trace).await
            }
        }
    }

    /// Does the first thing that is possible.
    async fn serve(
        &self,
        candidates: &[Candidate],
        otherwise: Option<&Otherwise>,
        fields: &Fields,
        mut trace: Option<&mut Trace>,
    ) -> Response {
        let worker = self.request.peer.worker;
        let (mut status, mut forms) = (0, Accepted::default());
        let mut named_directory = false;
        for candidate in candidates {
            let added = candidate.fields(fields);
            // Most candidates of a decision have the same.
            if candidate.status != status {
                (status, forms) = (candidate.status, accepted(self.request, candidate));
            }
            let recency = match policy_fields::are_for_long(added) {
                true => Recency::Now,
                false => Recency::Lately,
            };
            let found = match &candidate.page {
                Page::File(path) => self.files.find(worker, path, &forms, recency).await,
                Page::Index(directory) => {
                    self.files.find_index(worker, directory, &forms, recency).await
                }
            };
            if let Some(trace) = &mut trace {
                trace.note(candidate, &found);
            }
            match found {
                Lookup::File(found) => {
                    return match candidate.location() {
                        Some(location) => redirect(candidate.status, location, added),
                        None => file::respond(self, &found, candidate.status, added).await,
                    };
                }
                Lookup::Directory => named_directory |= candidate.status == 200,
                Lookup::Missing => {}
                Lookup::Forbidden => {
                    // The client is not told that there is something to find.
                    let path = candidate.path();
                    FORBIDDEN.log((self.files.id(), path), |suppressed| {
                        tracing::warn!(
                            path,
                            suppressed,
                            "file is forbidden to this process, client gets 404"
                        );
                    });
                    return match error_page::without_page(candidate, fields) {
                        Some(response) => response,
                        None => Box::pin(error_page::not_found(self, path, fields)).await,
                    };
                }
                Lookup::Error(error) => {
                    let response = error_page::cannot("open", candidate, error);
                    return policy_fields::add_to_own(response, fields);
                }
            }
        }
        // Boxed, as each connection would have room for it while it is idle.
        let listed = || Box::pin(directory::list(self, candidates, fields));
        let (then, response) =
            if named_directory && let Some(moved) = directory::with_slash(self.request) {
                ("the URL gets a / at its end", policy_fields::add_to_own(moved, fields))
            } else if let Some(listing) = listed().await {
                ("the directory is listed", listing)
            } else if let Some(Otherwise { status, location, fields, .. }) = otherwise {
                ("the client is redirected", redirect(*status, location, fields))
            } else if let Some(response) =
                candidates.last().and_then(|last| error_page::without_page(last, fields))
            {
                ("its page is not found", response)
            } else {
                let path = candidates.first().map_or("", Candidate::path);
                let page = Box::pin(error_page::not_found(self, path, fields)).await;
                ("it is not found", page)
            };
        if let Some(trace) = trace {
            trace.end(then);
        }
        response
    }
}

/// The forms of a page that count for a candidate: parts are those of status 200 alone, and for a
/// redirect the page only has to be there.
fn accepted(request: &Request<'_>, candidate: &Candidate) -> Accepted {
    match candidate.status {
        200 => selection::accepted(request, selection::wants_a_part(request)),
        _ if candidate.location().is_some() => Accepted::default(),
        _ => selection::accepted(request, false),
    }
}

/// The redirect of a guest.
fn redirect(status: u16, location: &str, fields: &Fields) -> Response {
    let location = Field::new("Location", location::escaped(location).into_owned());
    policy_fields::add(Response::plain(status), fields).with(location)
}

/// The response to a method that is not for files, whatever the path.
fn refuse_method(method: Method) -> Option<Response> {
    match method {
        Method::Get | Method::Head => None,
        Method::Options => Some(Response::bare(204).with(ALLOW)),
        Method::Known => Some(Response::plain(405).with(ALLOW)),
        Method::Unknown => Some(Response::plain(501)),
    }
}

/// The guest's own response.
fn reply(status: u16, fields: &Fields, body: &SharedBytes, share: Option<&Arc<Share>>) -> Response {
    if let Some(line) = failure_line(status, fields, body) {
        return policy_fields::add(Response::text(status, line), fields);
    }
    if REPLIES.refuses_for(share, body) {
        return error_page::unavailable();
    }
    let mut response = Response::bare(status);
    if !body.is_empty() {
        let content_type = match policy_fields::own_type(fields) {
            Some(own) => Field::new("Content-Type", own),
            None => PLAIN_TEXT,
        };
        response.fields.extend([content_type, NO_SNIFFING]);
        response.body = Body::whole(body.send_for(share, &REPLIES));
    }
    policy_fields::add(response, fields)
}

/// The text of a reply that says why the request failed in one line, as the host does: it is sent
/// in the same forms.
fn failure_line<'a>(status: u16, fields: &Fields, body: &'a [u8]) -> Option<&'a str> {
    /// Bytes of a line, which is a sentence.
    const LINE: usize = 200;
    let line = body.strip_suffix(b"\n").filter(|line| status >= 400 && line.len() <= LINE)?;
    let is_plain = !line.is_empty() && !line.iter().any(u8::is_ascii_control);
    std::str::from_utf8(line).ok().filter(|_| is_plain && policy_fields::own_type(fields).is_none())
}
