//! What SIGHUP and `POST /reload` do: the sites of the configuration, their guests and the certificates
//! are read again. Sites come, change and go while requests are in flight.
//!
//! All of a configuration is put together before any of it serves: one that has a mistake, or a site
//! that is not fit, changes nothing. A site that was broken before may stay so; it is tried again
//! when what it names changes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::assemble::{Assembled, Assembly};
use super::read_again::{read_again, retry_orders};
use super::retry::{Retry, look};
use crate::admin::{BrokenSite, Reload, ReloadError, ReloadHistory, Reloaded, SiteSubjects};
use crate::cli::{ConfigError, Configuration, EffectiveSetting, Settings, SiteSettings};
use crate::commands::acme::Ordered;
use crate::commands::tls;
use crate::file_watch::{LOOK, Stamps};
use crate::files::OwnFiles;
use crate::metrics::Metrics;
use crate::release::deploy::Deployer;
use crate::service::Service;
use crate::service::hosts::Conflict;
use crate::service::site::Outside;
use crate::service::sites::Prepared;
use crate::supervise;
use crate::tls::certificates::pair::PATIENCE;
use crate::tls::certificates::{Keeper, PairFiles};

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
    /// What became of configurations.
    pub(in crate::commands) history: Arc<ReloadHistory>,
    pub(in crate::commands) keeper: Option<Arc<Keeper>>,
    /// What orders certificates, if they are ordered.
    pub(in crate::commands) ordered: Option<Ordered>,
}

/// A site of now.
#[derive(Clone)]
struct Member {
    settings: SiteSettings,
    assembled: Assembled,
    /// When a broken one is tried again.
    retry: Retry,
}

enum Command {
    Reload { done: oneshot::Sender<Result<Reloaded, ReloadError>> },
}

