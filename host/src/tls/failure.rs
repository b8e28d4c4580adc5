//! Why a handshake failed.

use std::fmt;

use crate::metrics::Handshake;

/// Why a connection was not secured.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client speaks HTTP without TLS.
    Cleartext,
    /// It was not complete in time.
    TimedOut,
    /// Another one needed its place, or there was none for it.
    TooMany,
    /// The client sent more than a handshake may have.
    TooLarge,
    /// The client left.
    Disconnected,
    /// The client asked for a name that no certificate has.
    UnrecognizedName,
    /// The client is a certificate authority that has seen what it asks for.
    Challenged,
    /// The client broke the protocol, or has nothing in common with the server, or an alert told
    /// that it has no trust in it.
    Tls(rustls::Error),
}

impl Failure {
    /// Whether the client was sent an alert about it.
    pub(crate) fn has_alert(&self) -> bool {
        matches!(self, Failure::UnrecognizedName | Failure::Challenged | Failure::Tls(_))
    }

    /// How it is counted.
    pub(crate) fn outcome(&self) -> Handshake {
        match self {
            Failure::Challenged => Handshake::Full,
            Failure::Cleartext => Handshake::Cleartext,
            Failure::TimedOut => Handshake::TimedOut,
            Failure::TooMany => Handshake::TooMany,
            Failure::Disconnected => Handshake::Disconnected,
            Failure::TooLarge | Failure::UnrecognizedName | Failure::Tls(_) => Handshake::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Cleartext => "the client speaks HTTP without TLS",
            Failure::TimedOut => "it was not complete in time",
            Failure::TooMany => "too many handshakes are in progress",
            Failure::TooLarge => "the client sent too much",
            Failure::Disconnected => "the client left",
            Failure::UnrecognizedName => "no certificate has the name that the client asks for",
            Failure::Challenged => "it was all that a certificate authority asked for",
            Failure::Tls(error) => return write!(f, "{error}"),
        })
    }
}
