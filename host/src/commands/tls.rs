//! What secures the connections of a server: the certificates that the settings name, or the one
//! that it makes.

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::cli::Settings;
use crate::cli::settings::tls::ClientAuth;
use crate::tls::certificates::{ClientAuthorities, ClientPolicy, Options, PairFiles, Store};
use crate::tls::{self, Config};

/// Loads the certificates.
pub(super) fn load(settings: &Settings) -> anyhow::Result<Arc<Store>> {
    Ok(Arc::new(Store::load(options(settings)?)?))
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

/// Which files there are, and what applies to them.
pub(super) fn options(settings: &Settings) -> anyhow::Result<Options> {
    Ok(Options {
        pairs: pairs(settings)?,
        unknown_name: settings.tls.unknown_name.into(),
        client_authorities: client_authorities(settings)?,
    })
}

/// The certificates, each with its key.
fn pairs(settings: &Settings) -> anyhow::Result<Vec<PairFiles>> {
    let (certificates, keys) = (&settings.tls.certificates, &settings.tls.keys);
    let key = |number: usize| keys.get(number).cloned();
    match (certificates.len(), keys.len()) {
        (0, 0) => bail!("--self-signed is not made yet: set --tls-certificate and --tls-key"),
        (0, _) => bail!(
            "--tls-key {} is set, and no --tls-certificate; name the certificate, too",
            keys[0].display()
        ),
        (all, given) if given != 0 && given != all => bail!(
            "--tls-certificate is set {all} times, and --tls-key {given}: the first key is for \
             the first certificate, and so on; a file that holds both is named by both"
        ),
        _ => {}
    }
    let pairs = certificates.iter().enumerate();
    let pairs = pairs.map(|(number, certificate)| PairFiles {
        certificate: certificate.clone(),
        key: key(number).filter(|key| key != certificate),
    });
    Ok(pairs.collect())
}

/// Who issues certificates of clients, if they are asked for one.
fn client_authorities(settings: &Settings) -> anyhow::Result<Option<ClientAuthorities>> {
    let auth = settings.tls.client_auth;
    let Some(file) = &settings.tls.client_ca else {
        return match auth {
            None | Some(ClientAuth::None) => Ok(None),
            Some(_) => bail!(
                "--tls-client-auth needs the authorities that issue certificates of clients: set \
                 --tls-client-ca"
            ),
        };
    };
    let policy = auth.map_or(Some(ClientPolicy::Required), ClientAuth::policy);
    Ok(policy.map(|policy| ClientAuthorities { file: file.clone(), policy }))
}
