//! Answers: status, fields and body become bytes on the wire.
//!
//! - [`head`]: the status line and the fields, which the host frames alone.
//! - [`body`]: what follows them, and how it is sent.

pub mod body;
pub mod head;

use std::borrow::Cow;
use std::sync::Arc;

pub use body::{Body, Extent, Source};
pub use head::Persistence;

use crate::http::status::reason;

/// An answer, before it is sent.
#[derive(Debug)]
pub struct Reply {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Fields other than those that [`head::write`] adds: `Connection`,
    /// `Content-Length`, `Date` and `Server`.
    pub fields: Vec<Field>,
    /// More fields, as lines that are ready to be sent.
    pub prepared: Option<Arc<[u8]>>,
    /// The body.
    pub body: Body,
}

/// A header field of an answer. The name is a token and the value has no control
/// characters.
#[derive(Debug)]
pub struct Field {
    /// The name.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Cow<'static, [u8]>,
}

impl Field {
    /// A field known when the program was written.
    pub const fn fixed(name: &'static str, value: &'static str) -> Field {
        Field { name: Cow::Borrowed(name), value: Cow::Borrowed(value.as_bytes()) }
    }

    /// A field with a known name.
    pub fn new(name: &'static str, value: impl Into<Vec<u8>>) -> Field {
        Field { name: Cow::Borrowed(name), value: Cow::Owned(value.into()) }
    }
}

/// `Content-Type` of the answers that the host words itself.
pub const PLAIN_TEXT: Field = Field::fixed("Content-Type", "text/plain; charset=utf-8");

/// Tells browsers to take the media type as it is said (WHATWG Fetch, section 3.6).
pub const NO_SNIFFING: Field = Field::fixed("X-Content-Type-Options", "nosniff");

impl Reply {
    /// An answer without fields and without a body.
    pub fn bare(status: u16) -> Reply {
        Reply { status, fields: Vec::new(), prepared: None, body: Body::Empty }
    }

    /// An answer that says what its status means, in one line of plain text.
    pub fn plain(status: u16) -> Reply {
        let text = match status {
            // In the words of the notes that the project began with.
            404 => "File not found",
            _ => reason(status),
        };
        Reply::text(status, text)
    }

    /// An answer in one line of plain text.
    pub fn text(status: u16, text: &str) -> Reply {
        Reply {
            status,
            fields: vec![PLAIN_TEXT, NO_SNIFFING],
            prepared: None,
            body: Body::Bytes(format!("{text}\n").into_bytes()),
        }
    }

    /// Adds a field.
    pub fn with(mut self, field: Field) -> Reply {
        self.fields.push(field);
        self
    }
}
