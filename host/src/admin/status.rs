//! The state of the server: its health and its status.

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::acme::AcmeBody;
use super::api::{
    ConnectionsBody, DiskBody, EventBody, GuestBody, LimitsBody, ReloadBody, SandboxBody,
    StatusBody, root,
};
use super::certificates::TlsBody;
use super::reload_history::ReloadHistory;
use super::sites::{SiteSubject, SiteSubjects, SitesBody, named};
use crate::acme::Link;
use crate::clock;
use crate::disk::{self, DeviceLoad, place};
use crate::guest::{Engine, GuestLimits};
use crate::helper::Helpers;
use crate::http1;
use crate::metrics::{self, Metrics};
use crate::sandbox::Sandbox;
use crate::service::Service;
use crate::tls::certificates::Store;

/// The server that is administered.
pub struct Subject {
    /// What its connections share.
    pub service: Arc<Service>,
    /// The bounds on its connections.
    pub connection_limits: http1::Limits,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Whether it accepts connections.
    pub is_ready: watch::Receiver<bool>,
    /// The worker that missed its heartbeat, if one did.
    pub missed_heartbeat: watch::Receiver<Option<MissedHeartbeat>>,
    /// When it was started.
    pub started: (Instant, SystemTime),
    /// Where it listens.
    pub listeners: Vec<String>,
    /// Its sites.
    pub sites: Arc<SiteSubjects>,
    /// What became of its configuration.
    pub reloads: Arc<ReloadHistory>,
    /// Its threads that serve.
    pub workers: usize,
    /// What its guests may use.
    pub limits: GuestLimits,
    /// What guests run on.
    pub engine: Arc<Engine>,
    /// What it gave up, unless that was not wanted.
    pub sandbox: Option<Sandbox>,
    /// The certificates of its listeners for TLS, if there are any.
    pub certificates: Option<Arc<Store>>,
    /// What orders certificates, if they are ordered.
    pub acme: Option<Arc<Link>>,
    /// What compiles guests, if others than the built-in one can come.
    pub helpers: Option<Helpers>,
}

impl Subject {
    /// The ports that it listens at.
    pub(super) fn ports(&self) -> Vec<u16> {
        let port = |listener: &String| listener.rsplit(':').next()?.parse().ok();
        self.listeners.iter().filter_map(port).collect()
    }
}

/// A worker that does not get to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedHeartbeat {
    /// Its number.
    pub worker: usize,
    /// How long it had no heartbeat, at least.
    pub elapsed: Duration,
}

impl fmt::Display for MissedHeartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MissedHeartbeat { worker, elapsed } = self;
        write!(f, "worker {worker} missed its heartbeat for {} s", elapsed.as_secs())
    }
}

/// Why a probe fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unhealthy {
    /// A worker missed its heartbeat.
    Worker(MissedHeartbeat),
    /// The file system of this device does not respond.
    Disk(String),
    /// The file system of the root does not respond.
    Root,
    /// A site serves nothing.
    Site(String),
    /// The server is stopping.
    Stopping,
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unhealthy::Worker(missed) => missed.fmt(f),
            Unhealthy::Disk(device) => {
                write!(f, "the file system of device {device} does not respond")
            }
            Unhealthy::Root => f.write_str("the root's file system does not respond"),
            Unhealthy::Site(why) => f.write_str(why),
            Unhealthy::Stopping => f.write_str("stopping"),
        }
    }
}

impl Subject {
    /// Whether all works, or what does not.
    pub(super) fn health(&self) -> Result<(), Unhealthy> {
        if let Some(missed) = *self.missed_heartbeat.borrow() {
            return Err(Unhealthy::Worker(missed));
        }
        match disks().find(|(_, load)| load.is_stalled) {
            Some((device, _)) => Err(Unhealthy::Disk(device)),
            None => Ok(()),
        }
    }

    /// Whether requests are served, or why not: those of this site, or of any. The text says which
    /// sites serve nothing.
    pub(super) fn readiness(&self, site: Option<&SiteSubject>) -> Result<String, Unhealthy> {
        if !*self.is_ready.borrow() {
            return Err(Unhealthy::Stopping);
        }
        let sites = self.sites.all();
        let (mut text, mut last, mut serving) = ("ready\n".to_owned(), None, 0);
        let stalled = disk::loads().into_iter().filter(|load| load.is_stalled);
        let stalled: Vec<_> = stalled.filter_map(|load| load.device).collect();
        for of in sites.iter().filter(|of| site.is_none_or(|site| std::ptr::eq(site, &***of))) {
            let Err(why) = serves(of, &stalled) else {
                serving += 1;
                continue;
            };
            let name = of.name().unwrap_or_default();
            // Writing to memory does not fail.
            let _ = writeln!(text, "site {name} is not served: {why}");
            last = Some(why);
        }
        match last {
            Some(why) if serving == 0 => Err(why),
            _ => Ok(text),
        }
    }

