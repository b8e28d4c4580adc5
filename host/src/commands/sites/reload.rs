//! What SIGHUP and `POST /reload` do: the sites of the configuration, their guests and the certificates
//! are read again. Sites come, change and go while requests are in flight.
//!
//! All of a configuration is put together before any of it serves: one that has a mistake, or a site
//! that is not fit, changes nothing. A site that was broken before may stay so; it is tried again
//! when what it names changes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use tokio::sync::oneshot;

use super::assemble::{Assembled, Assembly};
use crate::acme::Link;
use crate::admin::{BrokenSite, Reload, ReloadError, Reloaded, SiteSubjects};
use crate::cli::{ConfigError, Configuration, EffectiveSetting, Settings, SiteSettings};
use crate::commands::acme::Ordered;
use crate::commands::tls;
use crate::file_watch::{LOOK, Stamps, stamps};
use crate::files::OwnFiles;
use crate::metrics::Metrics;
use crate::release::deploy::Deployer;
use crate::service::Service;
use crate::supervise;
use crate::tls::certificates::Keeper;

/// What to do where a folder is out of reach.
const SANDBOX: &str = "the sandbox reads what sites named at the start: name a folder above with \
                       allow-read in [sandbox], or restart";

/// Reads the guest of the one site again, and the certificates. Tries again what could not be ordered.
pub(in crate::commands) fn of_one(
    deployer: Arc<Deployer>,
    keeper: Option<Arc<Keeper>>,
    link: Option<Arc<Link>>,
) -> Reload {
    Arc::new(move || {
        let (deployer, keeper) = (Arc::clone(&deployer), keeper.clone());
        if let Some(link) = &link {
            link.retry();
        }
        Box::pin(async move {
            let rejected = read_again(&[(String::new(), deployer)], keeper.as_deref()).await;
            Ok(Reloaded { rejected, ..Reloaded::default() })
        })
    })
}

/// Returns the sites whose guest, rules or root were not put in service.
async fn read_again(sites: &[(String, Arc<Deployer>)], keeper: Option<&Keeper>) -> Vec<BrokenSite> {
    let certificates = async {
        if let Some(keeper) = keeper {
            keeper.reload().await;
        }
    };
    let guests = sites.iter().map(|(name, deployer)| async {
        let error = deployer.reload().await?;
        Some(BrokenSite { name: name.clone(), error })
    });
    let (rejected, ()) = tokio::join!(futures_util::future::join_all(guests), certificates);
    rejected.into_iter().flatten().collect()
}

/// Several sites that serve, and what puts others in their place.
pub(in crate::commands) struct Fleet {
    /// What sites are made with.
    pub(in crate::commands) assembly: Assembly,
    /// The settings that the process was started with, and the sites of now.
    pub(in crate::commands) settings: Settings,
    /// The former, as they are told.
    pub(in crate::commands) effective: Vec<EffectiveSetting>,
    /// Where sites serve.
    pub(in crate::commands) service: Arc<Service>,
    pub(in crate::commands) metrics: Option<Arc<Metrics>>,
    /// Where they are administered.
    pub(in crate::commands) subjects: Arc<SiteSubjects>,
    pub(in crate::commands) keeper: Option<Arc<Keeper>>,
    /// What orders certificates, if they are ordered.
    pub(in crate::commands) ordered: Option<Ordered>,
    /// Whether files are out of reach.
    pub(in crate::commands) has_sandbox: bool,
}

/// A site of now.
struct Member {
    settings: SiteSettings,
    assembled: Assembled,
    /// What the files of a broken one were like when it was tried last.
    seen: Stamps,
}

enum Command {
    Reload { done: oneshot::Sender<Result<Reloaded, ReloadError>> },
}

impl Fleet {
    /// Starts the thread that puts sites in service.
    pub(in crate::commands) fn start(self, sites: Vec<Assembled>) -> io::Result<Reload> {
        let (commands, receiver) = mpsc::channel();
        let members = self.settings.sites.iter().cloned().zip(sites);
        let members = members.map(|(settings, assembled)| Member::new(settings, assembled));
        let mut work = Work { members: members.collect(), fleet: self };
        thread::Builder::new().name("sites".to_owned()).spawn(move || {
            supervise::thread("sites", || {
                work.work(&receiver);
                Ok(())
            });
        })?;
        Ok(Arc::new(move || {
            let (done, is_done) = oneshot::channel();
            // An error means that the server is about to stop, or that the thread panicked.
            let _ = commands.send(Command::Reload { done });
            Box::pin(async move { is_done.await.unwrap_or(Err(ReloadError::Canceled)) })
        }))
    }
}

impl Member {
    fn new(settings: SiteSettings, assembled: Assembled) -> Member {
        let seen = if assembled.error.is_some() { look(&settings) } else { Stamps::new() };
        Member { settings, assembled, seen }
    }

