//! The fields that a guest gives a response, among those of the host.

use std::borrow::Cow;

use super::Response;
use crate::files::cache_control::is_for_long;
use crate::http::{Field, Fields};

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

/// Adds a guest's fields to a response that the host words itself: `Allow` and `Retry-After` are
/// then its own, and a failure that may be over with the next request is not to be kept.
pub(super) fn add_to_own(response: Response, fields: &[Field]) -> Response {
    if fields.is_empty() {
        return response;
    }
    let is_failure = matches!(response.status, 412 | 416 | 500..);
    let is_ours = |field: &Field| {
        let is_it = |ours: &Field| ours.name.eq_ignore_ascii_case(&field.name);
        let is_known = ["Allow", "Retry-After"].map(|name| name.eq_ignore_ascii_case(&field.name));
        is_known.contains(&true) && response.fields.iter().any(is_it)
    };
    let goes = |field: &Field| is_ours(field) || is_failure && is_for_caches(field);
    match without(fields, goes) {
        None => add(response, fields),
        Some(rest) => add(response, &rest),
    }
}

/// Adds a guest's fields to a listing. What has browsers keep a file instead of showing it is about
/// the files of the directory.
pub(super) fn add_to_listing(response: Response, fields: &[Field]) -> Response {
    let goes = |field: &Field| field.name.eq_ignore_ascii_case("content-disposition");
    match without(fields, goes) {
        None => add(response, fields),
        Some(rest) => add(response, &rest),
    }
}

/// The fields without those that go; `None` if none does.
fn without(fields: &[Field], goes: impl Fn(&Field) -> bool) -> Option<Vec<Field>> {
    let rest = || fields.iter().filter(|field| !goes(field)).cloned().collect();
    fields.iter().any(&goes).then(rest)
}

/// Adds `Accept` to what a response varies by.
pub(super) fn vary_by_accept(response: &mut Response) {
    let is_vary = |field: &&Field| field.name.eq_ignore_ascii_case("vary");
    let Some(first) = response.fields.iter().find(is_vary).cloned() else {
        response.fields.push(Field::fixed("Vary", "Accept"));
        return;
    };
    // In one line, as some clients and caches read but one.
    let is_first = |field: &Field| *field == first;
    response.fields.retain(|field| !is_first(field));
    let value = [&first.value[..], b", Accept"].concat();
    response.fields.push(Field { value: value.into(), ..first });
}

/// Restricts a page of the host's own to what it has. A guest's policy is for pages of the site, and
/// would take the style from this one; of it remains which pages may frame it.
pub(super) fn restrict(response: &mut Response, policy: &'static str) {
    const NAME: &str = "Content-Security-Policy";
    let is_policy = |field: &Field| field.name.eq_ignore_ascii_case(NAME);
    let policies = response.fields.iter().filter(|field| is_policy(field));
    // A field is a list of policies (CSP Level 3, section 3.1), and each of them holds.
    let policies = policies.flat_map(|field| field.value.split(|byte| *byte == b','));
    let framing = policies.filter_map(|policy| {
        let mut directives = policy.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        directives.find(|directive| {
            let name = directive.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"frame-ancestors")
        })
    });
    let framing: Vec<_> = framing.map(|directive| Field::new(NAME, directive)).collect();
    response.fields.retain(|field| !is_policy(field));
    response.fields.push(Field::fixed(NAME, policy));
    response.fields.extend(framing);
}

/// The fields for content with a type of its own.
pub(super) fn without_type(fields: &Fields) -> Cow<'_, Fields> {
    without(fields, is_type).map_or(Cow::Borrowed(fields), |rest| Cow::Owned(rest.into()))
}

/// Whether these fields let clients or caches keep a response for long. What a guest says in
/// `Expires` is a time that it cannot know to be near.
pub(super) fn are_for_long(fields: &[Field]) -> bool {
    let is_expires = |field: &Field| field.name.eq_ignore_ascii_case("expires");
    fields
        .iter()
        .any(|field| is_for_caches(field) && (is_expires(field) || is_for_long(&field.value)))
}

/// Whether a field says how long a response may be kept. Those for caches of one kind do too (RFC
/// 9213): `CDN-Cache-Control`, `Surrogate-Control`.
fn is_for_caches(field: &Field) -> bool {
    const CONTROL: &str = "cache-control";
    let name = &field.name;
    let end = name.len().checked_sub(CONTROL.len()).and_then(|start| name.get(start..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(CONTROL))
        || name.eq_ignore_ascii_case("surrogate-control")
        || name.eq_ignore_ascii_case("expires")
}

/// The guest's own word on the type of the content.
pub(super) fn own_type(fields: &[Field]) -> Option<&[u8]> {
    let field = fields.iter().find(|field| is_type(field))?;
    Some(&field.value)
}

fn is_type(field: &Field) -> bool {
    field.name.eq_ignore_ascii_case("content-type")
}

#[cfg(test)]
mod tests {
    use super::restrict;
    use crate::http::Field;
    use crate::service::Response;

    #[test]
    fn of_a_guests_policy_remains_who_may_frame_a_page() {
        for (policies, expected) in [
            (&[][..], &[][..]),
            (&["default-src 'self'"], &[]),
            (
                &["default-src 'self'; Frame-Ancestors 'none' ; img-src *"],
                &["Frame-Ancestors 'none'"],
            ),
            (
                &["frame-ancestors a.example, frame-ancestors 'self'", "frame-ancestorsx y"],
                &["frame-ancestors a.example", "frame-ancestors 'self'"],
            ),
        ] {
            let mut response = Response::bare(404).with(Field::fixed("X-A", "b"));
            for policy in policies {
                response.fields.push(Field::new("content-security-policy", *policy));
            }
            restrict(&mut response, "default-src 'none'");
            let (other, policies) = response.fields.split_first().expect("fields");
            assert_eq!(other.name, "X-A");
            let policies: Vec<_> =
                policies.iter().map(|field| String::from_utf8_lossy(&field.value)).collect();
            assert_eq!(policies, [&["default-src 'none'"], expected].concat());
        }
    }
}
