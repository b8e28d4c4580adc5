//! A site that is open becomes one that serves: with its guest, its log, and what replaces them.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use bytesize::ByteSize;

use super::logs::Logs;
use super::open::OpenedSite;
use crate::admin::{RuleSourceBody, RulesBody, RulesOf, SiteSubject};
use crate::cli::{Settings, SiteSettings};
use crate::clients::Rate;
use crate::commands::guest::{GuestSource, compiling, name};
use crate::commands::{progress, tls};
use crate::dev::Dev;
use crate::dev::problem::Problem;
use crate::files::Caches;
use crate::guest::origin::Origin;
use crate::guest::validation::validate::validate;
use crate::guest::{Ambient, ClientBuckets, DEFAULT_GUEST, DecisionLimits, Engine, LoadedGuest};
use crate::release::deploy::{self, Deployer};
use crate::release::source::{Source, Watching};
use crate::release::{Active, Crew, Generation};
use crate::rules::{Count, RulesSource, Summary};
use crate::service::Site;
use crate::service::hosts::SiteHosts;
use crate::service::site::Broken;
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
pub(in crate::commands) struct Assembled {
    /// What serves.
    pub(in crate::commands) site: Arc<Site>,
    /// Its hosts.
    pub(in crate::commands) hosts: SiteHosts,
    /// What is administered.
    pub(in crate::commands) subject: Arc<SiteSubject>,
    /// What replaces its guest and its root.
    pub(in crate::commands) deployer: Option<Arc<Deployer>>,
    /// Why it is broken, if it is.
    pub(in crate::commands) error: Option<anyhow::Error>,
}

/// What serves of a site, and what replaces it.
struct Serving {
    site: Site,
    deployer: Arc<Deployer>,
    source_name: Option<String>,
    rules: Option<Arc<RulesSource>>,
}

impl Assembled {
    /// The same at the hosts that it has in these settings, with the rate that they say.
    pub(in crate::commands) fn at(self, site: &SiteSettings) -> Assembled {
        self.site.rate.set(site.limits.own_rate());
        let SiteSubject { root, guest_file, data_file, rules, .. } = &*self.subject;
        let subject = Arc::new(SiteSubject {
            site: Arc::clone(&self.site),
            hosts: site.identity.hosts.iter().map(ToString::to_string).collect(),
            is_default: site.identity.is_default,
            root: root.clone(),
            guest_file: guest_file.clone(),
            data_file: data_file.clone(),
            rules: rules.clone(),
            deployer: self.deployer.clone(),
        });
        Assembled { hosts: SiteHosts::from(&site.identity), subject, ..self }
    }

    /// The site, and its hosts.
    pub(in crate::commands) fn with_hosts(&self) -> (SiteHosts, Arc<Site>) {
        (self.hosts.clone(), Arc::clone(&self.site))
    }
}

impl Assembly {
    /// Opens a site and makes it serve, also where the sandbox is entered.
    pub(in crate::commands) fn open(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
    ) -> Assembled {
        let opened =
            OpenedSite::open(settings, site, &self.caches, &mut self.logs, self.dev.is_some());
        self.site(settings, site, opened)
    }

    /// Makes the sites serve that a server starts with. The only one must, and all where that is
    /// set; otherwise those that cannot are told of, and broken.
    pub(in crate::commands) fn all(
        &mut self,
        settings: &Settings,
        opened: Vec<anyhow::Result<OpenedSite>>,
    ) -> anyhow::Result<Vec<Assembled>> {
        let mut all = Vec::with_capacity(opened.len());
        for (site, opened) in settings.sites().into_iter().zip(opened) {
            let mut assembled = self.site(settings, site, opened);
            if settings.is_strict()
                && let Some(error) = assembled.error.take()
            {
                return Err(tls::of(site, error));
            }
            if let Some(error) = &assembled.error {
                let error = format!("{error:#}");
                let name = &*site.identity.name;
                tracing::error!(site = name, error, "site is not served");
            }
            all.push(assembled);
        }
        Ok(all)
    }

