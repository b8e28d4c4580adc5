//! The fields that a guest gives an answer, among those of the host.

use crate::files::cache_control::is_for_long;
use crate::guest;
use crate::reply::{Field, Reply};

/// Adds a guest's fields to a reply. They replace ours of the same name, except
/// `Vary`, which has as many members as there are reasons, and `Content-Type`, which
/// is for who writes the content to say.
pub(super) fn add(mut reply: Reply, fields: &[guest::Field]) -> Reply {
    if fields.is_empty() {
        return reply;
    }
    let fields = || fields.iter().filter(|field| !is_type(field));
    reply.fields.retain(|ours| {
        let replaced = |field: &guest::Field| field.name.eq_ignore_ascii_case(&ours.name);
        ours.name == "Vary" || !fields().any(replaced)
    });
    reply.fields.extend(fields().map(to_reply));
    reply
}

/// Adds what a guest says of caches to an answer that is not the one it meant: that none of
/// its candidates is there depends on the same fields of the request as they did.
pub(super) fn vary(mut reply: Reply, fields: &[guest::Field]) -> Reply {
    let vary = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("vary"));
    reply.fields.extend(vary.map(to_reply));
    reply
}

/// Whether these fields let clients or caches keep an answer for long. What a guest says in
/// `Expires` is a time that it cannot know to be near.
pub(super) fn are_for_long(fields: &[guest::Field]) -> bool {
    fields.iter().any(|field| {
        let name = field.name.to_ascii_lowercase();
        // Those for caches of one kind too (RFC 9213): `CDN-Cache-Control`, `Surrogate-Control`.
        let is_control = name.ends_with("cache-control") || name == "surrogate-control";
        name == "expires" || is_control && is_for_long(&field.value)
    })
}

/// The guest's own word on the type of the content.
pub(super) fn own_type(fields: &[guest::Field]) -> Option<&[u8]> {
    let field = fields.iter().find(|field| is_type(field))?;
    Some(&field.value)
}

fn is_type(field: &guest::Field) -> bool {
    field.name.eq_ignore_ascii_case("content-type")
}

fn to_reply(field: &guest::Field) -> Field {
    Field { name: field.name.clone().into(), value: field.value.clone().into() }
}
