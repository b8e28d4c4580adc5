//! A site that is open becomes one that serves: with its guest, its log, and what replaces them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytesize::ByteSize;

use super::logs::Logs;
use super::open::OpenedSite;
use crate::admin::{RuleSourceBody, RulesBody, RulesOf, SiteSubject};
use crate::cli::{Settings, SiteSettings};
use crate::clients::Rate;
use crate::commands::guest::{GuestSource, compiling, name};
use crate::commands::progress;
use crate::commands::tls::{self, Fitness};
use crate::dev::Dev;
use crate::dev::problem::Problem;
use crate::diagnostics::context::for_site;
use crate::files::Caches;
use crate::guest::origin::Origin;
use crate::guest::validation::validate::validate;
use crate::guest::{Ambient, ClientBuckets, DEFAULT_GUEST, DecisionLimits, Engine, LoadedGuest};
use crate::release::deploy::{Deployer, FirstGuest};
use crate::release::source::{Source, Watching};
use crate::release::{Active, Crew, Generation};
use crate::rules::{Count, RulesSource, Summary};
use crate::service::Site;
use crate::service::hosts::SiteHosts;
use crate::service::site::{Broken, Outside};
use crate::tls::certificates::Store;

/// What all sites of a server are made with.
pub(in crate::commands) struct Assembly {
    pub(in crate::commands) engine: Arc<Engine>,
    /// The threads that replace guests and roots.
    pub(in crate::commands) crew: Arc<Crew>,
    pub(in crate::commands) caches: Arc<Caches>,
    pub(in crate::commands) logs: Logs,
    pub(in crate::commands) client_buckets: ClientBuckets,
    /// The certificates, where there is a listener for TLS.
    pub(in crate::commands) certificates: Option<Arc<Store>>,
    /// Whether guests are kept, as other data may be put under them.
    pub(in crate::commands) keeps_guests: bool,
    /// The loop of `innkeeper dev`.
    pub(in crate::commands) dev: Option<Arc<Dev>>,
}

/// A site that serves, or one that is broken.
#[derive(Clone)]
pub(in crate::commands) struct Assembled {
    /// What serves.
    pub(in crate::commands) site: Arc<Site>,
    /// Its hosts.
    pub(in crate::commands) hosts: SiteHosts,
    /// What is administered.
    pub(in crate::commands) subject: Arc<SiteSubject>,
    /// What replaces its guest and its root.
    pub(in crate::commands) deployer: Option<Arc<Deployer>>,
    /// Its guest, until it is told of.
    first: Option<Arc<FirstGuest>>,
}

/// What serves of a site, and what replaces it.
struct Serving {
    site: Site,
    deployer: Arc<Deployer>,
    source_name: Option<String>,
    rules: Option<Arc<RulesSource>>,
    first: Option<Arc<FirstGuest>>,
}

impl Assembled {
    /// Why it is broken, if it is.
    pub(in crate::commands) fn error(&self) -> Option<&str> {
        self.site.active.as_ref().err().map(|broken| broken.why.as_str())
    }

    /// The site, and its hosts.
    pub(in crate::commands) fn with_hosts(&self) -> (SiteHosts, Arc<Site>) {
        (self.hosts.clone(), Arc::clone(&self.site))
    }

    /// Logs the guest that it begins with, or why it is broken.
    pub(in crate::commands) fn tell(&mut self) {
        if let Some(first) = self.first.take() {
            for_site(self.site.name.as_deref().map(Arc::from), || first.log());
        }
        if let Some(error) = self.error() {
            let site = self.site.name.as_deref();
            tracing::error!(site, error, "site is not served");
        }
    }

    /// The same at the hosts of these settings, and with this site in its place.
    pub(super) fn at(&self, settings: &SiteSettings, site: Arc<Site>) -> Assembled {
        let SiteSubject { root, guest_file, data_file, rules, .. } = &*self.subject;
        let subject = Arc::new(SiteSubject {
            site: Arc::clone(&site),
            hosts: settings.identity.hosts.iter().map(ToString::to_string).collect(),
            is_default: settings.identity.is_default,
            root: root.clone(),
            guest_file: guest_file.clone(),
            data_file: data_file.clone(),
            rules: rules.clone(),
            deployer: self.deployer.clone(),
        });
        Assembled { site, hosts: SiteHosts::from(&settings.identity), subject, ..self.clone() }
    }
}

impl Assembly {
    /// What certificates of sites are held against now, with this patience for those that are being
    /// replaced; `None` where nothing is secured.
    pub(in crate::commands) fn fitness(&self, patience: Duration) -> Option<Fitness> {
        Some(Fitness::beside(self.certificates.as_deref()?, patience))
    }

