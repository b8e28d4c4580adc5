//! A file becomes a response: with its validators, under the request's conditions,
//! and as much of it as is wanted.

use std::sync::{Arc, OnceLock};

use super::context::Context;
use super::multipart::Multipart;
use super::selection::{conditions, range_field};
use super::{Body, Response, policy_fields};
use crate::clock;
use crate::files::conditions::Verdict;
use crate::files::ranges::{Part, Wanted};
use crate::files::{FoundFile, KEPT_FIELDS_BYTES, KeptFields, SMALL_BYTES, read};
use crate::http::response::NO_SNIFFING;
use crate::http::{ByteRange, Content, Field, Fields, Method, Request};
use crate::in_flight::{FILES, SharedBytes};
use crate::throttle::Kinds;

/// Each file once, however often it is asked for.
static UNREADABLE: Kinds = Kinds::new();

/// The response that sends a file with this status and these fields of the guest: as it was
/// made before, if it is to be the same.
pub(super) async fn respond(
    context: &Context<'_>,
    found: &FoundFile,
    status: u16,
    added: &Fields,
) -> Response {
    // The script of a page makes another response of it.
    let is_usual = context.service.page_script.is_none();
    match is_usual.then(|| again(found, status, added, context.request)).flatten() {
        Some(response) => response,
        // Boxed, as each connection would have room for it while it is idle.
        None => Box::pin(make(context, found, status, added)).await,
    }
}

/// The response that sends a whole file with this status, or says that the client has
/// it, if the request asks for nothing else and its fields were kept. Only for what is in memory.
fn again(
    found: &FoundFile,
    status: u16,
    added: &Fields,
    request: &Request<'_>,
) -> Option<Response> {
    let Content::Memory(content) = &found.content else { return None };
    let mut known = None;
    for field in &request.fields {
        let name = field.name;
        if name.eq_ignore_ascii_case("if-none-match") && known.is_none() {
            known = Some(field.value);
        } else if name.eq_ignore_ascii_case("range")
            || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("if-"))
        {
            return None;
        }
    }
    let (kept, status) = match known {
        None => (found.whole.get()?, status),
        Some(known) if status == 200 && known == found.tag.as_deref()?.as_bytes() => {
            (found.unmodified.get()?, 304)
        }
        Some(_) => return None,
    };
    if kept.status != status || kept.added != *added {
        return None;
    }
    let body = match known {
        None => Body::whole(content.send(&FILES)),
        Some(_) => Body::Empty,
    };
    Some(Response { fields: kept.fields.clone(), body, ..Response::bare(status) })
}

/// Keeps the fields of a response for the next one like it.
fn keep(response: &mut Response, added: &Fields, found: &FoundFile, next: &OnceLock<KeptFields>) {
    if next.get().is_some() || !matches!(found.content, Content::Memory(_)) {
        return;
    }
    if added.memory_bytes().max(response.fields.memory_bytes()) <= KEPT_FIELDS_BYTES {
        let fields = std::mem::take(&mut response.fields).shared();
        response.fields = fields.clone();
        let kept = KeptFields { status: response.status, added: added.clone(), fields };
        // Another worker may have been faster.
        let _ = next.set(kept);
    }
}

