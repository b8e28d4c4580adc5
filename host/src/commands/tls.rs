//! What secures the connections of a server: the certificates that the settings name, or the one
//! that it makes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::settings::tls::ClientAuth;
use crate::cli::{Settings, SiteSettings};
use crate::http::Scheme;
use crate::service::Https;
use crate::service::https::HasCertificate;
use crate::tls::certificates::{ClientAuthorities, ClientPolicy, Options, Pair, PairFiles, Store};
use crate::tls::challenge::FindChallenge;
use crate::tls::{self, Config, SelfSigned};
use crate::transport::Address;

/// Loads the certificates of a server that listens at these addresses. One that it makes is kept
/// among the compiled guests.
pub(super) fn load(
    settings: &Settings,
    addresses: &[Address],
    code_cache: Option<&Path>,
    awaited: Vec<PairFiles>,
) -> anyhow::Result<Arc<Store>> {
    let mut options = options(settings)?;
    options.awaited.extend(awaited);
    if settings.tls.self_signed {
        options.pairs = vec![self_signed(addresses, code_cache)?.make()?];
    }
    Ok(Arc::new(Store::load(options)?))
}

/// The certificate that the server makes.
pub(super) fn self_signed(
    addresses: &[Address],
    code_cache: Option<&Path>,
) -> anyhow::Result<SelfSigned> {
    let directory = code_cache.context(
        "the certificate of --self-signed is kept in the directory of compiled guests, and there \
         is none: name one with --code-cache",
    )?;
    let secured = addresses.iter().filter(|address| address.scheme == Scheme::Https);
    Ok(SelfSigned::new(directory, secured.map(|address| address.socket.ip())))
}

/// Tells of the certificate that the server made, so that a client can be told to trust it.
pub(super) fn announce_self_signed(store: &Store) {
    for pair in store.pairs() {
        let digits = pair.leaf.fingerprint_hex().to_ascii_uppercase();
        let bytes = digits.as_bytes().chunks(2).map(String::from_utf8_lossy);
        let sha256 = bytes.collect::<Vec<_>>().join(":");
        let names: Vec<_> = pair.leaf.names.iter().map(ToString::to_string).collect();
        let (names, path) = (names.join(", "), pair.files.certificate.display());
        tracing::info!(names, sha256, %path, "self-signed certificate");
    }
}

/// Secures connections with these certificates.
pub(super) fn server(
    settings: &Settings,
    store: Arc<Store>,
    workers: usize,
    challenges: Option<FindChallenge>,
) -> anyhow::Result<tls::Server> {
    let config = Config::new(store, !settings.http2.disabled).context("cannot use TLS")?;
    Ok(tls::Server::new(config, settings.tls.limits(), workers).proving(challenges))
}

/// How clients are brought to `https`: to hosts that these certificates are for.
pub(super) fn https(site: &SiteSettings, certificates: Option<&Arc<Store>>) -> Https {
    site.https.https(certificates.cloned().map(|store| {
        let has_certificate: HasCertificate = Box::new(move |host| store.has_name(host));
        has_certificate
    }))
}

/// Which files there are, and what applies to them.
pub(super) fn options(settings: &Settings) -> anyhow::Result<Options> {
    let (pairs, awaited) = of_sites(settings)?;
    Ok(Options {
        pairs,
        awaited,
        unknown_name: settings.tls.unknown_name,
        client_authorities: client_authorities(settings)?,
    })
}

/// The certificates of all sites, each once: those that must be there, and those that are awaited, where
/// a site without its own keeps no other from being served.
pub(super) fn of_sites(settings: &Settings) -> anyhow::Result<(Vec<PairFiles>, Vec<PairFiles>)> {
    let mut sites = settings.sites();
    // A client that asks for no name gets the first.
    sites.sort_by_key(|site| !site.identity.is_default);
    let (mut serving, mut awaited): (Vec<PairFiles>, Vec<PairFiles>) = Default::default();
    let mut seen = HashSet::new();
    for site in sites {
        let pairs = match pairs(settings, site) {
            Ok(pairs) => pairs,
            Err(error) if settings.is_strict() => return Err(of(site, error)),
            // It is not served, and told of.
            Err(_) => continue,
        };
        // Sites may share one.
        let pairs = pairs.into_iter().filter(|files| seen.insert(files.clone()));
        if settings.is_strict() { serving.extend(pairs) } else { awaited.extend(pairs) }
    }
    Ok((serving, awaited))
}

/// What the certificates of sites are held against.
pub(super) struct Fitness {
    /// The files of those that serve.
    serving: HashSet<PairFiles>,
    /// Until when others are waited for, which are being replaced: all of them together.
    end: Instant,
}

impl Fitness {
    /// Held against those that serve, with this patience for others.
    pub(super) fn beside(store: &Store, patience: Duration) -> Fitness {
        Fitness { serving: store.serving(), end: Instant::now() + patience }
    }

    /// Whether the certificates of a site serve, or could.
    pub(super) fn check(&self, settings: &Settings, site: &SiteSettings) -> anyhow::Result<()> {
        let pairs = pairs(settings, site)?;
        let mut others = pairs.iter().filter(|files| !self.serving.contains(files));
        others.try_for_each(|files| Ok(Pair::load_until(self.end, files).map(drop)?))
    }
}

/// An error, and whose it is where there are several sites.
pub(super) fn of(site: &SiteSettings, error: anyhow::Error) -> anyhow::Error {
    match site.identity.name.as_str() {
        "" => error,
        name => error.context(format!("site {name}")),
    }
}

/// The certificates of a site, each with its key.
pub(super) fn pairs(settings: &Settings, site: &SiteSettings) -> anyhow::Result<Vec<PairFiles>> {
    let (certificates, keys) = (&site.tls.certificates, &site.tls.keys);
    let key = |number: usize| keys.get(number).cloned();
    for (paths, setting) in [(certificates, "--tls-certificate"), (keys, "--tls-key")] {
        // All that is said of a file later on shows its path.
        if paths.iter().any(|path| path.to_string_lossy().contains("-----BEGIN")) {
            bail!("{setting} is to be the path of a file, and not what the file holds");
        }
    }
    match (certificates.len(), keys.len()) {
        (0, 0) => {}
        _ if settings.tls.self_signed => bail!(
            "--self-signed and {} are both set; leave one out",
            if certificates.is_empty() { "--tls-key" } else { "--tls-certificate" }
        ),
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
pub(super) fn client_authorities(settings: &Settings) -> anyhow::Result<Option<ClientAuthorities>> {
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
