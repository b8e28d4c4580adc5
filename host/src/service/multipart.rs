//! A body of several parts of a file: `multipart/byteranges` (RFC 9110, section 14.6).

use std::hash::{BuildHasher, RandomState};

use crate::files::ranges::Part;
use crate::http::ByteRange;

/// Several parts, each behind a text of its own.
pub(super) struct Multipart {
    /// The media type of the whole, with its boundary.
    pub(super) content_type: String,
    /// The texts, and the ranges behind them.
    pub(super) parts: Vec<(Vec<u8>, ByteRange)>,
    /// The text behind the last range.
    pub(super) tail: Vec<u8>,
}

impl Multipart {
    /// Of these parts of a file of this type and length.
    pub(super) fn of(parts: &[Part], content_type: &[u8], length: u64) -> Multipart {
        let boundary = boundary();
        let mut line_end = "";
        let mut pieces = Vec::with_capacity(parts.len());
        for &Part { first, last } in parts {
            let mut text = format!("{line_end}--{boundary}\r\nContent-Type: ").into_bytes();
            text.extend_from_slice(content_type);
            let range = format!("\r\nContent-Range: bytes {first}-{last}/{length}\r\n\r\n");
            text.extend_from_slice(range.as_bytes());
            pieces.push((text, ByteRange { first, length: last - first + 1 }));
            line_end = "\r\n";
        }
        Multipart {
            content_type: format!("multipart/byteranges; boundary={boundary}"),
            parts: pieces,
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
        }
    }
}

/// Text that stands between parts and, as it cannot be foreseen, in none of them:
/// the keys of the standard library's hashers come from the system's randomness.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}
