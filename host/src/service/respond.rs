//! One request becomes a response: the guest decides, the files give.

use super::explain::Trace;
use super::location;
use super::record::Record;
use super::{
    Body, Response, Service, admission, directory, error_page, file, policy_fields, selection,
};
use crate::files::{Lookup, Recency};
use crate::guest::{Candidate, Decision, Facts};
use crate::http::response::{NO_SNIFFING, PLAIN_TEXT};
use crate::http::{Field, Fields, Method, Request};
use crate::in_flight::{REPLIES, SharedBytes};

/// The methods for files (RFC 9110, section 10.2.1).
const ALLOW: Field = Field::fixed("Allow", "GET, HEAD, OPTIONS");

impl Service {
    /// Responds to a request. The record notes the decision.
    pub async fn respond(&self, request: &Request<'_>, record: &mut Record<'_, '_>) -> Response {
        let scheme = record.scheme();
        let response = match (record.over_limit(), self.https.redirect(request, scheme)) {
            (Some(wait), _) => admission::too_many("requests", wait),
            (None, Some(redirect)) => redirect,
            (None, None) => self.decide(request, record).await,
        };
        self.https.secure(response, request, scheme)
    }

    /// Responds as the guest decides.
    async fn decide(&self, request: &Request<'_>, record: &mut Record<'_, '_>) -> Response {
        let facts = Facts {
            client: record.client(),
            scheme: record.scheme().unwrap_or(request.scheme),
            version: request.version,
            tls: request.tls,
        };
        let (worker, fields) = (request.peer.worker, request.fields_for_guest());
        let decided = self.guest.decide(worker, request.line, fields, facts).await;
        let response = match &decided.decision {
            Ok(decision) => self.carry_out(decision, request, record.trace()).await,
            Err(failure) => error_page::no_decision(failure),
        };
        record.set_decided(decided);
        match &self.page_script {
            Some(script) => script.append_to(response),
            None => response,
        }
    }

    /// Responds to what a wire refuses: with this status, and this sentence about it.
    pub fn refuse(&self, status: u16, why: &str, record: &Record<'_, '_>) -> Response {
        let response = match record.over_limit() {
            None => Response::text(status, why),
            Some(wait) => admission::too_many("requests", wait),
        };
        match record.request() {
            Some(request) => self.https.secure(response, request, record.scheme()),
            None => response,
        }
    }

    /// Carries out a decision.
    async fn carry_out(
        &self,
        decision: &Decision,
        request: &Request<'_>,
        trace: Option<&mut Trace>,
    ) -> Response {
        match decision {
            Decision::Redirect { status, location, fields } => {
                let location = Field::new("Location", location::escaped(location).into_owned());
                policy_fields::add(Response::plain(*status), fields).with(location)
            }
            Decision::Reply { status, fields, body } => reply(*status, fields, body),
            Decision::Serve { candidates, status, fields } => match refuse_method(request.method) {
                Some(refusal) => refusal,
                None => self.serve(request, candidates, *status, fields, trace).await,
            },
            Decision::NotFound => match refuse_method(request.method) {
                Some(refusal) => refusal,
                None => Box::pin(error_page::not_found(self, request, "")).await,
            },
        }
    }

    /// Serves the first candidate that exists.
    async fn serve(
        &self,
        request: &Request<'_>,
        candidates: &[Candidate],
        status: u16,
        fields: &Fields,
        mut trace: Option<&mut Trace>,
    ) -> Response {
        let worker = request.peer.worker;
        // Parts are those of status 200 alone.
        let accepted =
            selection::accepted(request, status == 200 && selection::wants_a_part(request));
        let recency = match policy_fields::are_for_long(fields) {
            true => Recency::Now,
            false => Recency::Lately,
        };
        let mut named_directory = false;
        for candidate in candidates {
            let found = match candidate {
                Candidate::File(path) => self.files.find(worker, path, &accepted, recency).await,
                Candidate::Index(directory) => {
                    self.files.find_index(worker, directory, &accepted, recency).await
                }
            };
            if let Some(trace) = &mut trace {
                trace.note(candidate, &found);
            }
            match found {
                Lookup::File(found) => {
                    return file::respond(self, request, &found, status, fields).await;
                }
                Lookup::Directory => named_directory = true,
                Lookup::Missing => {}
                Lookup::Forbidden => {
                    // The client is not told that there is something to find.
                    let path = candidate.path();
                    tracing::warn!(path, "file is forbidden to this process, client gets 404");
                    let page = error_page::not_found(self, request, candidate.path());
                    let page = Box::pin(page).await;
                    return policy_fields::vary(page, fields);
                }
                Lookup::Error(error) => return error_page::cannot("open", candidate, error),
            }
        }
        if named_directory
            && status == 200
            && let Some(moved) = directory::with_slash(request)
        {
            return policy_fields::vary(moved, fields);
        }
        if status == 200
            && let Some(listing) = Box::pin(directory::list(self, request, candidates)).await
        {
            return match listing {
                Ok(listing) => policy_fields::add(listing, fields),
                Err(cannot) => cannot,
            };
        }
        let path = candidates.first().map_or("", Candidate::path);
        policy_fields::vary(Box::pin(error_page::not_found(self, request, path)).await, fields)
    }
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
fn reply(status: u16, fields: &Fields, body: &SharedBytes) -> Response {
    if REPLIES.refuses(body) {
        return error_page::unavailable();
    }
    let mut response = Response::bare(status);
    if !body.is_empty() {
        let content_type = match policy_fields::own_type(fields) {
            Some(own) => Field::new("Content-Type", own),
            None => PLAIN_TEXT,
        };
        response.fields.extend([content_type, NO_SNIFFING]);
        response.body = Body::whole(body.send(&REPLIES));
    }
    policy_fields::add(response, fields)
}