    /// Opens a site and makes it serve, also where the sandbox is entered.
    pub(in crate::commands) fn open(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        certificates: Option<&Fitness>,
    ) -> Assembled {
        for_site(shared_name(site), || {
            let opened =
                OpenedSite::open(settings, site, &self.caches, &mut self.logs, self.dev.is_some());
            let served =
                opened.and_then(|opened| self.serving(settings, site, opened, certificates));
            self.site(settings, site, served)
        })
    }

    /// Makes the sites serve that a server starts with. The only one must, and all where that is
    /// set; otherwise those that cannot are told of, and broken.
    pub(in crate::commands) fn all(
        &mut self,
        settings: &Settings,
        opened: Vec<anyhow::Result<OpenedSite>>,
    ) -> anyhow::Result<Vec<Assembled>> {
        let mut all = Vec::with_capacity(opened.len());
        // The store has been patient.
        let certificates = self.fitness(Duration::ZERO);
        for (site, opened) in settings.sites().into_iter().zip(opened) {
            let certificates = certificates.as_ref();
            let served = opened.and_then(|opened| {
                for_site(shared_name(site), || self.serving(settings, site, opened, certificates))
            });
            let served = match served {
                Err(error) if settings.is_strict() => return Err(tls::of(site, error)),
                served => served,
            };
            let mut assembled = self.site(settings, site, served);
            assembled.tell();
            all.push(assembled);
        }
        Ok(all)
    }

    /// Makes a site serve; one that cannot is broken.
    fn site(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        served: anyhow::Result<Serving>,
    ) -> Assembled {
        let name = shared_name(site).as_deref().map(Box::from);
        let (made, deployer, source_name, rules, first) = match served {
            Ok(Serving { site, deployer, source_name, rules, first }) => {
                (site, Some(deployer), source_name, rules, first)
            }
            Err(error) => {
                let broken = Site::broken(Broken { why: format!("{error:#}") });
                // Its requests are logged, if that can be.
                let key = self.logs.open(site).ok().flatten();
                let log = key.and_then(|key| self.logs.start(&key).ok());
                let request_id = site.log.request_id.clone();
                let rate = Arc::new(Rate::new(site.limits.own_rate()));
                (Site { log, request_id, rate, ..broken }, None, None, None, None)
            }
        };
        let made = Arc::new(Site { name, ..made });
        let subject = Arc::new(SiteSubject {
            site: Arc::clone(&made),
            hosts: site.identity.hosts.iter().map(ToString::to_string).collect(),
            is_default: site.identity.is_default || settings.sites.is_empty(),
            root: site.root.display().to_string(),
            guest_file: source_name,
            data_file: site.guest.data.as_ref().map(|data| data.display().to_string()),
            rules: rules.map(summaries),
            deployer: deployer.clone(),
        });
        Assembled { site: made, hosts: SiteHosts::from(&site.identity), subject, deployer, first }
    }

    fn serving(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        opened: OpenedSite,
        certificates: Option<&Fitness>,
    ) -> anyhow::Result<Serving> {
        let OpenedSite { root, files, source, log } = opened;
        let GuestSource { source, rules, .. } = source;
        if let Some(certificates) = certificates.filter(|_| !settings.sites.is_empty()) {
            certificates.check(settings, site)?;
        }
        let log = log.map(|key| self.logs.start(&key)).transpose()?;
        let source_name = source.name();
        let seen = source.stamps();
        let limits = self.limits_within(site)?;
        let (guest, first) = self.first_guest(&*source, source_name.as_deref(), limits)?;
        let generation = Generation { guest, files };
        let active = Arc::new(Active::new(generation, settings.failure_policy(site)));
        let is_watched = !site.guest.no_watch || self.dev.is_some();
        let watching = if is_watched { Watching::On } else { Watching::Off };
        let serving = Arc::clone(&active);
        let deployer =
            Deployer::start(&self.crew, shared_name(site), serving, root, source, seen, watching);
        let deployer = deployer.context("cannot start the threads that replace guests")?;
        let made = Site {
            ambient: Ambient::live(self.client_buckets.clone()),
            log,
            https: tls::https(site, self.certificates.as_ref()),
            request_id: site.log.request_id.clone(),
            rate: Arc::new(Rate::new(site.limits.own_rate())),
            ..Site::new(active)
        };
        let (deployer, first) = (Arc::new(deployer), first.map(Arc::new));
        Ok(Serving { site: made, deployer, source_name, rules, first })
    }

