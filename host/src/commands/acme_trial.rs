//! `innkeeper acme --dry-run`: whether an authority would have certificates for the names of a
//! server. It orders of the authority for trying, proves each name in each way, and keeps nothing.
//!
//! Where a server runs already it has the ports: then what proves a name is put in the folder of
//! its state, and it answers for the names that it orders itself.

use std::fs::{self, DirBuilder};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use super::acme::{accept_terms, challenges, http_challenges, start, tls_challenges};
use super::listeners::Listeners;
use super::port_holder;
use super::stdout::print;
use super::tls;
use crate::acme::protocol::Status;
use crate::acme::{ChallengeKind, Folder, Link, Name};
use crate::cli::Settings;
use crate::cli::settings::acme::AcmeSettings;
use crate::helper::Confinement;
use crate::http::Scheme;
use crate::http1::Http1;
use crate::server::connection::Wires;
use crate::server::{Running, Server};
use crate::service::site::Outside;
use crate::service::{Service, Sites};
use crate::tls::certificates::{Options, Store};
use crate::transport::endpoint::Bound;
use crate::transport::listener::try_bind;
use crate::transport::{ListenAddress, SendScheduler};
use crate::unprivileged::{self, Account};

/// How long nothing may happen. An attempt has bounds of its own, which are shorter.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether something has.
const LOOK: Duration = Duration::from_millis(100);

