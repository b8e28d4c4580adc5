//! What a server opens before it gives up the right to: the root, the logs, the sockets.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::acme;
use super::client_buckets;
use super::engine::{self, Compilation};
use super::listeners::Listeners;
use super::own_files::{beneath_roots, code_cache_is_elsewhere};
use super::sites::assemble::shared_name;
use super::sites::logs::Logs;
use super::sites::open::OpenedSite;
use super::sites::retry::look;
use super::{tls, user};
use crate::admin::access::Access;
use crate::cli::{Settings, SiteSettings};
use crate::diagnostics::context::for_site;
use crate::file_watch::Stamps;
use crate::files::{Caches, OwnFile, OwnFiles};
use crate::guest::runtime::code_cache::CodeCache;
use crate::guest::{ClientBuckets, PreparedEngine};
use crate::http::Scheme;
use crate::in_flight;
use crate::server::{self, Server};
use crate::service_manager;
use crate::tls::certificates::Store;
use crate::transport::ListenAddress;
use crate::transport::endpoint::Bound;
use crate::transport::socket_file::SocketFile;

/// All that a server needs open before it enters the sandbox.
pub(super) struct Opened {
    /// Number of worker threads. The number of cores is read from files that the sandbox puts
    /// out of reach.
    pub(super) workers: NonZeroUsize,
    /// What roots share.
    pub(super) caches: Arc<Caches>,
    /// The sites, in their order, each open or with the reason why it is not.
    pub(super) sites: Vec<anyhow::Result<OpenedSite>>,
    /// What the files that several name were like before.
    pub(super) seen: Vec<Stamps>,
    /// Their access logs.
    pub(super) logs: Logs,
    pub(super) server: Server,
    /// Files of the server that lie beneath a root, each with that root.
    pub(super) own_files: Vec<(OwnFile, PathBuf)>,
    /// The certificates, where there is a listener for TLS.
    pub(super) certificates: Option<Arc<Store>>,
    /// What certificates are ordered with, if they are.
    pub(super) acme: Option<acme::Prepared>,
    pub(super) admin: Option<BoundAdmin>,
    /// The file of its socket, if it has one.
    pub(super) admin_file: Option<SocketFile>,
    pub(super) client_buckets: ClientBuckets,
    pub(super) engine: PreparedEngine,
    pub(super) code_cache: Option<CodeCache>,
}

/// Where the administration is, and what changes there require.
pub(super) type BoundAdmin = (ListenAddress, Bound, Access);

/// Opens all that serving needs. Where the user is changed the addresses come first, and what comes
/// behind is for that user to open.
pub(super) fn open(settings: &Settings, is_dev: bool) -> anyhow::Result<Opened> {
    service_manager::find().context("cannot reach the service manager")?;
    let workers = settings.worker_count();
    let bind = || {
        let server = Listeners::find(settings)?.open(settings, workers)?;
        anyhow::Ok((server, open_admin(settings, is_dev)?))
    };
    let bound = settings.account().map(|_| bind()).transpose()?;
    let account = user::assume(settings)?;
    let opened = match bound {
        Some(bound) => open_files(settings, is_dev, || Ok(bound)),
        None => open_files(settings, is_dev, bind),
    };
    user::as_user(account, opened)
}