impl Fleet {
    /// Starts the thread that puts sites in service. These serve already; their files were like this
    /// before they were opened.
    pub(in crate::commands) fn start(
        self,
        sites: Vec<Assembled>,
        seen: Vec<Stamps>,
    ) -> io::Result<Reload> {
        let (commands, receiver) = mpsc::channel();
        let now = Instant::now();
        let members = self.settings.sites.iter().cloned().zip(sites).zip(seen);
        let members = members.map(|((settings, assembled), seen)| {
            let retry = Retry::new(seen, now);
            Member { settings, assembled, retry }
        });
        // To wait for what other threads do: it needs no driver.
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut work = Work { members: members.collect(), fleet: self, runtime };
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
    fn name(&self) -> &str {
        &self.settings.identity.name
    }

    /// The same at the hosts of these settings.
    fn at(&self, settings: &SiteSettings) -> Member {
        let site = Arc::clone(&self.assembled.site);
        let assembled = self.assembled.at(settings, site);
        Member { settings: settings.clone(), assembled, retry: self.retry.clone() }
    }

    fn is_broken(&self) -> bool {
        self.assembled.error().is_some()
    }
}

struct Work {
    fleet: Fleet,
    members: Vec<Member>,
    runtime: Runtime,
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
        let ordering = self.fleet.ordered.as_ref().and_then(|it| retry_orders(&it.link));
        let mut reloaded = self.replace();
        if let Ok(reloaded) = &mut reloaded {
            reloaded.rejected.extend(ordering);
        }
        // What was opened for sites that are gone, or did not come to serve.
        self.fleet.assembly.logs.forget_unused();
        // Before the log: what reads that may ask for the history.
        match &reloaded {
            Ok(reloaded) => self.fleet.history.add(Ok(reloaded.to_string())),
            Err(ReloadError::Rejected(mistakes)) => {
                self.fleet.history.add(Err(mistakes.join("\n")))
            }
            Err(ReloadError::Canceled) => {}
        }
        match &reloaded {
            Ok(Reloaded { added, changed, removed, broken, restart, .. }) => {
                let list = |names: &Vec<String>| (!names.is_empty()).then(|| names.join(", "));
                let (added, changed, removed) = (list(added), list(changed), list(removed));
                let broken = list(&broken.iter().map(|site| site.name.clone()).collect());
                tracing::info!(added, changed, removed, broken, "configuration reloaded");
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

    /// Puts the sites of the configuration in service. What can fail does so before any of them serves.
    fn replace(&mut self) -> Result<Reloaded, ReloadError> {
        let configuration = Configuration::of_process().map_err(|error| match error {
            ConfigError::Source(mistakes) => {
                ReloadError::Rejected(mistakes.iter().map(ToString::to_string).collect())
            }
            ConfigError::Cli(error) => rejected(error.to_string()),
        })?;
        let mut reloaded = Reloaded {
            restart: configuration.differing(&self.fleet.effective),
            ..Reloaded::default()
        };
        let Settings { site, sites, .. } = configuration.arguments.serve;
        if sites.is_empty() {
            let told = "there is no [[site]] any more: one site without it needs a restart";
            return Err(rejected(told.to_owned()));
        }
        // What belongs to the process stays.
        let settings = Settings { site, sites, ..self.fleet.settings.clone() };
        let wrong = |error: anyhow::Error| rejected(format!("{error:#}"));
        let certificates = tls::of_sites(&settings).map_err(wrong)?;
        let outside = self.fleet.assembly.outside(&settings).map_err(wrong)?;
        let own = Arc::new(OwnFiles::resolve(settings.own_files()));
        let caches = Arc::clone(&self.fleet.assembly.caches);
        // Those of sites that come are hidden also beneath the roots of those that stay.
        caches.hide_too(Arc::clone(&own));
        let made = self.make(&settings, &mut reloaded).and_then(|members| {
            let prepared = self.prepare(&members, Arc::new(outside));
            Ok((prepared.map_err(|conflict| rejected(conflict.to_string()))?, members))
        });
        let (prepared, members) = made.inspect_err(|_| {
            let own = OwnFiles::resolve(self.fleet.settings.own_files());
            caches.hide(Arc::new(own));
        })?;
        let kept = self.kept(&members);
        self.go_on(&members);
        self.secure(&settings, certificates);
        self.serve(prepared, members);
        self.fleet.service.clients.allowance.set_rate(settings.rate_limit());
        caches.hide(own);
        self.fleet.settings = settings;
        self.members.iter_mut().for_each(|member| member.assembled.tell());
        let sites = &self.fleet.settings.sites;
        let read_again = read_again(&kept, sites, self.fleet.keeper.as_deref());
        reloaded.rejected = self.runtime.block_on(read_again);
        Ok(reloaded)
    }

    /// Has these sites go on with the deployments of those that they take the places of.
    fn go_on(&self, members: &[Member]) {
        let before: HashMap<_, _> = self.members.iter().map(|one| (one.name(), one)).collect();
        for member in members {
            let before = before.get(member.name()).map(|before| &before.assembled.site.active);
            if let (Ok(active), Some(Ok(before))) = (&member.assembled.site.active, before)
                && !Arc::ptr_eq(active, before)
            {
                active.history().follow(before.history());
            }
        }
    }

    /// What deploys the guests of those among these sites that serve already.
    fn kept(&self, members: &[Member]) -> Vec<(String, Arc<Deployer>)> {
        let before = self.members.iter().filter_map(|one| one.assembled.deployer.as_ref());
        let before: HashSet<_> = before.map(Arc::as_ptr).collect();
        let all = members.iter().filter_map(|member| {
            let deployer = member.assembled.deployer.clone()?;
            Some((member.settings.identity.name.clone(), deployer))
        });
        all.filter(|(_, deployer)| before.contains(&Arc::as_ptr(deployer))).collect()
    }

    /// Makes the sites of a configuration that differ from those of now. All of them are fit, or were
    /// broken before.
    fn make(
        &mut self,
        settings: &Settings,
        reloaded: &mut Reloaded,
    ) -> Result<Vec<Member>, ReloadError> {
        let mut mistakes = Vec::new();
        let mut members = Vec::with_capacity(settings.sites.len());
        let certificates = self.fleet.assembly.fitness(PATIENCE);
        let before: HashMap<_, _> = self.members.iter().map(|one| (one.name(), one)).collect();
        for site in &settings.sites {
            let name = site.identity.name.clone();
            let before = before.get(&*name).copied();
            let like = before.filter(|before| before.settings.is_like(site));
            if let Some(same) = like.filter(|same| !same.is_broken()) {
                let has_rate = same.settings.limits.own_rate() == site.limits.own_rate();
                if same.settings.identity != site.identity || !has_rate {
                    reloaded.changed.push(name);
                }
                members.push(same.at(site));
                continue;
            }
            let has_content =
                |before: &&Member| !before.is_broken() && before.settings.has_content_of(site);
            let seen = look(site);
            let (assembly, certificates) = (&mut self.fleet.assembly, certificates.as_ref());
            let made = match before.filter(has_content) {
                Some(before) => assembly.changed(settings, site, &before.assembled, certificates),
                None => Ok(assembly.open(settings, site, certificates)),
            };
            let assembled = match made {
                Ok(assembled) => assembled,
                Err(error) => {
                    mistakes.push(format!("site {name}: {error:#}"));
                    continue;
                }
            };
            match (assembled.error(), before) {
                // Whatever its settings are now, it serves no less than before.
                (Some(error), Some(same)) if same.is_broken() => {
                    reloaded.broken.push(BrokenSite { name, error: error.to_owned() });
                }
                (Some(error), _) => mistakes.push(format!("site {name}: {error}")),
                (None, Some(_)) => reloaded.changed.push(name),
                (None, None) => reloaded.added.push(name),
            }
            let retry = Retry::new(seen, Instant::now());
            members.push(Member { settings: site.clone(), assembled, retry });
        }
        let names: HashSet<_> = settings.sites.iter().map(|site| &site.identity.name).collect();
        let gone = self.members.iter().map(|one| &one.settings.identity.name);
        reloaded.removed.extend(gone.filter(|name| !names.contains(name)).cloned());
        if mistakes.is_empty() { Ok(members) } else { Err(ReloadError::Rejected(mistakes)) }
    }

    /// Prepares these sites. Their hosts were compared when the configuration was read.
    fn prepare(&self, members: &[Member], outside: Arc<Outside>) -> Result<Prepared, Conflict> {
        let sites: Vec<_> = members.iter().map(|one| one.assembled.with_hosts()).collect();
        let Fleet { service, metrics, .. } = &self.fleet;
        service.sites.prepare(&sites, outside, metrics.as_deref())
    }

    /// Puts them in service. What is gone ends when its last request does.
    fn serve(&mut self, prepared: Prepared, members: Vec<Member>) {
        let Fleet { service, subjects, .. } = &self.fleet;
        let bodies = members.iter().map(|one| Arc::clone(&one.assembled.subject)).collect();
        for Member { settings, assembled, .. } in &members {
            assembled.site.rate.set(settings.limits.own_rate());
        }
        service.sites.replace(prepared);
        subjects.replace(bodies);
        let sites = members.iter().map(|one| Arc::as_ptr(&one.assembled.site));
        let sites: HashSet<_> = sites.collect();
        let before = std::mem::replace(&mut self.members, members);
        for gone in before.into_iter().map(|one| one.assembled.site) {
            if !sites.contains(&Arc::as_ptr(&gone)) {
                self.fleet.assembly.crew.free(gone);
            }
        }
    }

    /// Has these certificates serve: those that must be there, and those that are awaited. Orders those
    /// for the hosts of these settings.
    fn secure(&self, settings: &Settings, (pairs, mut awaited): (Vec<PairFiles>, Vec<PairFiles>)) {
        let Fleet { keeper, assembly, ordered, .. } = &self.fleet;
        awaited.extend(ordered.iter().flat_map(|ordered| ordered.order(settings)));
        let (Some(keeper), Some(store)) = (keeper, &assembly.certificates) else { return };
        let options = store.options();
        let is_other = options.pairs != pairs || options.awaited != awaited;
        if is_other && !settings.tls.self_signed {
            keeper.reconfigure(pairs, awaited).wait();
        }
    }

    /// Tries broken sites again whose files have changed.
    fn mend(&mut self) {
        let mut others = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            if !member.is_broken() {
                continue;
            }
            let (seen, now) = (look(&member.settings), Instant::now());
            if !member.retry.is_due(&seen, now) {
                continue;
            }
            let Fleet { assembly, settings, .. } = &mut self.fleet;
            let certificates = assembly.fitness(Duration::ZERO);
            let assembled = assembly.open(settings, &member.settings, certificates.as_ref());
            // An attempt may take long.
            member.retry = member.retry.again(seen, Instant::now());
            if assembled.error() != member.assembled.error() {
                others.push((number, assembled));
            }
        }
        if !others.is_empty() {
            self.mended(others);
        }
        self.fleet.assembly.logs.forget_unused();
    }

    /// Puts these in the places of broken ones: they serve, or are told of for another reason.
    fn mended(&mut self, others: Vec<(usize, Assembled)>) {
        let mut members = self.members.clone();
        let numbers: Vec<_> = others.iter().map(|(number, _)| *number).collect();
        for (number, assembled) in others {
            members[number].assembled = assembled;
        }
        match self.prepare(&members, self.fleet.service.sites.outside()) {
            Ok(prepared) => self.serve(prepared, members),
            Err(error) => return tracing::error!(%error, "sites are not replaced"),
        }
        for number in numbers {
            let member = &mut self.members[number];
            member.assembled.tell();
            if !member.is_broken() {
                tracing::info!(site = member.name(), "site is served");
            }
        }
    }
}

/// Why a configuration is rejected.
fn rejected(mistake: String) -> ReloadError {
    ReloadError::Rejected(vec![mistake])
}