    /// The site with settings of which others than those of its content changed: its hosts, its log,
    /// its certificates. What is active stays, with its history.
    pub(in crate::commands) fn changed(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        before: &Assembled,
        certificates: Option<&Fitness>,
    ) -> anyhow::Result<Assembled> {
        if let Some(certificates) = certificates {
            certificates.check(settings, site)?;
        }
        let log = self.logs.open(site)?.map(|key| self.logs.start(&key)).transpose()?;
        let Site { name, active, ambient, replies, rate, .. } = &*before.site;
        let made = Site {
            name: name.clone(),
            active: active.clone(),
            ambient: ambient.clone(),
            log,
            https: tls::https(site, self.certificates.as_ref()),
            request_id: site.log.request_id.clone(),
            replies: Arc::clone(replies),
            rate: Arc::clone(rate),
        };
        Ok(before.at(site, Arc::new(made)))
    }

    /// What applies to requests for no site.
    pub(in crate::commands) fn outside(&mut self, settings: &Settings) -> anyhow::Result<Outside> {
        let key = self.logs.open(&settings.site)?;
        let log = key.map(|key| self.logs.start(&key)).transpose()?;
        Ok(Outside { log, request_id: settings.site.log.request_id.clone() })
    }

    /// What the decisions of a site may use, if there is as much: instances have the memory that was
    /// set aside for them at the start.
    fn limits_within(&self, site: &SiteSettings) -> anyhow::Result<DecisionLimits> {
        let (limits, most) = (site.guest.limits.limits(), self.engine.limits().decision);
        if limits.memory_bytes > most.memory_bytes {
            bail!(
                "`memory` in [site.guest] is {} and no instance has more than the {} that were set \
                 aside at the start: restart the server",
                site.guest.limits.memory.display().iec(),
                ByteSize(most.memory_bytes as u64).display().iec()
            );
        }
        Ok(limits)
    }

    /// Loads and validates what the source offers. In `innkeeper dev` the built-in guest serves
    /// until that can.
    fn first_guest(
        &self,
        source: &dyn Source,
        source_name: Option<&str>,
        limits: DecisionLimits,
    ) -> anyhow::Result<(Arc<LoadedGuest>, Option<FirstGuest>)> {
        match (self.offered(source, source_name, limits), &self.dev) {
            (Err(error), Some(dev)) => {
                let error_line = format!("{error:#}");
                tracing::error!(error = error_line, "guest rejected; the built-in one serves");
                dev.fail_first(Problem::of_first(&error));
                let built_in = LoadedGuest::load(&self.engine, DEFAULT_GUEST);
                let built_in = built_in.map_err(|error| anyhow!(error))?;
                Ok((Arc::new(built_in.with_limits(limits)), None))
            }
            (first, _) => first,
        }
    }

    /// It is kept if other data may be put under it.
    fn offered(
        &self,
        source: &dyn Source,
        source_name: Option<&str>,
        limits: DecisionLimits,
    ) -> anyhow::Result<(Arc<LoadedGuest>, Option<FirstGuest>)> {
        let offer = source.read()?;
        let path = name(source, &offer);
        let what = compiling(&path, &offer);
        let log = move || {
            tracing::info!(path, "guest is compiled and validated, which may take a minute");
        };
        let work = || validate(&self.engine, &offer, limits);
        let validated = match LoadedGuest::is_in_use(&self.engine, offer.identity()) {
            // It takes no time worth a thread, for each of a thousand sites.
            true => work(),
            false => progress::during_or_log(what, log, work),
        };
        let rejected = || format!("{} is rejected", name(source, &offer));
        let mut validated = validated.map_err(|error| anyhow!(error).context(rejected()))?;
        let file = source_name.filter(|_| offer.origin != Origin::BuiltIn);
        let data = offer.data_path().map(|path| path.display().to_string());
        if self.keeps_guests {
            validated.keep(offer);
        }
        let validated = validated.shared();
        let guest = Arc::clone(&validated.guest);
        let first = file.map(|file| FirstGuest { validated, path: file.to_owned(), data });
        Ok((guest, first))
    }
}

/// The name of one of several sites.
pub(in crate::commands) fn shared_name(site: &SiteSettings) -> Option<Arc<str>> {
    Some(&*site.identity.name).filter(|name| !name.is_empty()).map(Arc::from)
}

/// What the status tells of a table of rules.
fn summaries(rules: Arc<RulesSource>) -> RulesOf {
    let body = |Count { source, redirects, headers, others }| RuleSourceBody {
        source,
        redirects,
        headers,
        others,
    };
    Arc::new(move |data| {
        let Summary { counts, warnings } = rules.summary(data)?;
        Some(RulesBody { sources: counts.into_iter().map(body).collect(), warnings })
    })
}
