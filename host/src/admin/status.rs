//! What the server tells about itself, as JSON and as metrics.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use prometheus::proto::MetricFamily;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock;
use crate::diagnostics;
use crate::disk::{self, DeviceLoad, place};
use crate::guest::release::history::Outcome;
use crate::guest::{GuestLimits, LoadedGuest};
use crate::helper::Helpers;
use crate::http1;
use crate::metrics::{self, Metrics};
use crate::panics;
use crate::sandbox::Sandbox;
use crate::service::Service;
use crate::text::plain_json;

/// The server that is told about.
pub struct Subject {
    /// What its connections share.
    pub service: Arc<Service>,
    /// The bounds on its connections.
    pub connection_limits: http1::Limits,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Whether it accepts connections.
    pub is_ready: watch::Receiver<bool>,
    /// Whether all workers are at work.
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
    /// What it gave up, unless that was not wanted.
    pub sandbox: Option<Sandbox>,
    /// What compiles guests, if others than the built-in one can come.
    pub helpers: Option<Helpers>,
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

impl Subject {
    /// The ports that it listens at.
    pub(super) fn ports(&self) -> Vec<u16> {
        let port = |listener: &String| listener.rsplit(':').next()?.parse().ok();
        self.listeners.iter().filter_map(port).collect()
    }
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    ready: bool,
    started: String,
    uptime_s: u64,
    listeners: Vec<String>,
    root: String,
    workers: usize,
    lockdown: LockdownStatus,
    compiler: &'static str,
    guest: GuestStatus,
    previous: Option<String>,
    history: Vec<EventStatus>,
    requests: u64,
    connections: Connections,
    access_log_lost: u64,
    disks: Vec<DiskStatus>,
    limits: LimitsStatus,
}

#[derive(Serialize)]
struct DiskStatus {
    device: String,
    threads: &'static str,
    running: usize,
    waiting: usize,
    late: u64,
    stalled: bool,
}

#[derive(Serialize)]
struct LockdownStatus {
    files: &'static str,
    calls: &'static str,
    /// What may be read and written all the same, where there is a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<Vec<String>>,
}

#[derive(Serialize)]
struct GuestStatus {
    origin: &'static str,
    file: Option<String>,
    digest: String,
    form: String,
    imports: Vec<String>,
    interests: Vec<String>,
    remembered: u64,
    computed: u64,
    failed: Failures,
}

#[derive(Serialize)]
struct Failures {
    busy: u64,
    deadline: u64,
    memory: u64,
    trap: u64,
    refused: u64,
}

#[derive(Serialize)]
struct EventStatus {
    at: String,
    outcome: &'static str,
    digest: Option<String>,
    told: String,
}

#[derive(Serialize)]
struct Connections {
    idle: u64,
    active: u64,
    writing: u64,
}

#[derive(Serialize)]
struct LimitsStatus {
    guest_deadline_ms: u128,
    guest_memory_bytes: usize,
    guest_stack_bytes: usize,
    decision_memory_bytes: u64,
    line_bytes: usize,
    head_bytes: usize,
    requests_per_connection: u32,
}

impl Subject {
    /// Whether all is at work, or what is not.
    pub fn health(&self) -> Result<(), String> {
        if let Some(missed) = *self.missed_heartbeat.borrow() {
            return Err(missed.to_string());
        }
        match disks().find(|(_, load)| load.is_stalled) {
            Some((device, _)) => {
                Err(format!("the file system of device {device} does not respond"))
            }
            None => Ok(()),
        }
    }

    /// Whether requests are answered, or why not.
    pub fn readiness(&self) -> Result<(), String> {
        if !*self.is_ready.borrow() {
            return Err("stopping".to_owned());
        }
        let root = self.service.files.device();
        match disk::loads().iter().any(|load| load.is_stalled && load.device == Some(root)) {
            true => Err("the root's file system gives no answer".to_owned()),
            false => Ok(()),
        }
    }

    /// All of it, as an object of JSON.
    pub fn status(&self) -> String {
        let serving = &self.service.guest;
        let metrics::Connections { idle, active, writing } = self.metrics.connections();
        let connection = &self.connection_limits;
        let history = serving.history().events().into_iter();
        let status = Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: *self.is_ready.borrow(),
            started: clock::rfc3339_of(self.started.1),
            uptime_s: self.started.0.elapsed().as_secs(),
            listeners: self.listeners.clone(),
            root: self.root.clone(),
            workers: self.workers,
            lockdown: LockdownStatus {
                files: self.sandbox.as_ref().map_or("off", |sandbox| sandbox.files.name()),
                calls: self.sandbox.as_ref().map_or("off", |sandbox| sandbox.calls.name()),
                reads: self.sandbox.as_ref().map(|sandbox| shown(&sandbox.reads)),
                writes: self.sandbox.as_ref().map(|sandbox| shown(&sandbox.writes)),
            },
            compiler: match self.compiler_is_at_hand() {
                Some(true) => "ready",
                Some(false) => "gone",
                None => "off",
            },
            guest: guest(&serving.current(), self.guest_file.clone()),
            previous: serving.previous().map(|previous| format!("{:#}", previous.digest())),
            history: history
                .map(|event| EventStatus {
                    at: clock::rfc3339_of(event.at),
                    outcome: event.outcome.name(),
                    digest: event.digest.map(|digest| format!("{digest:#}")),
                    told: event.told,
                })
                .collect(),
            requests: self.metrics.responses(),
            connections: Connections { idle, active, writing },
            access_log_lost: self.lost(),
            disks: disks().map(|(device, load)| disk_status(device, &load)).collect(),
            limits: LimitsStatus {
                guest_deadline_ms: self.limits.deadline.as_millis(),
                guest_memory_bytes: self.limits.memory_bytes,
                guest_stack_bytes: self.limits.stack_bytes,
                decision_memory_bytes: self.limits.decision_cache_bytes,
                line_bytes: connection.line_bytes,
                head_bytes: connection.head_bytes,
                requests_per_connection: connection.requests,
            },
        };
        let status = serde_json::to_string_pretty(&status);
        plain_json(&status.expect("names are texts, and numbers are finite")).into_owned()
    }

