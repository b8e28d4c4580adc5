//! Why the head of a request is refused.

use std::fmt;

/// Why a head is refused. Each has a status and a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// A line ends in LF without CR.
    BareLf,
    /// The first byte begins no method; it may be TLS.
    NotHttp,
    /// More empty lines than allowed before the request line.
    EmptyLines,
    /// The request line is longer than allowed.
    LongLine,
    /// The head is larger than allowed.
    LargeHead,
    /// More fields than allowed.
    ManyFields,
    /// The line is not `method SP target SP HTTP/d.d`.
    Line,
    /// The version is not HTTP/1.x.
    Version,
    /// A field line is malformed: a space before the colon, a folded value, a
    /// control character, no colon.
    Field,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// `Host` twice.
    HostTwice,
    /// `Host` that is no host with an optional port.
    HostMalformed,
    /// A target in absolute-form whose authority is no host with an optional port.
    Authority,
    /// A target of the scheme `https` on a connection that is not secured, or of `http` on one
    /// that is.
    Misdirected,
    /// `Content-Length` twice, or no plain number.
    ContentLength,
    /// `Transfer-Encoding` together with `Content-Length`, or in HTTP/1.0, or twice,
    /// or with `chunked` twice.
    Ambiguous,
    /// `Transfer-Encoding` that is not `chunked` and nothing else.
    TransferCoding,
    /// `Expect` with anything but `100-continue`.
    Expectation,
}

impl HeadError {
    /// The status of the response.
    pub fn status(self) -> u16 {
        match self {
            HeadError::LongLine => 414,
            HeadError::Misdirected => 421,
            HeadError::LargeHead | HeadError::ManyFields => 431,
            HeadError::TransferCoding => 501,
            HeadError::Version => 505,
            HeadError::Expectation => 417,
            _ => 400,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::BareLf => "a line ends in LF without CR",
            HeadError::NotHttp => "this is not an HTTP/1.1 request; TLS is not spoken here",
            HeadError::EmptyLines => "too many empty lines before the request line",
            HeadError::LongLine => "the request line is too long",
            HeadError::LargeHead => "the request head is too large",
            HeadError::ManyFields => "too many header fields",
            HeadError::Line => "the request line is malformed",
            HeadError::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            HeadError::Field => "a header field is malformed",
            HeadError::HostMissing => "the Host field is missing",
            HeadError::HostTwice => "the Host field is there twice",
            HeadError::HostMalformed => "the Host field is malformed",
            HeadError::Authority => "the host in the request target is malformed",
            HeadError::Misdirected => "the scheme of the request target is not spoken here",
            HeadError::ContentLength => "the Content-Length field is malformed or there twice",
            HeadError::Ambiguous => "the length of the body is ambiguous",
            HeadError::TransferCoding => "the only transfer coding spoken here is chunked",
            HeadError::Expectation => "the only expectation met here is 100-continue",
        })
    }
}
