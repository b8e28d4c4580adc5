//! The JSON of the administration, all of its shapes. They are described in the manual and are
//! stable: a key is never renamed, and its meaning never changes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::acme::AcmeBody;
use super::certificates::TlsBody;
use super::changes::ChangeBody;
use super::reload_history::ReloadEvent;
use crate::clock;
use crate::guest::LoadedGuest;
use crate::guest::decision::Kind;
use crate::guest::validation::cases::CaseOutcome;
use crate::guest::validation::compare::Difference;
use crate::guest::validation::report::ValidationReport;
use crate::release::Generation;
use crate::release::deploy::RolledBack;
use crate::release::history::Event;
use crate::text::plain_json;

/// A body, as text.
pub(super) fn to_json(body: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(body);
    let json = json.expect("keys are texts, and numbers are finite");
    format!("{}\n", plain_json(&json))
}

/// The body of a response with a status from 400, where there is no other.
#[derive(Serialize)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorObject,
}

/// What went wrong.
#[derive(Serialize)]
pub(super) struct ErrorObject {
    /// For programs. It is stable.
    pub(super) code: &'static str,
    /// For people. It may change.
    pub(super) message: String,
}

/// The body of `PUT /guest` and `POST /check`.
#[derive(Serialize)]
pub(super) struct ReportBody {
    digest: String,
    guest_digest: String,
    data_digest: Option<String>,
    accepted: bool,
    error: Option<ErrorObject>,
    active: bool,
    form: Option<&'static str>,
    imports: Vec<String>,
    interests: Vec<String>,
    compile_ms: f64,
    check_ms: f64,
    request_lines: usize,
    trials: usize,
    skipped_trials: usize,
    decisions: BTreeMap<&'static str, usize>,
    warnings: Vec<String>,
    cases: Vec<CaseOutcome>,
    skipped_cases: usize,
    compared: usize,
    differing: usize,
    changes: Vec<ChangeBody>,
    differences: Vec<DifferenceBody>,
}

#[derive(Serialize)]
struct DifferenceBody {
    request: String,
    current: String,
    candidate: String,
}

impl ReportBody {
    /// Of a report, with what its differences mean for clients.
    pub(super) fn new(report: ValidationReport, changes: Vec<ChangeBody>) -> ReportBody {
        let (identity, accepted) = (report.identity, report.is_accepted());
        let error = report
            .error
            .map(|error| ErrorObject { code: error.code(), message: error.to_string() });
        let mut body = ReportBody {
            digest: format!("{:#}", identity.digest()),
            guest_digest: format!("{:#}", identity.guest),
            data_digest: identity.data.map(|data| format!("{data:#}")),
            accepted,
            error,
            active: report.is_active,
            form: None,
            imports: Vec::new(),
            interests: Vec::new(),
            compile_ms: 0.0,
            check_ms: 0.0,
            request_lines: 0,
            trials: 0,
            skipped_trials: 0,
            decisions: BTreeMap::new(),
            warnings: Vec::new(),
            cases: Vec::new(),
            skipped_cases: 0,
            compared: 0,
            differing: 0,
            changes,
            differences: Vec::new(),
        };
        if let Some(details) = report.details {
            body.form = Some(details.form.name());
            body.imports = details.imports;
            body.interests = details.interests;
            body.compile_ms = milliseconds(details.compile);
            body.check_ms = milliseconds(details.check);
            body.request_lines = details.lines;
            body.trials = details.trials;
            body.skipped_trials = details.skipped_trials;
            body.decisions =
                details.kinds.iter().map(|(kind, &count)| (Kind::name(*kind), count)).collect();
            body.warnings = details.warnings;
            body.cases = details.cases;
            body.skipped_cases = details.skipped_cases;
            body.compared = details.comparison.compared;
            body.differing = details.comparison.differing;
            let differences = details.comparison.differences.into_iter();
            body.differences = differences.map(DifferenceBody::from).collect();
        }
        body
    }
}

impl From<Difference> for DifferenceBody {
    fn from(Difference { request, current, candidate }: Difference) -> DifferenceBody {
        DifferenceBody { request, current, candidate }
    }
}

/// The body of `POST /rollback`.
#[derive(Serialize)]
pub(super) struct RollbackBody {
    active: String,
    active_root: String,
    replaced: String,
    replaced_root: String,
}

impl From<RolledBack> for RollbackBody {
    fn from(RolledBack { restored, replaced }: RolledBack) -> RollbackBody {
        let digest = |of: &Generation| format!("{:#}", of.guest.digest());
        RollbackBody {
            active: digest(&restored),
            active_root: root(&restored),
            replaced: digest(&replaced),
            replaced_root: root(&replaced),
        }
    }
}

/// The directory of a generation's files.
pub(super) fn root(of: &Generation) -> String {
    of.files.directory().display().to_string()
}

