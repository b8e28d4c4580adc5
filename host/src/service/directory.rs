//! A directory becomes a response: a redirect to its `/`, or a listing.

use super::accept::listing_form;
use super::{Body, Response};
use super::{Service, error_page, location, policy_fields};
use crate::files::listing_text::Form;
use crate::guest::{Candidate, Page};
use crate::http::response::NO_SNIFFING;
use crate::http::{Field, Fields, Request};
use crate::in_flight::{REPLIES, SharedBytes};

/// The redirect to a directory whose path lacks the `/` at its end.
pub(super) fn with_slash(request: &Request<'_>) -> Option<Response> {
    let location = location::with_slash(request.target)?;
    Some(Response::plain(301).with(Field::new("Location", location)))
}

/// The listing of the first candidate that has one, or the response where that cannot be read.
/// `fields` are those of the whole decision.
pub(super) async fn list(
    service: &Service,
    request: &Request<'_>,
    candidates: &[Candidate],
    fields: &Fields,
) -> Option<Response> {
    for candidate in candidates.iter().filter(|candidate| candidate.status == 200) {
        let Page::Index(directory) = &candidate.page else { continue };
        let form = listing_form(&request.joined("accept").unwrap_or_default());
        match service.files.list(directory, form).await {
            Ok(Some(text)) => {
                return Some(match listing(&text, form) {
                    Some(listing) => policy_fields::add(listing, candidate.fields(fields)),
                    None => policy_fields::add_to_own(error_page::unavailable(), fields),
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

/// `None` if there is no memory to send it from.
fn listing(text: &SharedBytes, form: Form) -> Option<Response> {
    if REPLIES.refuses(text) {
        return None;
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
        // Anyone may have chosen the names on the page.
        Field::fixed("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    let body = Body::whole(text.send(&REPLIES));
    Some(Response { fields: fields.into(), body, ..Response::bare(200) })
}