    /// Makes a site serve; one that cannot is broken.
    pub(in crate::commands) fn site(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        opened: anyhow::Result<OpenedSite>,
    ) -> Assembled {
        let served = opened.and_then(|opened| self.serving(settings, site, opened));
        let name = Some(&site.identity.name).filter(|name| !name.is_empty());
        let name = name.map(|name| name.as_str().into());
        let (made, deployer, source_name, rules, error) = match served {
            Ok(Serving { site, deployer, source_name, rules }) => {
                (site, Some(deployer), source_name, rules, None)
            }
            Err(error) => {
                let broken = Site::broken(Broken { why: format!("{error:#}") });
                // Its requests are logged, if that can be.
                let key = self.logs.open(site).ok().flatten();
                let log = key.and_then(|key| self.logs.start(&key).ok());
                let request_id = site.log.request_id.clone();
                let rate = Rate::new(site.limits.own_rate());
                (Site { log, request_id, rate, ..broken }, None, None, None, Some(error))
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
        Assembled { site: made, hosts: SiteHosts::from(&site.identity), subject, deployer, error }
    }

    fn serving(
        &mut self,
        settings: &Settings,
        site: &SiteSettings,
        opened: OpenedSite,
    ) -> anyhow::Result<Serving> {
        let OpenedSite { root, files, source, log } = opened;
        let GuestSource { source, rules, .. } = source;
        if self.certificates.is_some() && !settings.sites.is_empty() {
            tls::are_fit(settings, site)?;
        }
        let log = log.map(|key| self.logs.start(&key)).transpose()?;
        let source_name = source.name();
        let seen = source.stamps();
        let limits = self.limits_within(site)?;
        let guest = Arc::new(self.first_guest(&*source, source_name.as_deref(), limits)?);
        let first = Generation { guest, files };
        let active = Arc::new(Active::new(first, settings.failure_policy(site)));
        let is_watched = !site.guest.no_watch || self.dev.is_some();
        let watching = if is_watched { Watching::On } else { Watching::Off };
        let serving = Arc::clone(&active);
        let deployer = Deployer::start(&self.crew, serving, root, source, seen, watching);
        let deployer = deployer.context("cannot start the threads that replace guests")?;
        let made = Site {
            ambient: Ambient::live(self.client_buckets.clone()),
            log,
            https: tls::https(site, self.certificates.as_ref()),
            request_id: site.log.request_id.clone(),
            rate: Rate::new(site.limits.own_rate()),
            ..Site::new(active)
        };
        Ok(Serving { site: made, deployer: Arc::new(deployer), source_name, rules })
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
    ) -> anyhow::Result<LoadedGuest> {
        match (self.offered(source, source_name, limits), &self.dev) {
            (Err(error), Some(dev)) => {
                let error_line = format!("{error:#}");
                tracing::error!(error = error_line, "guest rejected; the built-in one serves");
                dev.fail_first(Problem::of_first(&error));
                let built_in = LoadedGuest::load(&self.engine, DEFAULT_GUEST);
                built_in.map(|guest| guest.with_limits(limits)).map_err(|error| anyhow!(error))
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
    ) -> anyhow::Result<LoadedGuest> {
        let offer = source.read()?;
        let path = name(source, &offer);
        let what = compiling(&path, &offer);
        let log = move || {
            tracing::info!(path, "guest is compiled and validated, which may take a minute");
        };
        let validated =
            progress::during_or_log(what, log, || validate(&self.engine, &offer, limits));
        let rejected = || format!("{} is rejected", name(source, &offer));
        let mut validated = validated.map_err(|error| anyhow!(error).context(rejected()))?;
        if let Some(file) = source_name.filter(|_| offer.origin != Origin::BuiltIn) {
            let data = offer.data_path().map(|path| path.display().to_string());
            deploy::log_first(&validated, file, data.as_deref());
        }
        if self.keeps_guests {
            validated.keep(offer);
        }
        Ok(validated.guest)
    }
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
