//! `[tls]`: the certificates of a site.

use std::path::PathBuf;

use clap::Args;

/// The certificates of a site.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct CertificateSettings {
    /// A certificate, with its intermediate certificates: PEM
    ///
    /// May be given several times: a client gets the one for the name that it asks for, and the
    /// first if it asks for none. The files are read again when they change, and on SIGHUP.
    #[arg(id = "tls_certificate", long = "tls-certificate", value_name = "FILE")]
    pub certificates: Vec<PathBuf>,

    /// The private key of a certificate: PEM
    ///
    /// The first is for the first certificate, and so on. Without any, the files of the
    /// certificates hold their keys, too.
    #[arg(id = "tls_key", long = "tls-key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
}