/// The response that sends a file with this status and these fields of the guest, or in our own
/// words that the file is not what the client wants, or cannot be read.
///
/// Conditions and ranges are those of status 200 alone: a page that explains an
/// error is not what the client has a version of (RFC 9110, sections 13.2.1 and
/// 14.2).
async fn make(context: &Context<'_>, found: &FoundFile, status: u16, added: &Fields) -> Response {
    let &Context { files, request, .. } = context;
    let content_type = match policy_fields::own_type(added) {
        Some(own) => own.to_vec(),
        None => found.media_type.field_value().into_bytes(),
    };
    let mut response = Response { fields: Vec::with_capacity(8).into(), ..Response::bare(status) };
    if found.varies {
        // Also where there is no sibling yet, or none that this client accepts:
        // another client may get one.
        response.fields.push(Field::fixed("Vary", "Accept-Encoding"));
    }
    let mut range = ByteRange::whole(found.length);
    if status == 200 {
        if let Some(value) = &found.cache_control {
            response.fields.push(Field::new("Cache-Control", value.as_str()));
        }
        if let Some(tag) = &found.tag {
            response.fields.push(Field::new("ETag", tag.as_str()));
        }
        if let Some(modified) = found.validators.modified {
            response.fields.push(Field::new("Last-Modified", clock::format_http_date(modified)));
        }
        let conditions = conditions(request);
        match conditions.evaluate(&found.validators) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                response.status = 304;
                let mut response = policy_fields::add(response, added);
                keep(&mut response, added, found, &found.unmodified);
                return response;
            }
            Verdict::Failed => return policy_fields::add_to_own(Response::plain(412), added),
        }
        let wanted = match range_field(request) {
            Some(range) if conditions.allow_range(&found.validators) => {
                Wanted::of(range, found.length, files.max_ranges())
            }
            _ => Wanted::Whole,
        };
        match wanted {
            // Of what is compressed on the fly there are no parts: what they are parts of would
            // depend on how much there is to do.
            Wanted::Whole if found.is_made_now => {}
            Wanted::Whole => response.fields.push(Field::fixed("Accept-Ranges", "bytes")),
            Wanted::Part(part) => {
                response.status = 206;
                response.fields.push(content_range(part, found.length));
                range = ByteRange { first: part.first, length: part.length() };
            }
            Wanted::Parts(parts) => {
                response.status = 206;
                let several = Multipart::of(&parts, &content_type, found.length);
                describe(&mut response, found, several.content_type.into());
                let content = content_of(found);
                response.body = Body::Parts { content, parts: several.parts, tail: several.tail };
                return policy_fields::add(response, added);
            }
            Wanted::Nothing => {
                let unsatisfied = format!("bytes */{}", found.length);
                let response = policy_fields::add_to_own(Response::plain(416), added);
                return response.with(Field::new("Content-Range", unsatisfied));
            }
        }
    }
    describe(&mut response, found, content_type);
    let mut response = policy_fields::add(response, added);
    if response.status == status {
        keep(&mut response, added, found, &found.whole);
    }
    let small = usize::try_from(range.length).ok().filter(|_| range.length <= SMALL_BYTES);
    response.body = match (&found.content, small) {
        (Content::File(file), Some(small)) if request.method == Method::Get && !FILES.is_full() => {
            match read(file, range.first, small).await {
                // If it was truncated a moment ago, nothing is sent yet, so the response can
                // say what it is; but not half a part.
                Ok(content) if content.len() == small || response.status != 206 => {
                    Body::whole(SharedBytes::from(content).send(&FILES))
                }
                Ok(_) => return policy_fields::add_to_own(Response::plain(500), added),
                Err(error) => {
                    UNREADABLE.log((files.id(), error.kind(), request.target), |suppressed| {
                        tracing::error!(%error, suppressed, "cannot read file");
                    });
                    return policy_fields::add_to_own(Response::plain(500), added);
                }
            }
        }
        _ => Body::Content { content: content_of(found), range },
    };
    response
}

/// The content, counted while it is sent.
fn content_of(found: &FoundFile) -> super::Content {
    match &found.content {
        Content::File(file) => Content::File(Arc::clone(file)),
        Content::Memory(content) => Content::Memory(content.send(&FILES)),
    }
}

/// Says what the content is.
fn describe(response: &mut Response, found: &FoundFile, content_type: Vec<u8>) {
    response.fields.push(Field::new("Content-Type", content_type));
    response.fields.push(NO_SNIFFING);
    if let Some(coding) = found.coding {
        response.fields.push(Field::fixed("Content-Encoding", coding.name()));
    }
}

fn content_range(part: Part, length: u64) -> Field {
    Field::new("Content-Range", format!("bytes {}-{}/{length}", part.first, part.last))
}
