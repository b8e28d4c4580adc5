//! A file becomes a reply: with its validators, under the request's conditions,
//! and as much of it as is wanted.

use std::hash::{BuildHasher, RandomState};

use super::head::{Head, Method};
use crate::clock;
use crate::reply::{Body, Extent, Field, NO_SNIFFING, Reply};
use crate::site::conditions::{Conditions, Verdict};
use crate::site::ranges::{Part, Wanted};
use crate::site::{Content, SiteFile, read};

/// Up to this many bytes of a file are read into memory and sent in one system
/// call together with the head. More go from the page cache to the socket without
/// a copy.
const SMALL_BYTES: u64 = 32 << 10;

/// The reply that sends a file with this status, and with this media type if its
/// name does not tell it. The error is a reply in our own words: the file is not
/// what the client wants, or cannot be read.
///
/// Conditions and ranges are those of status 200 alone: a page that explains an
/// error is not what the client has a version of (RFC 9110, sections 13.2.1 and
/// 14.2).
pub(super) async fn reply(
    found: SiteFile,
    status: u16,
    own_type: Option<&[u8]>,
    head: &Head<'_>,
) -> Result<Reply, Reply> {
    let content_type = match own_type {
        Some(own) => own.to_vec(),
        None => found.media_type.field_value().into_bytes(),
    };
    let mut reply = Reply { status, fields: Vec::with_capacity(8), body: Body::Empty };
    if found.media_type.is_compressible() {
        // Also where there is no sibling yet, or none that this client accepts:
        // another client may get one.
        reply.fields.push(Field::fixed("Vary", "Accept-Encoding"));
    }
    let mut extent = Extent { first: 0, length: found.length };
    if status == 200 {
        if let Some(value) = &found.cache_control {
            reply.fields.push(Field::new("Cache-Control", value.as_str()));
        }
        if let Some(tag) = found.validators.tag {
            reply.fields.push(Field::new("ETag", tag.to_string()));
        }
        if let Some(modified) = found.validators.modified {
            reply.fields.push(Field::new("Last-Modified", clock::format_http_date(modified)));
        }
        let conditions = conditions(head);
        match conditions.evaluate(&found.validators) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Ok(Reply { status: 304, ..reply }),
            Verdict::Failed => return Err(Reply::plain(412)),
        }
        let wanted = match range(head) {
            Some(range) if conditions.allow_range(&found.validators) => {
                Wanted::of(range, found.length)
            }
            _ => Wanted::Whole,
        };
        match wanted {
            Wanted::Whole => reply.fields.push(Field::fixed("Accept-Ranges", "bytes")),
            Wanted::Part(part) => {
                reply.status = 206;
                reply.fields.push(content_range(part, found.length));
                extent = Extent { first: part.first, length: part.length() };
            }
            Wanted::Parts(parts) => return Ok(multipart(found, &parts, &content_type, reply)),
            Wanted::Nothing => {
                let unsatisfied = format!("bytes */{}", found.length);
                return Err(Reply::plain(416).with(Field::new("Content-Range", unsatisfied)));
            }
        }
    }
    describe(&mut reply, &found, content_type);
    let small = usize::try_from(extent.length).ok().filter(|_| extent.length <= SMALL_BYTES);
    reply.body = match (found.content, small) {
        (Content::Memory(content), _) => Body::Bytes(piece(&content, extent).to_vec()),
        (Content::File(file), Some(small)) if head.method == Method::Get => {
            match read(file, extent.first, small).await {
                Ok(content) if content.len() == small => Body::Bytes(content),
                // It became shorter a moment ago. Nothing is sent yet, so the
                // answer can be told to be what it is; but not half a part.
                Ok(content) if reply.status != 206 => Body::Bytes(content),
                Ok(_) => return Err(Reply::plain(500)),
                Err(error) => {
                    tracing::error!("cannot read a file: {error}");
                    return Err(Reply::plain(500));
                }
            }
        }
        (Content::File(file), _) => Body::File { file, extent },
    };
    Ok(reply)
}

/// The reply that sends several parts of a file (RFC 9110, section 14.6).
fn multipart(found: SiteFile, parts: &[Part], content_type: &[u8], mut reply: Reply) -> Reply {
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
    describe(&mut reply, &found, format!("multipart/byteranges; boundary={boundary}").into());
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    reply.body = match found.content {
        Content::File(file) => Body::Parts { file, parts: pieces, tail },
        Content::Memory(content) => {
            let mut body = Vec::new();
            for (text, extent) in pieces {
                body.extend_from_slice(&text);
                body.extend_from_slice(piece(&content, extent));
            }
            body.extend_from_slice(&tail);
            Body::Bytes(body)
        }
    };
    reply
}

/// Some bytes of content in memory, inside which they lie.
fn piece(content: &[u8], extent: Extent) -> &[u8] {
    let index = |at: u64| usize::try_from(at).expect("content in memory is that large");
    &content[index(extent.first)..index(extent.first + extent.length)]
}

/// Says what the content is.
fn describe(reply: &mut Reply, found: &SiteFile, content_type: Vec<u8>) {
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
