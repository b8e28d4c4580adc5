//! A directory becomes a response: a redirect to its `/`, or a listing.

use std::sync::Arc;

use super::accept::listing_form;
use super::context::Context;
use super::selection::{accepted, conditions};
use super::{Body, Response};
use super::{error_page, location, policy_fields};
use crate::files::ListingForm;
use crate::files::arrangement::{Arrangement, Form};
use crate::files::conditions::Verdict;
use crate::files::listing_page::CONTENT_SECURITY_POLICY;
use crate::guest::{Candidate, Page};
use crate::http::response::NO_SNIFFING;
use crate::http::{Field, Fields, Request};
use crate::in_flight::{REPLIES, Share};

/// The redirect to a directory whose path lacks the `/` at its end.
pub(super) fn with_slash(request: &Request<'_>) -> Option<Response> {
    let location = location::with_slash(request.target)?;
    Some(Response::plain(301).with(Field::new("Location", location)))
}

/// The listing of the first candidate that has one, or the response where that cannot be read.
/// `fields` are those of the whole decision.
pub(super) async fn list(
    context: &Context<'_>,
    candidates: &[Candidate],
    fields: &Fields,
) -> Option<Response> {
    let &Context { service, files, share, request } = context;
    if !files.lists() {
        return None;
    }
    let first = candidates.iter().position(|candidate| directory(candidate).is_some())?;
    let form = listing_form(&request.joined("accept").unwrap_or_default());
    let (_, query) = location::path_query(request.target);
    let arrangement = Arrangement::of_query(form, query.unwrap_or_default());
    let codings = accepted(request, false).codings;
    for candidate in &candidates[first..] {
        let Some(directory) = directory(candidate) else { continue };
        match files.list(directory, arrangement, &codings).await {
            Ok(Some(made)) => {
                let varies = files.compresses() && made.is_compressible();
                let made = made.form(&codings);
                let response = match conditions(request).evaluate_tag(&made.tag) {
                    Verdict::NotModified => Some(unmodified(&made, varies)),
                    Verdict::Proceed => listing(&made, varies, form, share),
                    Verdict::Failed => {
                        let failed = Response::plain(412);
                        return Some(policy_fields::add_to_own(failed, fields));
                    }
                };
                let Some(response) = response else {
                    return Some(policy_fields::add_to_own(error_page::unavailable(), fields));
                };
                let response = policy_fields::add_to_listing(response, candidate.fields(fields));
                return Some(match form {
                    Form::Html => service.restrict_page(response, &CONTENT_SECURITY_POLICY),
                    Form::Json => response,
                });
            }
            Ok(None) => {}
            Err(error) => {
                let response = error_page::cannot("list", candidate, error);
                return Some(policy_fields::add_to_own(response, fields));
            }
        }
    }
    None
}

/// The directory of which a candidate is the listing.
fn directory(candidate: &Candidate) -> Option<&str> {
    match &candidate.page {
        Page::Index(directory) if candidate.status == 200 => Some(directory),
        _ => None,
    }
}

/// `None` if there is no memory to send it from.
fn listing(
    made: &ListingForm<'_>,
    varies: bool,
    form: Form,
    share: Option<&Arc<Share>>,
) -> Option<Response> {
    if REPLIES.refuses_for(share, made.content) {
        return None;
    }
    let content_type = match form {
        Form::Json => "application/json",
        Form::Html => "text/html; charset=utf-8",
    };
    let mut response = unmodified(made, varies);
    response.status = 200;
    response.fields.extend([Field::fixed("Content-Type", content_type), NO_SNIFFING]);
    if let Some(coding) = made.coding {
        response.fields.push(Field::fixed("Content-Encoding", coding.name()));
    }
    response.body = Body::whole(made.content.send_for(share, &REPLIES));
    Some(response)
}

/// The response to a client that has the listing as it is.
fn unmodified(made: &ListingForm<'_>, varies: bool) -> Response {
    let fields = vec![
        Field::new("ETag", made.tag.as_bytes()),
        Field::fixed("Vary", if varies { "Accept, Accept-Encoding" } else { "Accept" }),
        Field::fixed("Cache-Control", "no-cache"),
    ];
    Response { fields: fields.into(), ..Response::bare(304) }
}