    /// The status of the server, and of one site.
    pub(super) fn status(&self, of: &SiteSubject, query: Option<&str>) -> StatusBody {
        let active = of.site.active.as_ref().ok();
        let current = active.map(|active| active.current());
        let previous = active.and_then(|active| active.previous());
        let guest = current.as_ref().map(|current| Arc::clone(&current.guest));
        let decision = guest.as_ref().map_or(self.limits.decision, |guest| guest.limits());
        let sites = self.sites.all();
        let broken = sites.iter().filter(|site| site.site.active.is_err());
        let is_named = named(query).is_some();
        let metrics::Connections { idle, active: busy, writing } = self.metrics.connections();
        let connection = &self.connection_limits;
        let sandbox = self.sandbox.as_ref();
        StatusBody {
            version: env!("CARGO_PKG_VERSION"),
            ready: *self.is_ready.borrow(),
            started: clock::rfc3339_of(self.started.1),
            uptime_s: self.started.0.elapsed().as_secs(),
            listeners: self.listeners.clone(),
            root: of.root.clone(),
            active_root: current.as_deref().map(root),
            site: of.name().map(str::to_owned),
            sites: sites.len(),
            broken_sites: broken.filter_map(|site| site.name().map(str::to_owned)).collect(),
            site_error: of.error(),
            workers: self.workers,
            sandbox: SandboxBody {
                files: sandbox.map_or("off", |sandbox| sandbox.files.name()),
                system_calls: sandbox.map_or("off", |sandbox| sandbox.calls.name()),
                reads: sandbox.map(|sandbox| shown(&sandbox.reads)),
                writes: sandbox.map(|sandbox| shown(&sandbox.writes)),
            },
            compiler: match self.compiler_is_available() {
                Some(true) => "ready",
                Some(false) => "unavailable",
                None => "off",
            },
            tls: self.certificates.as_deref().map(TlsBody::new),
            acme: self.acme.as_deref().map(AcmeBody::new),
            guest: guest
                .as_ref()
                .map(|guest| GuestBody::new(guest, of.guest_file.clone(), of.data_file.clone())),
            rules: guest.as_ref().and_then(|guest| of.rules(guest)),
            previous: previous.as_ref().map(|previous| format!("{:#}", previous.guest.digest())),
            previous_root: previous.as_deref().map(root),
            history: active
                .map(|active| active.history().events())
                .unwrap_or_default()
                .into_iter()
                .map(EventBody::from)
                .collect(),
            reloads: self.reloads.events().into_iter().map(ReloadBody::from).collect(),
            requests: match of.name().filter(|_| is_named) {
                Some(name) => self.metrics.responses_of(name),
                None => Some(self.metrics.responses()),
            },
            connections: ConnectionsBody { idle, active: busy, writing },
            access_log_lost_lines: self.lost_lines(),
            disks: disks().map(|(device, load)| disk_body(device, &load)).collect(),
            limits: LimitsBody {
                guest_deadline_ms: decision.deadline.as_millis(),
                guest_memory_bytes: decision.memory_bytes,
                guest_stack_bytes: self.limits.stack_bytes,
                decision_cache_bytes: self.limits.decision_cache_bytes,
                line_bytes: connection.request.line_bytes,
                head_bytes: connection.request.head_bytes,
                requests_per_connection: connection.requests,
            },
        }
    }

    /// All sites.
    pub(super) fn list(&self) -> SitesBody {
        let sites = self.sites.all();
        let body = |site: &Arc<SiteSubject>| {
            site.body(match site.name() {
                Some(name) => self.metrics.responses_of(name),
                None => Some(self.metrics.responses()),
            })
        };
        SitesBody::new(sites.iter().map(body).collect())
    }

    /// Whether guests can be compiled, where other guests than the built-in one can come.
    pub(super) fn compiler_is_available(&self) -> Option<bool> {
        self.helpers.as_ref().map(Helpers::are_at_hand)
    }

    /// Lines of the access log that were lost.
    pub(super) fn lost_lines(&self) -> u64 {
        self.service.logs().iter().map(|log| log.lost()).sum()
    }
}

/// Whether a site is served, or why not, while these devices do not respond.
fn serves(of: &SiteSubject, stalled: &[u64]) -> Result<(), Unhealthy> {
    let active = of.site.active.as_ref().map_err(|why| Unhealthy::Site(why.to_string()))?;
    let root = active.current().files.device();
    match stalled.contains(&root) {
        true => Err(Unhealthy::Root),
        false => Ok(()),
    }
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// The work for each device, with its number as it is shown.
pub(super) fn disks() -> impl Iterator<Item = (String, DeviceLoad)> {
    let numbered = |load: DeviceLoad| Some((place::shown(load.device?), load));
    disk::loads().into_iter().filter_map(numbered)
}

fn disk_body(device: String, load: &DeviceLoad) -> DiskBody {
    let DeviceLoad { threads, running, waiting, late: timeouts, is_stalled: stalled, .. } = *load;
    DiskBody { device, threads, running, waiting, timeouts, stalled }
}
