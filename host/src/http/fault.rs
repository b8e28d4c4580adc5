//! Why a request is refused, whatever the version of HTTP.

use std::fmt;

use super::Request;
use super::host::is_host;
use super::request::{Version, list};

/// Why a request is refused. Each has a status and a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request line is longer than allowed.
    LongLine,
    /// The head is larger than allowed.
    LargeHead,
    /// More fields than allowed.
    ManyFields,
    /// No `Host`, and no authority in the target.
    HostMissing,
    /// `Host` twice.
    HostTwice,
    /// `Host` that is no host with an optional port.
    HostMalformed,
    /// `Host` that names another host than `:authority` does.
    HostDiffers,
    /// An authority in the target that is no host with an optional port.
    Authority,
    /// A target of another scheme than the connection's.
    Misdirected,
    /// A target of a scheme that is neither `http` nor `https`.
    Scheme,
    /// `Content-Length` twice, or no plain number.
    ContentLength,
    /// The body is larger than allowed.
    LargeBody,
    /// The body did not arrive in time.
    LateBody,
    /// `Expect` with anything but `100-continue`.
    Expectation,
}

impl Fault {
    /// The status of the response.
    pub fn status(self) -> u16 {
        match self {
            Fault::LateBody => 408,
            Fault::LargeBody => 413,
            Fault::LongLine => 414,
            Fault::Misdirected => 421,
            Fault::LargeHead | Fault::ManyFields => 431,
            Fault::Expectation => 417,
            _ => 400,
        }
    }

    /// What the client is told.
    pub fn why(self) -> &'static str {
        match self {
            Fault::LongLine => "the request line is too long",
            Fault::LargeHead => "the request head is too large",
            Fault::ManyFields => "too many header fields",
            Fault::HostMissing => "the Host field is missing",
            Fault::HostTwice => "the Host field is there twice",
            Fault::HostMalformed => "the Host field is malformed",
            Fault::HostDiffers => "the Host field and :authority name different hosts",
            Fault::Authority => "the host in the request target is malformed",
            Fault::Misdirected => "the scheme of the request target is not spoken here",
            Fault::Scheme => "the scheme is neither http nor https",
            Fault::ContentLength => "the Content-Length field is malformed or there twice",
            Fault::LargeBody => "the request body is too large",
            Fault::LateBody => "the request body did not arrive in time",
            Fault::Expectation => "the only expectation met here is 100-continue",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

/// Checks `Host`: a request has one (RFC 9112, section 3.2), unless its version is old, or it names
/// the authority elsewhere (RFC 9113, section 8.3.1).
pub fn check_host(request: &Request<'_>) -> Result<(), Fault> {
    let mut hosts = request.values("host");
    let is_optional = match request.version {
        Version::Http10 => true,
        Version::Http11 => false,
        Version::Http2 | Version::Http3 => request.authority.is_some(),
    };
    match (hosts.next(), hosts.next()) {
        (None, _) if is_optional => Ok(()),
        (None, _) => Err(Fault::HostMissing),
        (Some(_), Some(_)) => Err(Fault::HostTwice),
        (Some(host), None) if is_host(host) => Ok(()),
        (Some(_), None) => Err(Fault::HostMalformed),
    }
}

/// Whether the client waits for a word before it sends its body (RFC 9110, section 10.1.1). An
/// expectation of a client of HTTP/1.0 is ignored.
pub fn read_expectation(request: &Request<'_>) -> Result<bool, Fault> {
    let mut expects = false;
    for expectation in request.values("expect").flat_map(list) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::Expectation);
        }
        expects = true;
    }
    Ok(expects && request.version > Version::Http10)
}