/// Tries. Succeeds if each name is proved in one way at least.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let names = settings.acme_names();
    if names.is_empty() {
        bail!(
            "no certificate is ordered with these settings: name a site, as in innkeeper acme \
             --dry-run example.org, or the file of a server by --config"
        );
    }
    accept_terms(settings)?;
    let listeners = Listeners::find(settings)?;
    let addresses = listeners.addresses();
    let kinds = challenges(settings, &addresses)?;
    let is_staging = settings.acme.directory.is_none();
    let acme = AcmeSettings { staging: is_staging, ..settings.acme.clone() };
    let settings = Settings { acme, ..settings.clone() };
    print(format_args!("{:<12} {}\n", "authority", settings.acme.directory()))?;
    let taken = taken(&listeners);
    // Addresses first: another user may not bind them.
    let (server, shared) = match taken.as_slice() {
        [] => (Some(listeners.open(&settings, NonZeroUsize::MIN)?), None),
        taken => (None, Some(state_of_server(&settings, taken)?)),
    };
    match (settings.account(), &shared) {
        (Some(account), _) => account.assume()?,
        (None, Some(state)) => of_owner(state)?,
        (None, None) => {}
    }
    let place = Place::make()?;
    let mut trials = Vec::new();
    for kind in kinds {
        trials.push(Trial::start(&settings, &place, shared.as_deref(), kind, &names)?);
    }
    let _running = server.map(|server| answer(&settings, server, &trials, &place)).transpose()?;
    let proved = report(&mut trials, &names)?;
    let (all, count) = (names.len(), proved.len());
    print(format_args!("\n{count} of {all} proved\n"))?;
    Ok(if all == count { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The addresses and paths that are in use.
fn taken(listeners: &Listeners) -> Vec<String> {
    let Listeners::Set(addresses, paths) = listeners else { return Vec::new() };
    let is_in_use = |outcome: io::Result<()>| {
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    let of_addresses = addresses.iter().filter(|address| is_in_use(try_bind(address.socket)));
    let of_addresses = of_addresses.map(|address| match port_holder::find(address.socket.port()) {
        Some(holder) => format!("{address} is taken by {holder}"),
        None => format!("{address} is taken"),
    });
    let paths = paths.iter().map(|path| ListenAddress::Unix(path.clone()));
    let of_paths = paths.filter(|path| matches!(Bound::check(path), Ok(false)));
    of_addresses.chain(of_paths.map(|path| format!("{path} is taken"))).collect()
}

/// The folder of the server that has taken these addresses, where it looks for what proves a name.
fn state_of_server(settings: &Settings, taken: &[String]) -> anyhow::Result<PathBuf> {
    for line in taken {
        print(format_args!("{:<12} {line}\n", "listen"))?;
    }
    let state = settings.acme_directory().map(std::path::absolute).transpose()?;
    let state = state.filter(|state| Folder::at(state).challenges().is_dir());
    let state = state.with_context(|| {
        format!(
            "{}: if that is innkeeper with these names, name its state by --acme-state, and it \
             answers the authority; else stop it for the time of the trial",
            taken.first().map_or("a port is taken", String::as_str)
        )
    })?;
    print(format_args!("{:<12} that server answers, by {}\n", "challenges", state.display()))?;
    Ok(state)
}

/// As root: becomes the user of that server, who has to read what is written.
fn of_owner(state: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(state).with_context(|| state.display().to_string())?;
    if !unprivileged::is_root() {
        return Ok(());
    }
    let (user, group) = (metadata.uid(), metadata.gid());
    let owner = Account { name: user.to_string(), user, group, groups: vec![group] };
    Ok(owner.assume()?)
}

/// A folder that is removed at the end.
struct Place(PathBuf);

impl Place {
    fn make() -> anyhow::Result<Place> {
        let bytes = crate::random::bytes::<8>().context("there are no random numbers")?;
        let name = format!("innkeeper-acme-{:016x}", u64::from_le_bytes(bytes));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).with_context(|| path.display().to_string())?;
        Ok(Place(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left is for this user alone. A link is removed, and not what it leads to.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All names, in one way, with an account of its own: what was proved in another way counts on for
/// an account.
struct Trial {
    kind: ChallengeKind,
    link: Arc<Link>,
    /// Names that are not told of yet.
    awaited: Vec<Name>,
}

impl Trial {
    fn start(
        settings: &Settings,
        place: &Place,
        shared: Option<&Path>,
        kind: ChallengeKind,
        names: &[Name],
    ) -> anyhow::Result<Trial> {
        let path = place.0.join(kind.name());
        let folder = Folder::open(&path).with_context(|| path.display().to_string())?;
        let shared = shared.map(Folder::at);
        let linked = shared.as_ref().map_or(Ok(()), |shared| folder.prove_in(shared));
        linked.with_context(|| path.display().to_string())?;
        let shared = shared.map(|shared| shared.challenges());
        let confinement =
            if settings.sandbox.disabled { Confinement::None } else { Confinement::Sandbox };
        let socket = start(settings, folder.path(), shared, confinement)?;
        let link = Link::start(socket, settings.acme.options(vec![kind]), names.to_vec());
        let link = link.context("cannot start the thread that listens to the fetcher")?;
        Ok(Trial { kind, link, awaited: names.to_vec() })
    }
}

/// Answers what authorities ask at these addresses, and nothing else.
fn answer(
    settings: &Settings,
    server: Server,
    trials: &[Trial],
    place: &Place,
) -> anyhow::Result<Running> {
    let link = |kind| trials.iter().find(|trial| trial.kind == kind).map(|trial| &trial.link);
    let sites = Sites::several(&[], Outside::default(), NonZeroUsize::MIN, None)
        .map_err(|conflict| anyhow!("{conflict:?}"))?;
    let service = Arc::new(Service {
        clients: settings.clients(),
        challenges: http_challenges(link(ChallengeKind::Http01)),
        ..Service::with(sites)
    });
    let has_tls = server.addresses().iter().any(|address| address.scheme == Scheme::Https);
    let options = Options {
        pairs: Vec::new(),
        awaited: vec![Folder::at(&place.0).files(&trials[0].awaited[0])],
        unknown_name: settings.tls.unknown_name,
        client_authorities: None,
    };
    let secure = || {
        let store = Arc::new(Store::load(options)?);
        tls::server(settings, store, 1, tls_challenges(link(ChallengeKind::TlsAlpn01)))
    };
    let wires = Arc::new(Wires {
        service,
        scheduler: SendScheduler::new(1),
        limits: settings.limits.transport(),
        http1: Http1 { limits: settings.limits.http1(), print_heads: settings.log.verbose },
        http2: settings.http2(),
        tls: has_tls.then(secure).transpose()?,
    });
    server.start(&wires)
}

/// Tells what became of each name as it is known. Returns those that are proved.
fn report(trials: &mut [Trial], names: &[Name]) -> anyhow::Result<Vec<Name>> {
    let width = names.iter().map(|name| name.as_str().len()).max().unwrap_or_default();
    let mut proved = Vec::new();
    let mut last = Instant::now();
    while trials.iter().any(|trial| !trial.awaited.is_empty()) {
        if last.elapsed() > PATIENCE {
            bail!("nothing was heard of the process that orders certificates for ten minutes");
        }
        std::thread::sleep(LOOK);
        for trial in &mut *trials {
            for status in trial.link.status() {
                let at = trial.awaited.iter().position(|name| *name == status.name);
                let (Some(at), Some(line)) = (at, outcome(&status)) else { continue };
                let name = trial.awaited.remove(at);
                let kind = trial.kind.name();
                print(format_args!("{:<width$} {kind:<12} {line}\n", name.as_str()))?;
                if status.error.is_none() && !proved.contains(&name) {
                    proved.push(name);
                }
                last = Instant::now();
            }
        }
    }
    Ok(proved)
}

/// What became of a name, once that is known.
fn outcome(status: &Status) -> Option<String> {
    match (&status.error, status.expires) {
        (Some(error), _) if !status.is_ordering => {
            Some(format!("not proved: {}: {}; {}", error.code, error.detail, error.advice))
        }
        (None, Some(_)) => Some("proved".to_owned()),
        _ => None,
    }
}
