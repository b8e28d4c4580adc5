//! What TLS tells of the connection that a request came by.

/// A connection that TLS secures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The version.
    pub version: TlsVersion,
    /// The name that the client asked for (`server_name`, RFC 6066, section 3), in lower case.
    pub server_name: Option<Box<str>>,
    /// The certificate of the client, if it has one that was verified.
    pub client: Option<ClientCertificate>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2 (RFC 5246)
    Tls12,
    /// 1.3 (RFC 8446)
    Tls13,
}

impl TlsVersion {
    /// All of them.
    pub const ALL: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

    /// Its name, as in `1.3`.
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        }
    }
}

/// The certificate of a client, which a certificate authority of ours issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of the certificate, 64 digits of lower-case hex.
    pub sha256: Box<str>,
    /// Its first name: a subject alternative name, or else the common name.
    pub name: Option<Box<str>>,
}
