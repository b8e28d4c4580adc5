//! The state of the server: its health and its status.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::acme::AcmeBody;
use super::api::{
    ConnectionsBody, DiskBody, EventBody, GuestBody, LimitsBody, RulesBody, SandboxBody, StatusBody,
};
use super::certificates::TlsBody;
use crate::acme::Link;
use crate::clock;
use crate::disk::{self, DeviceLoad, place};
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::guest::{GuestLimits, LoadedGuest};
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
    /// What it serves.
    pub root: String,
    /// Its threads that serve.
    pub workers: usize,
    /// What its guests may use.
    pub limits: GuestLimits,
    /// The guest's file, if there is one.
    pub guest_file: Option<String>,
    /// The file of its data, if there is one.
    pub data_file: Option<String>,
    /// Tells of the table of rules with this digest, if rules may decide.
    pub rules: Option<Box<dyn Fn(Digest) -> Option<RulesBody> + Send + Sync>>,
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

    /// Whether requests are served, or why not.
    pub(super) fn readiness(&self) -> Result<(), Unhealthy> {
        if !*self.is_ready.borrow() {
            return Err(Unhealthy::Stopping);
        }
        let root = self.service.active.current().files.device();
        match disk::loads().iter().any(|load| load.is_stalled && load.device == Some(root)) {
            true => Err(Unhealthy::Root),
            false => Ok(()),
        }
    }

    /// The status.
    pub(super) fn status(&self) -> StatusBody {
        let active = &self.service.active;
        let guest = &active.current().guest;
        let metrics::Connections { idle, active: busy, writing } = self.metrics.connections();
        let connection = &self.connection_limits;
        let sandbox = self.sandbox.as_ref();
        StatusBody {
            version: env!("CARGO_PKG_VERSION"),
            ready: *self.is_ready.borrow(),
            started: clock::rfc3339_of(self.started.1),
            uptime_s: self.started.0.elapsed().as_secs(),
            listeners: self.listeners.clone(),
            root: self.root.clone(),
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
            guest: GuestBody::new(guest, self.guest_file.clone(), self.data_file.clone()),
            rules: self.rules(guest),
            previous: active.previous().map(|previous| format!("{:#}", previous.guest.digest())),
            history: active.history().events().into_iter().map(EventBody::from).collect(),
            requests: self.metrics.responses(),
            connections: ConnectionsBody { idle, active: busy, writing },
            access_log_lost_lines: self.lost_lines(),
            disks: disks().map(|(device, load)| disk_body(device, &load)).collect(),
            limits: LimitsBody {
                guest_deadline_ms: self.limits.deadline.as_millis(),
                guest_memory_bytes: self.limits.memory_bytes,
                guest_stack_bytes: self.limits.stack_bytes,
                decision_cache_bytes: self.limits.decision_cache_bytes,
                line_bytes: connection.request.line_bytes,
                head_bytes: connection.request.head_bytes,
                requests_per_connection: connection.requests,
            },
        }
    }

    /// The rules in force, while rules decide.
    fn rules(&self, guest: &LoadedGuest) -> Option<RulesBody> {
        let rules = self.rules.as_ref().filter(|_| guest.origin() == Origin::Rules)?;
        rules(guest.identity().data?)
    }

    /// Whether guests can be compiled, where other guests than the built-in one can come.
    pub(super) fn compiler_is_available(&self) -> Option<bool> {
        self.helpers.as_ref().map(Helpers::are_at_hand)
    }

    /// Lines of the access log that were lost.
    pub(super) fn lost_lines(&self) -> u64 {
        self.service.log.as_ref().map_or(0, |log| log.lost())
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
