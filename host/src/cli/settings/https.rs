//! `[tls]`, beside [`tls`](super::tls): how clients are brought to `https`, and kept there.

use std::num::NonZeroU16;

use clap::Args;

use crate::cli::values::hsts;
use crate::service::Https;
use crate::service::hsts::Hsts;
use crate::service::https::{HasCertificate, Redirect};

/// How clients are brought to `https`, and kept there.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct HttpsSettings {
    /// Redirect plain requests to https
    ///
    /// With 308, to the same path and query of the host that the client asks for, if a certificate
    /// is for it. Other hosts are served. So are the challenges of certificate authorities below
    /// /.well-known/acme-challenge/, and requests of a trusted proxy that does not tell in
    /// X-Forwarded-Proto what its client uses.
    #[arg(long)]
    pub redirect_to_https: bool,

    /// The port of https that clients reach
    ///
    /// It differs from that of --listen-tls where a proxy or a firewall maps ports.
    #[arg(long, value_name = "PORT", default_value = "443", hide_short_help = true)]
    pub public_https_port: NonZeroU16,

    /// Value of Strict-Transport-Security in responses over https [default: none sent]
    ///
    /// As in max-age=31536000, the seconds for which a browser uses nothing but https for this
    /// host. Begin with few: they cannot be taken back from browsers. A host that is an address
    /// gets none.
    #[arg(long, value_name = "VALUE", value_parser = hsts, hide_short_help = true)]
    pub hsts: Option<Hsts>,
}

impl HttpsSettings {
    /// How clients are brought to `https`, where this tells the hosts that have a certificate.
    pub fn https(&self, has_certificate: Option<HasCertificate>) -> Https {
        let port = self.public_https_port.get();
        let redirect = has_certificate.filter(|_| self.redirect_to_https);
        Https {
            redirect: redirect.map(|has_certificate| Redirect { port, has_certificate }),
            hsts: self.hsts.clone(),
        }
    }
}