/// The body of `GET /status`.
#[derive(Serialize)]
pub(super) struct StatusBody {
    pub(super) version: &'static str,
    pub(super) ready: bool,
    pub(super) started: String,
    pub(super) uptime_s: u64,
    pub(super) listeners: Vec<String>,
    pub(super) root: String,
    pub(super) active_root: Option<String>,
    pub(super) site: Option<String>,
    pub(super) sites: usize,
    pub(super) broken_sites: Vec<String>,
    pub(super) site_error: Option<String>,
    pub(super) workers: usize,
    pub(super) sandbox: SandboxBody,
    pub(super) compiler: &'static str,
    pub(super) tls: Option<TlsBody>,
    pub(super) acme: Option<AcmeBody>,
    pub(super) guest: Option<GuestBody>,
    /// The rules in force, if rules decide.
    pub(super) rules: Option<RulesBody>,
    pub(super) previous: Option<String>,
    pub(super) previous_root: Option<String>,
    pub(super) history: Vec<EventBody>,
    pub(super) reloads: Vec<ReloadBody>,
    pub(super) requests: Option<u64>,
    pub(super) connections: ConnectionsBody,
    pub(super) access_log_lost_lines: u64,
    pub(super) disks: Vec<DiskBody>,
    pub(super) limits: LimitsBody,
}

/// The rules in force.
#[derive(Serialize)]
pub struct RulesBody {
    /// Where they come from, in order of precedence.
    pub sources: Vec<RuleSourceBody>,
    /// How many may be mistakes.
    pub warnings: usize,
}

/// How many rules one source has.
#[derive(Serialize)]
pub struct RuleSourceBody {
    /// The source: the path of a file, a flag or a variable.
    pub source: String,
    /// Redirects, rewrites and error pages.
    pub redirects: usize,
    /// Rules for response fields.
    pub headers: usize,
    /// Other rules.
    pub others: usize,
}

#[derive(Serialize)]
pub(super) struct SandboxBody {
    pub(super) files: &'static str,
    pub(super) system_calls: &'static str,
    /// What may be read and written all the same, where there is a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reads: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) writes: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct GuestBody {
    origin: &'static str,
    file: Option<String>,
    data_file: Option<String>,
    digest: String,
    guest_digest: String,
    data_digest: Option<String>,
    configurable: bool,
    form: &'static str,
    imports: Vec<String>,
    interests: Vec<String>,
    decision_cache_hits: u64,
    decision_cache_misses: u64,
    live: Option<bool>,
    not_live: Option<String>,
    failures: FailuresBody,
}

#[derive(Serialize)]
struct FailuresBody {
    busy: u64,
    deadline: u64,
    memory: u64,
    trap: u64,
    refused: u64,
}

impl GuestBody {
    /// Of the guest that serves; `file` is the one that is watched, `data_file` that of its data.
    pub(super) fn new(
        guest: &LoadedGuest,
        file: Option<String>,
        data_file: Option<String>,
    ) -> GuestBody {
        let (counts, identity) = (guest.counts(), guest.identity());
        GuestBody {
            origin: guest.origin().name(),
            file,
            data_file,
            digest: format!("{:#}", guest.digest()),
            guest_digest: format!("{:#}", identity.guest),
            data_digest: identity.data.map(|data| format!("{data:#}")),
            configurable: guest.is_configurable(),
            form: guest.form().name(),
            imports: guest.imports().to_vec(),
            interests: guest.interests().map(str::to_owned).collect(),
            decision_cache_hits: counts.cache_hits,
            decision_cache_misses: counts.cache_misses,
            live: guest.liveness().map(|live| live.is_ok()),
            not_live: guest.liveness().and_then(Result::err).map(ToString::to_string),
            failures: FailuresBody {
                busy: counts.busy,
                deadline: counts.deadline,
                memory: counts.memory,
                trap: counts.trap,
                refused: counts.refused,
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct EventBody {
    at: String,
    outcome: &'static str,
    digest: Option<String>,
    message: String,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> EventBody {
        EventBody {
            at: clock::rfc3339_of(event.at),
            outcome: event.outcome.name(),
            digest: event.digest.map(|digest| format!("{digest:#}")),
            message: event.message,
        }
    }
}

#[derive(Serialize)]
pub(super) struct ReloadBody {
    at: String,
    outcome: &'static str,
    message: String,
}

impl From<ReloadEvent> for ReloadBody {
    fn from(event: ReloadEvent) -> ReloadBody {
        let ReloadEvent { at, is_rejected, message } = event;
        let outcome = if is_rejected { "rejected" } else { "reloaded" };
        ReloadBody { at: clock::rfc3339_of(at), outcome, message }
    }
}

#[derive(Serialize)]
pub(super) struct ConnectionsBody {
    pub(super) idle: u64,
    pub(super) active: u64,
    pub(super) writing: u64,
}

#[derive(Serialize)]
pub(super) struct DiskBody {
    pub(super) device: String,
    pub(super) threads: &'static str,
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) timeouts: u64,
    pub(super) stalled: bool,
}

#[derive(Serialize)]
pub(super) struct LimitsBody {
    pub(super) guest_deadline_ms: u128,
    pub(super) guest_memory_bytes: usize,
    pub(super) guest_stack_bytes: usize,
    pub(super) decision_cache_bytes: u64,
    pub(super) line_bytes: usize,
    pub(super) head_bytes: usize,
    pub(super) requests_per_connection: u32,
}

/// In hundredths.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}
