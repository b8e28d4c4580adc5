//! The fields that a guest gives a response, among those of the host.

use super::Response;
use crate::files::cache_control::is_for_long;
use crate::http::Field;

/// Adds a guest's fields to a response. They replace ours of the same name, except
/// `Vary`, which has as many members as there are reasons, and `Content-Type`, which
/// is for the writer of the content to say.
pub(super) fn add(mut response: Response, fields: &[Field]) -> Response {
    if fields.is_empty() {
        return response;
    }
    let fields = || fields.iter().filter(|field| !is_type(field));
    response.fields.retain(|ours| {
        let replaced = |field: &Field| field.name.eq_ignore_ascii_case(&ours.name);
        ours.name == "Vary" || !fields().any(replaced)
    });
    response.fields.extend(fields().cloned());
    response
}

/// Adds what a guest says of caches to a response that is not the one it meant: that none of
/// its candidates is there depends on the same fields of the request as they did.
pub(super) fn vary(mut response: Response, fields: &[Field]) -> Response {
    let vary = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("vary"));
    response.fields.extend(vary.cloned());
    response
}

/// Whether these fields let clients or caches keep a response for long. What a guest says in
/// `Expires` is a time that it cannot know to be near.
pub(super) fn are_for_long(fields: &[Field]) -> bool {
    fields.iter().any(|field| {
        let name = field.name.to_ascii_lowercase();
        // Those for caches of one kind too (RFC 9213): `CDN-Cache-Control`, `Surrogate-Control`.
        let is_control = name.ends_with("cache-control") || name == "surrogate-control";
        name == "expires" || is_control && is_for_long(&field.value)
    })
}

/// The guest's own word on the type of the content.
pub(super) fn own_type(fields: &[Field]) -> Option<&[u8]> {
    let field = fields.iter().find(|field| is_type(field))?;
    Some(&field.value)
}

fn is_type(field: &Field) -> bool {
    field.name.eq_ignore_ascii_case("content-type")
}
