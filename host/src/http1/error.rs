//! Why the head of a request is refused.

use std::fmt;

use crate::http::Fault;

/// Why a head is refused. Each has a status and a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// For what no version of HTTP takes.
    Request(Fault),
    /// A line ends in LF without CR.
    BareLf,
    /// The first byte begins no method; it may be TLS.
    NotHttp,
    /// More empty lines than allowed before the request line.
    EmptyLines,
    /// The line is not `method SP target SP HTTP/d.d`.
    Line,
    /// The version is not HTTP/1.x.
    Version,
    /// A field line is malformed: a space before the colon, a folded value, a
    /// control character, no colon.
    Field,
    /// `Transfer-Encoding` together with `Content-Length`, or in HTTP/1.0, or twice,
    /// or with `chunked` twice.
    Ambiguous,
    /// `Transfer-Encoding` that is not `chunked` and nothing else.
    TransferCoding,
}

impl HeadError {
    /// The status of the response.
    pub fn status(self) -> u16 {
        match self {
            HeadError::Request(fault) => fault.status(),
            HeadError::TransferCoding => 501,
            HeadError::Version => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::Request(fault) => fault.why(),
            HeadError::BareLf => "a line ends in LF without CR",
            HeadError::NotHttp => "this is not an HTTP/1.1 request; TLS is not spoken here",
            HeadError::EmptyLines => "too many empty lines before the request line",
            HeadError::Line => "the request line is malformed",
            HeadError::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            HeadError::Field => "a header field is malformed",
            HeadError::Ambiguous => "the length of the body is ambiguous",
            HeadError::TransferCoding => "the only transfer coding spoken here is chunked",
        })
    }
}

impl From<Fault> for HeadError {
    fn from(fault: Fault) -> HeadError {
        HeadError::Request(fault)
    }
}
