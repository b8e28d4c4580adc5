//! A file becomes a reply: with its validators, under the request's conditions,
//! and as much of it as is wanted.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use super::fields;
use super::head::Head;
use crate::clock;
use crate::files::conditions::{Conditions, Verdict};
use crate::files::ranges::{Part, Wanted};
use crate::files::{Content, FoundFile, PREPARED_BYTES, Prepared, SMALL_BYTES, read};
use crate::guest;
use crate::http::Method;
use crate::in_flight::{FILES, SharedBytes};
use crate::reply::head::write_fields;
use crate::reply::{Body, Extent, Field, NO_SNIFFING, Reply, Source};

/// The reply that sends a whole file with this status, or says that the client has
/// it, if the request asks for nothing else and such a reply was made before. Only
/// for what is in memory.
pub(super) fn prepared(
    found: &FoundFile,
    status: u16,
    added: &guest::Fields,
    head: &Head<'_>,
) -> Option<Reply> {
    let Content::Memory(content) = &found.content else { return None };
    let mut known = None;
    for field in &head.fields {
        let name = field.name;
        if name.eq_ignore_ascii_case("if-none-match") && known.is_none() {
            known = Some(field.value);
        } else if name.eq_ignore_ascii_case("range")
            || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("if-"))
        {
            return None;
        }
    }
    let (prepared, status, body) = match known {
        None => {
            let extent = Extent { first: 0, length: found.length };
            (&found.whole, status, Body::Shared { content: content.send(&FILES), extent })
        }
        Some(known) if status == 200 && known == found.tag.as_deref()?.as_bytes() => {
            (&found.unmodified, 304, Body::Empty)
        }
        Some(_) => return None,
    };
    let prepared = prepared.get()?;
    if prepared.status != status || prepared.added != *added.lines() {
        return None;
    }
    Some(Reply { prepared: Some(Arc::clone(&prepared.lines)), body, ..Reply::bare(status) })
}

/// Makes the next such reply cheaper.
fn prepare(reply: &Reply, added: &guest::Fields, found: &FoundFile, next: &OnceLock<Prepared>) {
    if next.get().is_some() || !matches!(found.content, Content::Memory(_)) {
        return;
    }
    let mut lines = Vec::new();
    write_fields(&reply.fields, &mut lines);
    if added.lines().len().max(lines.len()) <= PREPARED_BYTES {
        let prepared =
            Prepared { status: reply.status, added: added.lines().clone(), lines: lines.into() };
        // Another worker may have been faster.
        let _ = next.set(prepared);
    }
}

/// The reply that sends a file with this status and these fields of the guest, or in our own
/// words that the file is not what the client wants, or cannot be read.
///
/// Conditions and ranges are those of status 200 alone: a page that explains an
/// error is not what the client has a version of (RFC 9110, sections 13.2.1 and
/// 14.2).
pub(super) async fn reply(
    found: &FoundFile,
    status: u16,
    added: &guest::Fields,
    head: &Head<'_>,
) -> Reply {
    let content_type = match fields::own_type(added) {
        Some(own) => own.to_vec(),
        None => found.media_type.field_value().into_bytes(),
    };
    let mut reply = Reply { fields: Vec::with_capacity(8), ..Reply::bare(status) };
    if found.varies {
        // Also where there is no sibling yet, or none that this client accepts:
        // another client may get one.
        reply.fields.push(Field::fixed("Vary", "Accept-Encoding"));
    }
    let mut extent = Extent { first: 0, length: found.length };
    if status == 200 {
        if let Some(value) = &found.cache_control {
            reply.fields.push(Field::new("Cache-Control", value.as_str()));
        }
        if let Some(tag) = &found.tag {
            reply.fields.push(Field::new("ETag", tag.as_str()));
        }
        if let Some(modified) = found.validators.modified {
            reply.fields.push(Field::new("Last-Modified", clock::format_http_date(modified)));
        }
        let conditions = conditions(head);
        match conditions.evaluate(&found.validators) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                reply.status = 304;
                let reply = fields::add(reply, added);
                prepare(&reply, added, found, &found.unmodified);
                return reply;
            }
            Verdict::Failed => return Reply::plain(412),
        }
        let wanted = match range(head) {
            Some(range) if conditions.allow_range(&found.validators) => {
                Wanted::of(range, found.length)
            }
            _ => Wanted::Whole,
        };
        match wanted {
            // Of what is compressed on the fly there are no parts: what they are parts of would
            // depend on how much there is to do.
            Wanted::Whole if found.is_made_now => {}
            Wanted::Whole => reply.fields.push(Field::fixed("Accept-Ranges", "bytes")),
            Wanted::Part(part) => {
                reply.status = 206;
                reply.fields.push(content_range(part, found.length));
                extent = Extent { first: part.first, length: part.length() };
            }
            Wanted::Parts(parts) => {
                let reply = multipart(found, &parts, &content_type, reply);
                return fields::add(reply, added);
            }
            Wanted::Nothing => {
                let unsatisfied = format!("bytes */{}", found.length);
                return Reply::plain(416).with(Field::new("Content-Range", unsatisfied));
            }
        }
    }
    describe(&mut reply, found, content_type);
    let mut reply = fields::add(reply, added);
    if reply.status == status {
        prepare(&reply, added, found, &found.whole);
    }
    let small = usize::try_from(extent.length).ok().filter(|_| extent.length <= SMALL_BYTES);
    reply.body = match (&found.content, small) {
        (Content::Memory(content), _) => Body::Shared { content: content.send(&FILES), extent },
        (Content::File(file), Some(small)) if head.method == Method::Get && !FILES.is_full() => {
            match read(file, extent.first, small).await {
                // If it became shorter a moment ago, nothing is sent yet, so the answer can be
                // told to be what it is; but not half a part.
                Ok(content) if content.len() == small || reply.status != 206 => {
                    let extent = Extent { first: 0, length: content.len() as u64 };
                    Body::Shared { content: SharedBytes::from(content).send(&FILES), extent }
                }
                Ok(_) => return Reply::plain(500),
                Err(error) => {
                    let line = head.line.escape_ascii();
                    tracing::error!("cannot read a file: {error}, for {line}");
                    return Reply::plain(500);
                }
            }
        }
        (Content::File(file), _) => Body::File { file: Arc::clone(file), extent },
    };
    reply
}