    /// Whether other guests can be compiled, where some can come.
    fn compiler_is_at_hand(&self) -> Option<bool> {
        self.helpers.as_ref().map(Helpers::are_at_hand)
    }

    fn lost(&self) -> u64 {
        self.service.log.as_ref().map_or(0, |log| log.lost())
    }

    /// All that is counted, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        let history = self.service.guest.history();
        let digest = self.service.guest.current().digest().to_string();
        let swaps =
            Outcome::ALL.map(|outcome| (vec![("outcome", outcome.name())], history.count(outcome)));
        let mut families: Vec<MetricFamily> = self.metrics.families();
        families.extend(disk_families());
        families.extend([
            metrics::counter(
                "innkeeper_guest_swaps_total",
                "Guests that were to be activated, by outcome.",
                swaps,
            ),
            metrics::gauge(
                "innkeeper_guest_info",
                "The active guest, by its digest.",
                [(vec![("digest", digest.as_str())], 1.0)],
            ),
            metrics::gauge(
                "innkeeper_compiler_ready",
                "1 if another guest can be compiled, else 0.",
                [(vec![], f64::from(u8::from(self.compiler_is_at_hand() != Some(false))))],
            ),
            metrics::counter(
                "innkeeper_access_log_lost_lines_total",
                "Lines of the access log that were lost.",
                [(vec![], self.lost())],
            ),
            metrics::counter(
                "innkeeper_diagnostics_lost_lines_total",
                "Lines of standard error that were lost.",
                [(vec![], diagnostics::lost())],
            ),
            metrics::counter(
                "innkeeper_panics_total",
                "Panics. Each is a fault of innkeeper.",
                [(vec![], panics::count())],
            ),
            metrics::gauge(
                "innkeeper_build_info",
                "The version of innkeeper.",
                [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)],
            ),
        ]);
        metrics::write(&families)
    }
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// What is done for each device, with its number as it is shown.
fn disks() -> impl Iterator<Item = (String, DeviceLoad)> {
    let numbered = |load: DeviceLoad| Some((place::shown(load.device?), load));
    disk::loads().into_iter().filter_map(numbered)
}

fn disk_status(device: String, load: &DeviceLoad) -> DiskStatus {
    let DeviceLoad { threads, running, waiting, late, is_stalled: stalled, .. } = *load;
    DiskStatus { device, threads, running, waiting, late, stalled }
}

fn disk_labels<'a>(
    disk: &'a (String, DeviceLoad),
    state: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let own = [("device", disk.0.as_str()), ("threads", disk.1.threads)];
    own.into_iter().chain(state.map(|state| ("state", state))).collect()
}

/// Nothing before a device was asked for something: a family without metrics is none.
fn disk_families() -> Vec<MetricFamily> {
    let disks: Vec<_> = disks().collect();
    if disks.is_empty() {
        return Vec::new();
    }
    let operations = disks.iter().flat_map(|disk| {
        [("running", disk.1.running), ("waiting", disk.1.waiting)]
            .map(|(state, count)| (disk_labels(disk, Some(state)), count as f64))
    });
    let late = disks.iter().map(|disk| (disk_labels(disk, None), disk.1.late));
    let stalled =
        disks.iter().map(|disk| (disk_labels(disk, None), f64::from(u8::from(disk.1.is_stalled))));
    vec![
        metrics::gauge(
            "innkeeper_disk_operations",
            "File operations that other threads than the workers do, by device and state.",
            operations,
        ),
        metrics::counter(
            "innkeeper_disk_timeouts_total",
            "File operations that did not finish in time, by device.",
            late,
        ),
        metrics::gauge(
            "innkeeper_disk_stalled",
            "1 for a device that does not respond, else 0.",
            stalled,
        ),
    ]
}

fn guest(generation: &LoadedGuest, file: Option<String>) -> GuestStatus {
    let counts = generation.counts();
    GuestStatus {
        origin: generation.origin().name(),
        file,
        digest: format!("{:#}", generation.digest()),
        form: generation.form().to_string(),
        imports: generation.imports().to_vec(),
        interests: generation.interests().map(str::to_owned).collect(),
        remembered: counts.cache_hits,
        computed: counts.cache_misses,
        failed: Failures {
            busy: counts.busy,
            deadline: counts.deadline,
            memory: counts.memory,
            trap: counts.trap,
            refused: counts.refused,
        },
    }
}
