//! A directory becomes a response: a redirect to its `/`, or a listing.

use super::accept::listing_form;
use super::{Body, Response};
use super::{Service, error_page, location};
use crate::files::listing_text::Form;
use crate::guest::Candidate;
use crate::http::response::NO_SNIFFING;
use crate::http::{Field, Request};
use crate::in_flight::{REPLIES, SharedBytes};

/// The redirect to a directory whose path lacks the `/` at its end.
pub(super) fn with_slash(request: &Request<'_>) -> Option<Response> {
    let location = location::with_slash(request.target)?;
    Some(Response::plain(301).with(Field::new("Location", location)))
}

/// The listing of the first candidate that has one. `Err` is the response where that cannot be
/// read.
pub(super) async fn list(
    service: &Service,
    request: &Request<'_>,
    candidates: &[Candidate],
) -> Option<Result<Response, Response>> {
    for candidate in candidates {
        let Candidate::Index(directory) = candidate else { continue };
        let form = listing_form(&request.joined("accept").unwrap_or_default());
        match service.files.list(directory, form).await {
            Ok(Some(text)) => return Some(Ok(listing(&text, form))),
            Ok(None) => {}
            Err(error) => return Some(Err(error_page::cannot("list", candidate, error))),
        }
    }
    None
}

fn listing(text: &SharedBytes, form: Form) -> Response {
    if REPLIES.refuses(text) {
        return error_page::unavailable();
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
    Response { fields: fields.into(), body, ..Response::bare(200) }
}
