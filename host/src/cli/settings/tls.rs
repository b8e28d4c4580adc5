//! `[tls]`: what clients must have, and what a handshake may cost.
//! [`certificates`](super::certificates) has the certificates of a site.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};

use crate::cli::values::{at_least_one, size, time};
use crate::tls;
use crate::tls::certificates::{ClientPolicy, UnknownName};

/// What clients must have, and what a handshake may cost.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsSettings {
    /// Use a certificate that the server makes, for development
    ///
    /// It is for localhost and the addresses that are listened on, and kept for the next start
    /// beside the compiled guests. Browsers warn of it: no authority has signed it.
    #[arg(long)]
    pub self_signed: bool,

    /// What a client gets that asks for a name which no certificate has
    #[arg(id = "tls_unknown_name", long = "tls-unknown-name", value_name = "WHAT", value_enum, default_value_t = UnknownName::Default, hide_short_help = true)]
    pub unknown_name: UnknownName,

    /// Authorities that issue certificates of clients: PEM [default: none]
    ///
    /// The file is read again as the certificates are.
    #[arg(
        id = "tls_client_ca",
        long = "tls-client-ca",
        value_name = "FILE",
        hide_short_help = true
    )]
    pub client_ca: Option<PathBuf>,

    /// Whether a client must have a certificate [default: required with --tls-client-ca]
    #[arg(
        id = "tls_client_auth",
        long = "tls-client-auth",
        value_name = "WHETHER",
        value_enum,
        hide_short_help = true
    )]
    pub client_auth: Option<ClientAuth>,

    /// Time from the start of a connection to the end of its TLS handshake
    ///
    /// nginx waits 60 s. A handshake is two exchanges of messages.
    #[arg(id = "tls_handshake_timeout", long = "tls-handshake-timeout", value_name = "TIME", default_value = "10s", value_parser = time::<100, 3_600_000>, hide_short_help = true)]
    pub handshake_timeout: Duration,

    /// TLS handshakes at a time
    ///
    /// For a further one that ends which has been in progress for longest, if that is more than a
    /// second. One takes up to 64 KiB.
    #[arg(id = "max_tls_handshakes", long = "max-tls-handshakes", value_name = "COUNT", default_value = "4096", value_parser = at_least_one, hide_short_help = true)]
    pub max_handshakes: NonZeroU32,

    /// Bytes that a client may send in a TLS handshake
    ///
    /// A handshake that takes more ends the connection. Most send 2 KiB, and those with a certificate of
    /// their own some more.
    #[arg(id = "max_tls_handshake_size", long = "max-tls-handshake-size", value_name = "SIZE", default_value = "64KiB", value_parser = size::<{ 4 << 10 }, { 1 << 20 }>, hide_short_help = true)]
    pub max_handshake_size: ByteSize,
}

impl TlsSettings {
    /// What a handshake may cost.
    pub fn limits(&self) -> tls::Limits {
        tls::Limits {
            handshake: self.handshake_timeout,
            handshakes: self.max_handshakes,
            handshake_bytes: usize::try_from(self.max_handshake_size.as_u64())
                .unwrap_or(usize::MAX),
        }
    }
}

/// Whether a client must have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientAuth {
    /// It is asked for none
    None,
    /// It is asked for one, and may have none
    Wanted,
    /// Without one the handshake fails
    Required,
}

impl ClientAuth {
    /// What applies to clients, if they are asked for a certificate.
    pub fn policy(self) -> Option<ClientPolicy> {
        match self {
            ClientAuth::None => None,
            ClientAuth::Wanted => Some(ClientPolicy::Wanted),
            ClientAuth::Required => Some(ClientPolicy::Required),
        }
    }
}
