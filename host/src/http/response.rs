//! A response, before a wire sends it.

use super::status::reason;
use super::{Body, Field, Fields};

/// A response, with content in files `F` or in memory `M`.
#[derive(Debug)]
pub struct Response<F, M> {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Fields other than those that each wire writes itself: `Connection`, `Content-Length`,
    /// `Date` and `Server`.
    pub fields: Fields,
    /// The body.
    pub body: Body<F, M>,
    /// Whether the connection is to end behind it: HTTP/1 closes it, HTTP/2 sends GOAWAY.
    pub close: bool,
}

/// `Content-Type` of responses that the host words itself.
pub const PLAIN_TEXT: Field = Field::fixed("Content-Type", "text/plain; charset=utf-8");

/// Tells browsers to take the media type as it is said (WHATWG Fetch, section 3.6).
pub const NO_SNIFFING: Field = Field::fixed("X-Content-Type-Options", "nosniff");

/// What a status means, in one line.
pub fn sentence(status: u16) -> &'static str {
    match status {
        // In the words of the notes that the project began with.
        404 => "File not found",
        _ => reason(status),
    }
}

impl<F, M> Response<F, M> {
    /// A response without fields and without a body.
    pub fn bare(status: u16) -> Response<F, M> {
        Response { status, fields: Fields::new(), body: Body::Empty, close: false }
    }

    /// A response that says what its status means, in one line of plain text.
    pub fn plain(status: u16) -> Response<F, M> {
        Response::text(status, sentence(status))
    }

    /// A response in one line of plain text.
    pub fn text(status: u16, text: &str) -> Response<F, M> {
        Response {
            fields: vec![PLAIN_TEXT, NO_SNIFFING].into(),
            body: Body::Bytes(format!("{text}\n").into_bytes()),
            ..Response::bare(status)
        }
    }

    /// The length that the response tells of itself (RFC 9110, section 8.6): 1xx and 204 have
    /// none, and 304 would tell that of another response. A response to HEAD tells that of GET.
    pub fn content_length(&self) -> Option<u64> {
        (!matches!(self.status, 100..=199 | 204 | 304)).then(|| self.body.length())
    }

    /// Adds a field.
    pub fn with(mut self, field: Field) -> Response<F, M> {
        self.fields.push(field);
        self
    }
}