/// Opens all of it; `bind` gives what is bound.
fn open_files(
    settings: &Settings,
    is_dev: bool,
    bind: impl FnOnce() -> anyhow::Result<(Server, Option<BoundAdmin>)>,
) -> anyhow::Result<Opened> {
    server::raise_descriptors();
    let workers = settings.worker_count();
    let own = OwnFiles::resolve(settings.own_files());
    let own_files = beneath_roots(settings, &own);
    let caches = Caches::new(workers, settings.cache.sizes(), &in_flight::FILES);
    caches.hide(Arc::new(own));
    let mut logs = Logs::default();
    let open_site = |site: &SiteSettings| {
        for_site(shared_name(site), || OpenedSite::open(settings, site, &caches, &mut logs, is_dev))
    };
    let seen = settings.sites.iter().map(look).collect();
    let sites = settings.sites().into_iter().map(open_site).collect();
    in_flight::FILES.set_limit(settings.limits.response_file_memory.as_u64());
    in_flight::REPLIES.set_limit(settings.limits.response_reply_memory.as_u64());
    let compilation = if is_dev { Compilation::Incremental } else { Compilation::Whole };
    let engine = engine::prepare(settings.guest_limits(), workers, compilation)?;
    let client_buckets = client_buckets::open(settings.guest.client_bucket_key.as_deref())?;
    if !settings.sites.is_empty() {
        // That of what is for no site.
        logs.open(&settings.site)?;
    }
    let code_cache = open_code_cache(settings)?;
    let (mut server, admin) = bind()?;
    server.defer_accept(settings.limits.defer_accept);
    let has_tls = server.addresses().iter().any(|address| address.scheme == Scheme::Https);
    let keeping = code_cache.as_ref().map(CodeCache::path);
    let acme = acme::prepare(settings, server.addresses())?;
    let awaited = acme.as_ref().map(acme::Prepared::files).unwrap_or_default();
    let certificates = has_tls.then(|| tls::load(settings, server.addresses(), keeping, awaited));
    let certificates = certificates.transpose()?;
    let admin_file = admin.as_ref().and_then(|(address, ..)| SocketFile::of(address));
    Ok(Opened {
        workers,
        caches,
        sites,
        seen,
        own_files,
        logs,
        server,
        certificates,
        acme,
        admin,
        admin_file,
        client_buckets,
        engine,
        code_cache,
    })
}

/// Opens the directory of compiled guests. One that is set must be usable; the server does
/// without the user's own one.
fn open_code_cache(settings: &Settings) -> anyhow::Result<Option<CodeCache>> {
    let Some(directory) = settings.code_directory() else { return Ok(None) };
    code_cache_is_elsewhere(settings)?;
    match CodeCache::open(&directory) {
        Ok(cache) => Ok(Some(cache)),
        Err(problem) if settings.cache.code.is_some() => Err(anyhow!("{problem}")),
        Err(problem) => {
            tracing::warn!(error = %problem, "code cache is off, guests are compiled at each start");
            code_cache_is_elsewhere(settings)?;
            Ok(None)
        }
    }
}

/// Binds the address of the administration, and reads its token.
fn open_admin(settings: &Settings, is_dev: bool) -> anyhow::Result<Option<BoundAdmin>> {
    let any_port = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let address = match &settings.admin.listen {
        Some(address @ ListenAddress::Unix(_)) if is_dev => {
            tracing::warn!(%address, "--admin is not used, pages need a TCP address to reload");
            &any_port
        }
        Some(address) => address,
        None if is_dev => &any_port,
        None => {
            token_has_an_address(settings)?;
            return Ok(None);
        }
    };
    let access = read_access(settings, address)?;
    let bound = Bound::bind(address).context("--admin")?;
    if let (ListenAddress::Unix(path), Some(account)) = (address, settings.account()) {
        // Else the server that it is about could not be asked by its own user.
        chown(path, Some(account.user), Some(account.group)).context("--admin")?;
    }
    Ok(Some((address.clone(), bound, access)))
}

/// Refuses a token that nothing would ask for.
pub(super) fn token_has_an_address(settings: &Settings) -> anyhow::Result<()> {
    match &settings.admin.token_file {
        Some(file) if settings.admin.listen.is_none() => bail!(
            "the token in {} (--admin-token-file) is for the administration, which has no address; \
             set --admin, or leave out the token",
            file.display()
        ),
        _ => Ok(()),
    }
}

/// Reads the token that changes at this address require.
pub(super) fn read_access(settings: &Settings, address: &ListenAddress) -> anyhow::Result<Access> {
    match (&settings.admin.token_file, address) {
        (Some(file), _) => Ok(Access::read_token(file)?),
        (None, ListenAddress::Unix(_)) => Ok(Access::Open),
        (None, ListenAddress::Tcp(_)) => Ok(Access::ReadOnly),
    }
}
