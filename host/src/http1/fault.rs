//! Why a request is refused before it is read to its end.

use std::fmt;

/// Why a head is refused. Each has a status and a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
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
    /// A target of the scheme `https`, on a connection that is not secured.
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

impl Fault {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Fault::LongLine => 414,
            Fault::Misdirected => 421,
            Fault::LargeHead | Fault::ManyFields => 431,
            Fault::TransferCoding => 501,
            Fault::Version => 505,
            Fault::Expectation => 417,
            _ => 400,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::BareLf => "a line ends in LF without CR",
            Fault::NotHttp => "this is not an HTTP/1.1 request; TLS is not spoken here",
            Fault::EmptyLines => "too many empty lines before the request line",
            Fault::LongLine => "the request line is too long",
            Fault::LargeHead => "the request head is too large",
            Fault::ManyFields => "too many header fields",
            Fault::Line => "the request line is malformed",
            Fault::Version => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Fault::Field => "a header field is malformed",
            Fault::HostMissing => "the Host field is missing",
            Fault::HostTwice => "the Host field is there twice",
            Fault::HostMalformed => "the Host field is malformed",
            Fault::Authority => "the host in the request target is malformed",
            Fault::Misdirected => "https is not spoken here",
            Fault::ContentLength => "the Content-Length field is malformed or there twice",
            Fault::Ambiguous => "the length of the body is ambiguous",
            Fault::TransferCoding => "the only transfer coding spoken here is chunked",
            Fault::Expectation => "the only expectation met here is 100-continue",
        })
    }
}
