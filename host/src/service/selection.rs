//! What a request selects of a file: a form of it, a part, and under which conditions.

use crate::files::conditions::Conditions;
use crate::files::encodings::{Accepted, preferred};
use crate::http::{Method, Request};

/// The forms of a file that the client accepts, for a part of it or for all.
pub(super) fn accepted(request: &Request<'_>, wants_a_part: bool) -> Accepted {
    let codings =
        request.joined("accept-encoding").map_or_else(Vec::new, |value| preferred(&value));
    // A client that accepts no coding gets the same in any case.
    let ready_made = wants_a_part && !codings.is_empty();
    Accepted { codings: codings.into(), ready_made }
}

/// Whether a request is for a part of a file: the same form of it is then sent each time.
pub(super) fn wants_a_part(request: &Request<'_>) -> bool {
    request.method == Method::Get && request.values("range").next().is_some()
}

/// The `Range` field of a GET request, the only method for which there are ranges
/// (RFC 9110, section 14.2). One that comes twice is none.
pub(super) fn range_field<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    let mut ranges = request.values("range");
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if request.method == Method::Get => Some(range),
        _ => None,
    }
}

pub(super) fn conditions(request: &Request<'_>) -> Conditions {
    Conditions {
        if_match: request.joined("if-match"),
        if_none_match: request.joined("if-none-match"),
        if_modified_since: request.joined("if-modified-since"),
        if_unmodified_since: request.joined("if-unmodified-since"),
        if_range: request.joined("if-range"),
    }
}
