//! Certificates that the server orders: what is checked before, and the process that does so.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use crate::acme::{ChallengeKind, Folder, Link, Name, read_eab_key};
use crate::cli::Settings;
use crate::helper::Confinement;
use crate::helper::fetcher::Places;
use crate::helper::fetcher_keeper::start_fetcher;
use crate::http::Scheme;
use crate::service;
use crate::tls;
use crate::tls::certificates::PairFiles;
use crate::transport::Address;

/// What certificates are ordered with: its folder is there.
pub(super) struct Prepared {
    pub(super) folder: Folder,
    pub(super) names: Vec<Name>,
    challenges: Vec<ChallengeKind>,
}

/// What orders certificates while a server runs.
#[derive(Clone)]
pub(super) struct Ordered {
    pub(super) link: Arc<Link>,
    folder: Folder,
}

impl Ordered {
    /// Where the certificates for these names are, or will be.
    fn files(&self, names: &[Name]) -> Vec<PairFiles> {
        names.iter().map(|name| self.folder.files(name)).collect()
    }

    /// Orders certificates for the names of these settings, and no others any more. Tells where they
    /// are, or will be.
    pub(super) fn order(&self, settings: &Settings) -> Vec<PairFiles> {
        let names = settings.acme_names();
        let files = self.files(&names);
        self.link.set_names(names);
        files
    }
}

/// Looks whether certificates can be ordered, if they are to be.
pub(super) fn prepare(
    settings: &Settings,
    addresses: &[Address],
) -> anyhow::Result<Option<Prepared>> {
    let acme = &settings.acme;
    let names = settings.acme_names();
    let has_tls = addresses.iter().any(|address| address.scheme == Scheme::Https);
    // Sites that come later may have names.
    if names.is_empty() && !(has_tls && settings.orders_certificates()) {
        return Ok(None);
    }
    if !acme.accept_terms {
        bail!(
            "--acme orders certificates of {}: accept its terms with --acme-accept-terms (accept-terms \
             = true in [acme]); begin with --acme-staging",
            acme.directory()
        );
    }
    let challenges = challenges(settings, addresses)?;
    if let Some(path) = &acme.eab_key_file {
        read_eab_key(path).map_err(|error| anyhow!("--acme-eab-key-file: {error}"))?;
    }
    if let Some(path) = &acme.ca_file {
        std::fs::metadata(path).with_context(|| format!("--acme-ca-file {}", path.display()))?;
    }
    let path = settings.acme_directory().context(
        "certificates are kept in a directory, and there is no home directory: name one with \
         --acme-state",
    )?;
    let path = std::path::absolute(&path)?;
    let folder = Folder::open(&path).with_context(|| {
        format!(
            "cannot keep certificates in {}: let the server's user write there, or name another \
             directory with --acme-state",
            path.display()
        )
    })?;
    let directory = acme.directory();
    tracing::info!(directory, "certificates are ordered, the authority's terms are accepted");
    Ok(Some(Prepared { folder, names, challenges }))
}

/// How names are proved: in each way that there is a listener for.
fn challenges(settings: &Settings, addresses: &[Address]) -> anyhow::Result<Vec<ChallengeKind>> {
    let has = |scheme| addresses.iter().any(|address| address.scheme == scheme);
    let can = |kind: &ChallengeKind| match kind {
        ChallengeKind::TlsAlpn01 => has(Scheme::Https),
        // A proxy in front of a Unix socket passes them on.
        ChallengeKind::Http01 => has(Scheme::Http) || !settings.sockets().is_empty(),
    };
    let set = &settings.acme.challenges;
    if let Some(kind) = set.iter().find(|kind| !can(kind)) {
        let (kind, flag) = match kind {
            ChallengeKind::TlsAlpn01 => ("tls-alpn-01", "--listen-tls"),
            ChallengeKind::Http01 => ("http-01", "--listen"),
        };
        bail!("--acme-challenge {kind} needs a listener that an authority can ask: set {flag}");
    }
    match set.is_empty() {
        false => Ok(set.clone()),
        true => {
            let both = [ChallengeKind::TlsAlpn01, ChallengeKind::Http01];
            Ok(both.into_iter().filter(can).collect())
        }
    }
}

impl Prepared {
    /// Where the certificates are, or will be.
    pub(super) fn files(&self) -> Vec<PairFiles> {
        self.names.iter().map(|name| self.folder.files(name)).collect()
    }

    /// Starts the process that orders: to be called before the sandbox is entered.
    pub(super) fn start(
        &self,
        settings: &Settings,
        confinement: Confinement,
    ) -> anyhow::Result<OwnedFd> {
        let absolute =
            |path: &Option<std::path::PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        let places = Places {
            state: self.folder.path().to_owned(),
            ca_file: absolute(&settings.acme.ca_file)?,
            eab_key_file: absolute(&settings.acme.eab_key_file)?,
        };
        start_fetcher(&places, confinement).context(
            "cannot start the process that orders certificates: this program must be able to run \
             itself again, by /proc/self/exe",
        )
    }

    /// Begins to tell it what to order.
    pub(super) fn attend(self, settings: &Settings, socket: OwnedFd) -> anyhow::Result<Ordered> {
        let options = settings.acme.options(self.challenges);
        let link = Link::start(socket, options, self.names);
        let link = link.context("cannot start the thread that listens to the fetcher")?;
        Ok(Ordered { link, folder: self.folder })
    }
}

/// What proves names over HTTP.
pub(super) fn http_challenges(link: Option<&Arc<Link>>) -> Option<service::FindChallenge> {
    let link = Arc::clone(link?);
    Some(Box::new(move |host, token| {
        let link = Arc::clone(&link);
        Box::pin(async move { link.http_challenge(&host, &token).await })
    }))
}

/// What proves names over TLS.
pub(super) fn tls_challenges(link: Option<&Arc<Link>>) -> Option<tls::challenge::FindChallenge> {
    let link = Arc::clone(link?);
    Some(Box::new(move |host| {
        let link = Arc::clone(&link);
        Box::pin(async move { link.tls_challenge(&host).await })
    }))
}