    fn is_broken(&self) -> bool {
        self.assembled.error.is_some()
    }
}

/// What the files that a site names are like now.
fn look(site: &SiteSettings) -> Stamps {
    let rules = ["_redirects", "_headers"].map(|name| site.root.join(name));
    let all = [&site.root].into_iter().chain(&rules).chain(site.files_by_name());
    stamps(all.map(PathBuf::as_path))
}

struct Work {
    fleet: Fleet,
    members: Vec<Member>,
}

impl Work {
    fn work(&mut self, commands: &mpsc::Receiver<Command>) {
        loop {
            match commands.recv_timeout(LOOK) {
                Ok(Command::Reload { done }) => {
                    // The caller may have gone meanwhile.
                    let _ = done.send(self.reload());
                }
                Err(RecvTimeoutError::Timeout) => self.mend(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the configuration again. Logs what came of it.
    fn reload(&mut self) -> Result<Reloaded, ReloadError> {
        if let Some(ordered) = &self.fleet.ordered {
            ordered.link.retry();
        }
        let reloaded = self.replace();
        match &reloaded {
            Ok(Reloaded { added, changed, removed, restart, .. }) => {
                let list = |names: &Vec<String>| (!names.is_empty()).then(|| names.join(", "));
                let (added, changed, removed) = (list(added), list(changed), list(removed));
                tracing::info!(added, changed, removed, "configuration reloaded");
                if let Some(settings) = list(restart) {
                    tracing::warn!(settings, "settings need a restart");
                }
            }
            Err(ReloadError::Rejected(mistakes)) => {
                for error in mistakes {
                    tracing::error!(error, "configuration rejected, the one before stays");
                }
            }
            Err(ReloadError::Canceled) => {}
        }
        reloaded
    }

    fn replace(&mut self) -> Result<Reloaded, ReloadError> {
        let configuration = Configuration::of_process().map_err(|error| match error {
            ConfigError::Source(mistakes) => {
                ReloadError::Rejected(mistakes.iter().map(ToString::to_string).collect())
            }
            ConfigError::Cli(error) => ReloadError::Rejected(vec![error.to_string()]),
        })?;
        let mut reloaded = Reloaded {
            restart: configuration.differing(&self.fleet.effective),
            ..Reloaded::default()
        };
        let settings = configuration.arguments.serve;
        if settings.sites.is_empty() {
            let told = "there is no [[site]] any more: one site without it needs a restart";
            return Err(ReloadError::Rejected(vec![told.to_owned()]));
        }
        let all = Settings { sites: settings.sites.clone(), ..self.fleet.settings.clone() };
        let own = Arc::new(OwnFiles::resolve(all.own_files()));
        let caches = Arc::clone(&self.fleet.assembly.caches);
        // Those of sites that come are hidden also beneath the roots of those that stay.
        caches.hide_too(Arc::clone(&own));
        let made = self.make(&all, &mut reloaded).inspect_err(|_| {
            let own = OwnFiles::resolve(self.fleet.settings.own_files());
            caches.hide(Arc::new(own));
        })?;
        self.fleet.settings = all;
        self.secure(&settings);
        self.fleet.service.clients.allowance.set_rate(settings.rate_limit());
        let mut before: Vec<_> = std::mem::take(&mut self.members).into_iter().map(Some).collect();
        let mut kept = Vec::new();
        for (site, made) in settings.sites.into_iter().zip(made) {
            let assembled = match made {
                Made::Anew(assembled) => assembled,
                Made::Before(number) => {
                    let Some(member) = before.get_mut(number).and_then(Option::take) else {
                        continue;
                    };
                    let deployer = member.assembled.deployer.clone();
                    kept.extend(deployer.map(|it| (site.identity.name.clone(), it)));
                    member.assembled.at(&site)
                }
            };
            self.members.push(Member::new(site, assembled));
        }
        self.serve();
        caches.hide(own);
        // What is gone ends when its last request does.
        drop(before);
        self.fleet.assembly.logs.forget_unused();
        let keeper = self.fleet.keeper.clone();
        reloaded.rejected = wait(read_again(&kept, keeper.as_deref())).unwrap_or_default();
        Ok(reloaded)
    }

    /// Makes the sites of a configuration that differ from those of now. All of them are fit, or were
    /// broken before.
    fn make(&mut self, all: &Settings, reloaded: &mut Reloaded) -> Result<Vec<Made>, ReloadError> {
        let sites = &all.sites;
        let (mut made, mut mistakes) = (Vec::with_capacity(sites.len()), Vec::new());
        let names = self.members.iter().map(|one| one.settings.identity.name.clone());
        let numbers: HashMap<_, _> = names.zip(0..).collect();
        for site in sites {
            let name = &site.identity.name;
            let before = numbers.get(name).copied();
            let like = before.filter(|&number| self.members[number].settings.is_like(site));
            let is_broken = |number: usize| self.members[number].is_broken();
            if let Some(number) = like.filter(|&number| !is_broken(number)) {
                let before = &self.members[number].settings;
                let has_rate_of_before = before.limits.own_rate() == site.limits.own_rate();
                if before.identity != site.identity || !has_rate_of_before {
                    reloaded.changed.push(name.clone());
                }
                made.push(Made::Before(number));
                continue;
            }
            let was_broken = like.is_some_and(is_broken);
            let assembled = self.fleet.assembly.open(all, site);
            match (&assembled.error, before) {
                (Some(error), _) => {
                    let error = self.advise(format!("{error:#}"));
                    match was_broken {
                        true => reloaded.broken.push(BrokenSite { name: name.clone(), error }),
                        false => mistakes.push(format!("site {name}: {error}")),
                    }
                }
                (None, Some(_)) => reloaded.changed.push(name.clone()),
                (None, None) => reloaded.added.push(name.clone()),
            }
            made.push(Made::Anew(assembled));
        }
        let names: HashSet<_> = sites.iter().map(|site| &site.identity.name).collect();
        let is_gone = |member: &&Member| {
            let name = &member.settings.identity.name;
            !names.contains(name)
        };
        let gone = self.members.iter().filter(is_gone);
        reloaded.removed.extend(gone.map(|member| member.settings.identity.name.clone()));
        if mistakes.is_empty() { Ok(made) } else { Err(ReloadError::Rejected(mistakes)) }
    }

    fn advise(&self, error: String) -> String {
        let is_denied = error.contains("Permission denied") || error.contains("os error 13");
        if self.fleet.has_sandbox && is_denied { format!("{error}; {SANDBOX}") } else { error }
    }

    /// Has the certificates of these sites serve.
    fn secure(&self, settings: &Settings) {
        // The authority, and whether its terms are accepted, are those of the start.
        let sites = settings.sites.clone();
        let of_start = Settings { sites, ..self.fleet.settings.clone() };
        let ordered = self.fleet.ordered.as_ref().map(|ordered| ordered.order(&of_start));
        let Some(keeper) = &self.fleet.keeper else { return };
        let Some(store) = &self.fleet.assembly.certificates else { return };
        // Each site is fit, but for those that were broken before.
        let Ok((pairs, mut awaited)) = tls::of_sites(settings) else { return };
        awaited.extend(ordered.into_iter().flatten());
        let options = store.options();
        let is_self_signed = self.fleet.settings.tls.self_signed;
        if !is_self_signed && (options.pairs != pairs || options.awaited != awaited) {
            keeper.reconfigure(pairs, awaited).wait();
        }
    }

    /// Puts the members in service.
    fn serve(&self) {
        let sites: Vec<_> = self.members.iter().map(|one| one.assembled.with_hosts()).collect();
        // Their hosts were compared when the configuration was read.
        if let Err(conflict) =
            self.fleet.service.sites.replace(&sites, self.fleet.metrics.as_deref())
        {
            tracing::error!(error = ?conflict, "configuration rejected, the one before stays");
        }
        let subjects = self.members.iter().map(|one| Arc::clone(&one.assembled.subject));
        self.fleet.subjects.replace(subjects.collect());
    }

    /// Tries broken sites again whose files have changed.
    fn mend(&mut self) {
        let (mut served, mut is_tried) = (Vec::new(), false);
        for number in 0..self.members.len() {
            let member = &self.members[number];
            if !member.is_broken() || look(&member.settings) == member.seen {
                continue;
            }
            let settings = member.settings.clone();
            let assembled = self.fleet.assembly.open(&self.fleet.settings, &settings);
            let site = &*settings.identity.name;
            match &assembled.error {
                None => served.push(site.to_owned()),
                Some(error) => {
                    let error = self.advise(format!("{error:#}"));
                    tracing::error!(site, error, "site is not served");
                }
            }
            is_tried = true;
            self.members[number] = Member::new(settings, assembled);
        }
        // Also where another error is told.
        if is_tried {
            self.secure(&self.fleet.settings);
            self.serve();
        }
        for site in served {
            tracing::info!(site, "site is served");
        }
    }
}

/// How a site of a configuration comes to serve.
enum Made {
    /// It is that of before with this number.
    Before(usize),
    Anew(Assembled),
}

/// Waits for what other threads do. It needs no driver.
fn wait<T>(future: impl Future<Output = T>) -> Option<T> {
    match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => Some(runtime.block_on(future)),
        Err(error) => {
            tracing::error!(%error, "cannot wait for a reload");
            None
        }
    }
}
