//! What secures the connections of a server, as the settings have it.

use std::sync::Arc;

use anyhow::Context;

use crate::cli::Settings;
use crate::cli::settings::tls::ClientAuth;
use crate::tls::certificates::{ClientAuthorities, ClientPolicy, Options, PairFiles, Store};
use crate::tls::{self, Config};

/// Loads the certificates, if there are any.
pub(super) fn load(settings: &Settings) -> anyhow::Result<Option<Arc<Store>>> {
    let options = options(settings);
    if options.pairs.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Store::load(options)?)))
}

/// Secures connections with these certificates.
pub(super) fn server(
    settings: &Settings,
    store: Arc<Store>,
    workers: usize,
) -> anyhow::Result<tls::Server> {
    let config = Config::new(store, !settings.http2.disabled).context("cannot use TLS")?;
    Ok(tls::Server::new(config, settings.tls.limits(), workers))
}

/// The certificates, and the authorities of clients.
pub(super) fn options(settings: &Settings) -> Options {
    let tls = &settings.tls;
    let pair = |(number, certificate): (usize, &std::path::PathBuf)| PairFiles {
        certificate: certificate.clone(),
        key: tls.keys.get(number).cloned(),
    };
    let policy = tls.client_auth.map_or(Some(ClientPolicy::Required), ClientAuth::policy);
    let authorities = tls.client_ca.clone().zip(policy);
    Options {
        pairs: tls.certificates.iter().enumerate().map(pair).collect(),
        unknown_name: tls.unknown_name.into(),
        client_authorities: authorities.map(|(file, policy)| ClientAuthorities { file, policy }),
    }
}
