//! Certificates that the server orders: what is checked before, and the process that does so.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use rustix::fs::Access;

use crate::acme::{
    ChallengeKind, Folder, FolderError, Link, Name, NameError, find_authorities, read_eab_key,
};
use crate::cli::Settings;
use crate::helper::Confinement;
use crate::helper::fetcher::Places;
use crate::helper::fetcher_keeper::start_fetcher;
use crate::http::{HostPattern, Scheme};
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

/// What is to be ordered, how it is proved, and where it is kept.
struct Plan {
    names: Vec<Name>,
    challenges: Vec<ChallengeKind>,
    state: PathBuf,
}

/// Looks whether certificates can be ordered, if they are to be. Makes nothing.
fn plan(settings: &Settings, addresses: &[Address]) -> anyhow::Result<Option<Plan>> {
    let acme = &settings.acme;
    let names = settings.acme_names();
    let has_tls = addresses.iter().any(|address| address.scheme == Scheme::Https);
    // Sites that come later may have names.
    if names.is_empty() && !(has_tls && settings.orders_certificates()) {
        return Ok(None);
    }
    accept_terms(settings)?;
    let challenges = challenges(settings, addresses)?;
    if let Some(path) = &acme.eab_key_file {
        read_eab_key(path).map_err(|error| anyhow!("--acme-eab-key-file: {error}"))?;
    }
    if let Some(path) = &acme.ca_file {
        find_authorities(path).with_context(|| format!("--acme-ca-file {}", path.display()))?;
    }
    let path = settings.acme_directory().context(
        "certificates are kept in a directory, and there is no home directory: name one with \
         --acme-state",
    )?;
    Ok(Some(Plan { names, challenges, state: std::path::absolute(&path)? }))
}

/// What is told where the directory cannot be used: the cause has its own advice if it is no error of
/// the system.
fn unusable(path: &Path, advice: &str) -> String {
    format!("cannot keep certificates in {} (--acme-state){advice}", path.display())
}

/// What helps where the system refuses to write.
const WRITABLE: &str = ": let the server's user write there, or name another directory";

/// Looks whether certificates can be ordered, if they are to be, and makes their directory.
pub(super) fn prepare(
    settings: &Settings,
    addresses: &[Address],
) -> anyhow::Result<Option<Prepared>> {
    let Some(Plan { names, challenges, state }) = plan(settings, addresses)? else {
        return Ok(None);
    };
    let folder = Folder::open(&state).map_err(|error| {
        let is_refused = matches!(&error, FolderError::Io(error)
            if error.kind() != std::io::ErrorKind::AlreadyExists);
        let advice = match (is_refused, state.is_dir()) {
            (true, _) => WRITABLE,
            (false, true) => "",
            (false, false) => ": it is no directory, move it away",
        };
        anyhow!(error).context(unusable(&state, advice))
    })?;
    let directory = settings.acme.directory();
    tracing::info!(directory, "certificates are ordered, the authority's terms are accepted");
    Ok(Some(Prepared { folder, names, challenges }))
}

/// Tells of the certificates that would be ordered, a line for each fact, and makes nothing.
pub(super) fn check(settings: &Settings, addresses: &[Address]) -> anyhow::Result<Vec<String>> {
    let Some(Plan { names, challenges, state }) = plan(settings, addresses)? else {
        return Ok(Vec::new());
    };
    // Where the user is changed root makes it.
    if state.exists() || settings.account().is_none() {
        is_writable(&state).with_context(|| unusable(&state, WRITABLE))?;
    }
    let names: Vec<_> = names.iter().map(Name::as_str).collect();
    let kinds: Vec<_> = challenges.iter().map(|kind| kind.name()).collect();
    let mut lines = vec![
        format!("{} of {}", names.join(", "), settings.acme.directory()),
        format!("proved by {}, kept in {}", kinds.join(" and "), state.display()),
    ];
    let without = settings.sites.iter().filter(|site| site.tls.certificates.is_empty());
    for host in without.flat_map(|site| &site.identity.hosts) {
        if let HostPattern::Wildcard(_) = host {
            lines.push(format!("warning: {host}: {}", NameError::Wildcard));
        }
    }
    Ok(lines)
}

/// Whether this user can write to a directory, or make it.
fn is_writable(path: &Path) -> std::io::Result<()> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    if !there.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    Ok(rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Refuses to order without the terms of the authority.
pub(super) fn accept_terms(settings: &Settings) -> anyhow::Result<()> {
    match settings.acme.accept_terms {
        true => Ok(()),
        false => bail!(
            "--acme orders certificates of {}: accept its terms with --acme-accept-terms (accept-terms \
             = true in [acme]); begin with --acme-staging",
            settings.acme.directory()
        ),
    }
}

/// Starts the process that orders, with its state in this folder; what proves names is in the shared
/// one, if there is one.
pub(super) fn start(
    settings: &Settings,
    state: &Path,
    shared: Option<PathBuf>,
    confinement: Confinement,
) -> anyhow::Result<OwnedFd> {
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    let places = Places {
        state: state.to_owned(),
        challenges: shared,
        ca_file: absolute(&settings.acme.ca_file)?,
        eab_key_file: absolute(&settings.acme.eab_key_file)?,
    };
    start_fetcher(&places, confinement).context(
        "cannot start the process that orders certificates: this program must be able to run \
         itself again, by /proc/self/exe",
    )
}

/// How names are proved: in each way that there is a listener for.
pub(super) fn challenges(
    settings: &Settings,
    addresses: &[Address],
) -> anyhow::Result<Vec<ChallengeKind>> {
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
        start(settings, self.folder.path(), None, confinement)
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
