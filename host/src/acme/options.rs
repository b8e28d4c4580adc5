//! What certificates are ordered, and how.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What all orders of a server have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The URL of the authority's directory (RFC 8555, section 7.1.1).
    pub directory: String,
    /// Where the authority writes to about the account.
    pub email: Option<String>,
    /// The name of the account at the authority, for external account binding (section 7.3.4).
    pub eab_kid: Option<String>,
    /// The profile of certificates, such as `shortlived`.
    pub profile: Option<String>,
    /// The kind of their keys.
    pub key_type: KeyType,
    /// How names are proved, the first of them first.
    pub challenges: Vec<ChallengeKind>,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// ECDSA, on the curve that all clients know
    #[default]
    EcdsaP256,
    /// ECDSA, on a larger curve
    EcdsaP384,
    /// RSA, for clients older than 2013: a handshake costs more
    Rsa2048,
    /// RSA, larger
    Rsa4096,
}

/// How a name is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeKind {
    /// By a TLS handshake at port 443 (RFC 8737)
    #[value(name = "tls-alpn-01")]
    TlsAlpn01,
    /// By a file at port 80 (RFC 8555, section 8.3)
    #[value(name = "http-01")]
    Http01,
}

impl ChallengeKind {
    /// The port that the authority asks at.
    pub fn port(self) -> u16 {
        match self {
            ChallengeKind::TlsAlpn01 => 443,
            ChallengeKind::Http01 => 80,
        }
    }

    /// Its name, as the authority has it.
    pub fn name(self) -> &'static str {
        match self {
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
            ChallengeKind::Http01 => "http-01",
        }
    }
}