/// The reply that sends several parts of a file (RFC 9110, section 14.6).
fn multipart(found: &FoundFile, parts: &[Part], content_type: &[u8], mut reply: Reply) -> Reply {
    let boundary = boundary();
    let mut line_end = "";
    let mut pieces = Vec::with_capacity(parts.len());
    for &Part { first, last } in parts {
        let mut text = format!("{line_end}--{boundary}\r\nContent-Type: ").into_bytes();
        text.extend_from_slice(content_type);
        let length = found.length;
        let range = format!("\r\nContent-Range: bytes {first}-{last}/{length}\r\n\r\n");
        text.extend_from_slice(range.as_bytes());
        pieces.push((text, Extent { first, length: last - first + 1 }));
        line_end = "\r\n";
    }
    reply.status = 206;
    describe(&mut reply, found, format!("multipart/byteranges; boundary={boundary}").into());
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    let source = match &found.content {
        Content::File(file) => Source::File(Arc::clone(file)),
        Content::Memory(content) => Source::Memory(content.send(&FILES)),
    };
    reply.body = Body::Parts { source, parts: pieces, tail };
    reply
}

/// Says what the content is.
fn describe(reply: &mut Reply, found: &FoundFile, content_type: Vec<u8>) {
    reply.fields.push(Field::new("Content-Type", content_type));
    reply.fields.push(NO_SNIFFING);
    if let Some(coding) = found.coding {
        reply.fields.push(Field::fixed("Content-Encoding", coding.name()));
    }
}

/// Text that stands between parts and, as nobody can foresee it, in none of them:
/// the keys of the standard library's hashers come from the system's randomness.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

fn content_range(part: Part, length: u64) -> Field {
    Field::new("Content-Range", format!("bytes {}-{}/{length}", part.first, part.last))
}

/// Whether a request is for a part of a file: the same form of it is then sent each time.
pub(super) fn wants_a_part(head: &Head<'_>) -> bool {
    head.method == Method::Get && head.values("range").next().is_some()
}

/// The `Range` field of a GET request, the only method for which there are ranges
/// (RFC 9110, section 14.2). One that comes twice is none.
fn range<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let mut ranges = head.values("range");
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if head.method == Method::Get => Some(range),
        _ => None,
    }
}

fn conditions(head: &Head<'_>) -> Conditions {
    Conditions {
        if_match: head.joined("if-match"),
        if_none_match: head.joined("if-none-match"),
        if_modified_since: head.joined("if-modified-since"),
        if_unmodified_since: head.joined("if-unmodified-since"),
        if_range: head.joined("if-range"),
    }
}
