//! Counts what happens, for those who watch over the server.
//!
//! Each worker counts on cache lines of its own; the sums are made when somebody
//! asks, and [`exposition`] has them in Prometheus' form. Names are those of its
//! conventions: base units, `_total` for what only grows.

pub mod exposition;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;

use crate::in_flight::{FILES, REPLIES};
use exposition::histogram;
pub use exposition::{counter, gauge, write};

/// Who decided how a request was answered, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The guest: with the index page of one directory.
    Index,
    /// The guest: with one file.
    File,
    /// The guest: with several candidates, another status or further fields.
    Serve,
    /// The guest: with nothing.
    NotFound,
    /// The guest: with a redirect.
    Redirect,
    /// The guest: with an answer of its own.
    Reply,
    /// Nobody: the guest failed.
    Failed(Failed),
    /// The host, without asking the guest.
    Host,
}

/// How a guest failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// All instances were in use.
    Busy,
    /// It took too long.
    Deadline,
    /// It wanted too much memory.
    Memory,
    /// It trapped.
    Trap,
    /// Its decision was refused.
    Refused,
}

/// Names of [`Decided`], in the order of their numbers.
const DECIDED: [&str; 8] =
    ["index", "file", "serve", "not-found", "redirect", "reply", "failed", "host"];

/// Names of [`Failed`], in the order of their numbers.
const FAILED: [&str; 5] = ["busy", "deadline", "memory", "trap", "refused"];

/// Classes of statuses: 2xx to 5xx. There are no others.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the histogram of answers, in microseconds: a small file from
/// memory takes 10 µs, a large one to a slow client minutes.
const ANSWER_BOUNDS: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000];

/// Upper bounds of the histogram of decisions that were computed, in microseconds: the
/// default guest takes 10 µs, one in Python 2 ms, and the default deadline is 100 ms.
const DECISION_BOUNDS: [u64; 10] = [5, 10, 20, 50, 100, 500, 2_500, 10_000, 50_000, 100_000];

impl Decided {
    /// Its name, in metrics and logs.
    pub fn name(self) -> &'static str {
        DECIDED[self.number()]
    }

    fn number(self) -> usize {
        match self {
            Decided::Index => 0,
            Decided::File => 1,
            Decided::Serve => 2,
            Decided::NotFound => 3,
            Decided::Redirect => 4,
            Decided::Reply => 5,
            Decided::Failed(_) => 6,
            Decided::Host => 7,
        }
    }
}

impl Failed {
    fn number(self) -> usize {
        match self {
            Failed::Busy => 0,
            Failed::Deadline => 1,
            Failed::Memory => 2,
            Failed::Trap => 3,
            Failed::Refused => 4,
        }
    }
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Who decided on it.
    pub decided: Decided,
    /// How the guest failed in whose place an earlier one decided.
    pub failed: Option<Failed>,
    /// How long the decision was computed; `None` if it was remembered, or none was
    /// made.
    pub compute_time: Option<Duration>,
    /// From the request's last byte to the answer's.
    pub took: Duration,
}

/// What all workers counted.
pub struct Metrics {
    started: SystemTime,
    workers: Box<[Worker]>,
}

/// What one worker counted. Two cache lines: processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Worker {
    accepted: AtomicU64,
    closed: AtomicU64,
    /// Requests that arrived whole, and answers that were sent or given up.
    begun: AtomicU64,
    done: AtomicU64,
    /// How often a client was found not to have taken what was sent, and had taken it or was
    /// gone.
    untaken: AtomicU64,
    taken: AtomicU64,
    answers: [[AtomicU64; DECIDED.len()]; CLASSES.len()],
    failed: [AtomicU64; FAILED.len()],
    body_bytes: AtomicU64,
    cut: AtomicU64,
    remembered: AtomicU64,
    took: Times<{ ANSWER_BOUNDS.len() }>,
    computed: Times<{ DECISION_BOUNDS.len() }>,
}

/// How often something took how long.
struct Times<const N: usize> {
    /// By the first bound that is not exceeded; what exceeds all is in `count` alone.
    within: [AtomicU64; N],
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl<const N: usize> Default for Times<N> {
    fn default() -> Self {
        Times {
            within: std::array::from_fn(|_| AtomicU64::new(0)),
            count: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Times<N> {
    fn note(&self, took: Duration, bounds: &[u64; N]) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(within) = bounds.iter().position(|&bound| micros <= bound) {
            add(&self.within[within], 1);
        }
        add(&self.count, 1);
        add(&self.nanoseconds, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A connection, for as long as it is counted as one.
pub struct Open<'a>(&'a Worker);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        add(&self.0.closed, 1);
    }
}

/// A request that is being answered.
pub struct Active<'a>(&'a Worker);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        add(&self.0.done, 1);
    }
}

/// A response that was sent, and that the client has not taken.
pub struct Writing<'a>(&'a Worker);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        add(&self.0.taken, 1);
    }
}

/// Open connections, by what is done on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// They wait for a request.
    pub idle: u64,
    /// A request on them is answered.
    pub active: u64,
    /// Their last response was sent, and the client has not taken all of it.
    pub writing: u64,
}

impl Metrics {
    /// For so many workers.
    pub fn new(workers: usize) -> Metrics {
        let workers = (0..workers.max(1)).map(|_| Worker::default()).collect();
        Metrics { started: SystemTime::now(), workers }
    }

    fn worker(&self, number: usize) -> &Worker {
        &self.workers[number % self.workers.len()]
    }

    /// Counts a connection, until what this gives is dropped.
    pub fn connection(&self, worker: usize) -> Open<'_> {
        let worker = self.worker(worker);
        add(&worker.accepted, 1);
        Open(worker)
    }

    /// Counts a request as being answered, until what this gives is dropped.
    pub fn request(&self, worker: usize) -> Active<'_> {
        let worker = self.worker(worker);
        add(&worker.begun, 1);
        Active(worker)
    }

    /// Counts a connection as one whose client has not taken what was sent, until what this
    /// gives is dropped.
    pub fn writing(&self, worker: usize) -> Writing<'_> {
        let worker = self.worker(worker);
        add(&worker.untaken, 1);
        Writing(worker)
    }

    /// Counts what a client took of an answer's body, and whether the answer was cut.
    pub fn taken(&self, worker: usize, body_bytes: u64, is_cut: bool) {
        let worker = self.worker(worker);
        add(&worker.body_bytes, body_bytes);
        if is_cut {
            add(&worker.cut, 1);
        }
    }

    /// Counts an answer.
    pub fn answered(&self, worker: usize, answer: &Answered) {
        let worker = self.worker(worker);
        let class = usize::from(answer.status / 100).clamp(2, 5) - 2;
        add(&worker.answers[class][answer.decided.number()], 1);
        worker.took.note(answer.took, &ANSWER_BOUNDS);
        if let Some(how) = answer.failed {
            add(&worker.failed[how.number()], 1);
        }
        match (answer.decided, answer.compute_time) {
            (Decided::Host, _) => {}
            (Decided::Failed(how), _) => add(&worker.failed[how.number()], 1),
            (_, Some(took)) => worker.computed.note(took, &DECISION_BOUNDS),
            (_, None) => add(&worker.remembered, 1),
        }
    }

    fn sum(&self, counter: impl Fn(&Worker) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| read(counter(worker))).sum()
    }

    /// Answers that were given.
    pub fn answers(&self) -> u64 {
        self.sum(|worker| &worker.took.count)
    }

    /// Connections that are open.
    pub fn connections(&self) -> Connections {
        let open = self.sum(|worker| &worker.accepted).saturating_sub(self.sum(|w| &w.closed));
        let active = self.sum(|worker| &worker.begun).saturating_sub(self.sum(|w| &w.done));
        let writing = self.sum(|worker| &worker.untaken).saturating_sub(self.sum(|w| &w.taken));
        // They are not read at one moment.
        let active = active.min(open);
        let writing = writing.min(open - active);
        Connections { idle: open - active - writing, active, writing }
    }

    /// All of it, as the `prometheus` crate has it.
    pub fn families(&self) -> Vec<MetricFamily> {
        let mut answers = Vec::new();
        for (class, class_name) in CLASSES.iter().enumerate() {
            for (decided, decided_name) in DECIDED.iter().enumerate() {
                let count = self.sum(|worker| &worker.answers[class][decided]);
                answers.push((vec![("status", *class_name), ("decision", *decided_name)], count));
            }
        }
        let failures = FAILED.iter().enumerate().map(|(number, name)| {
            (vec![("kind", *name)], self.sum(|worker| &worker.failed[number]))
        });
        let Connections { idle, active, writing } = self.connections();
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        vec![
            counter(
                "innkeeper_http_requests_total",
                "Answers, by class of their status and by who decided on them.",
                answers,
            ),
            histogram(
                "innkeeper_http_request_duration_seconds",
                "Time from a request's last byte to its answer's.",
                self.workers.iter().map(|worker| &worker.took),
                &ANSWER_BOUNDS,
            ),
            counter(
                "innkeeper_http_response_body_bytes_total",
                "Bytes of bodies that clients took.",
                [(vec![], self.sum(|worker| &worker.body_bytes))],
            ),
            counter(
                "innkeeper_http_responses_cut_total",
                "Answers of which the client did not take all.",
                [(vec![], self.sum(|worker| &worker.cut))],
            ),
            counter(
                "innkeeper_connections_accepted_total",
                "Connections that were accepted.",
                [(vec![], self.sum(|worker| &worker.accepted))],
            ),
            gauge(
                "innkeeper_connections",
                "Open connections: idle ones wait for a request, active ones are answered, and \
                 those that are writing wait for the client to take its answer.",
                [
                    (vec![("state", "idle")], idle as f64),
                    (vec![("state", "active")], active as f64),
                    (vec![("state", "writing")], writing as f64),
                ],
            ),
            counter(
                "innkeeper_decisions_remembered_total",
                "Decisions that the guest had made before.",
                [(vec![], self.sum(|worker| &worker.remembered))],
            ),
            histogram(
                "innkeeper_decision_duration_seconds",
                "Time that decisions took which the guest had not made before.",
                self.workers.iter().map(|worker| &worker.computed),
                &DECISION_BOUNDS,
            ),
            counter(
                "innkeeper_guest_failures_total",
                "Requests on which the guest gave no decision.",
                failures,
            ),
            gauge(
                "innkeeper_response_memory_bytes",
                "Bytes in memory that responses are being sent from, each content once.",
                [
                    (vec![("kind", "file")], FILES.bytes() as f64),
                    (vec![("kind", "reply")], REPLIES.bytes() as f64),
                ],
            ),
            counter(
                "innkeeper_response_memory_refused_total",
                "How often they were too many: a file was sent from the disk, a reply with 503.",
                [
                    (vec![("kind", "file")], FILES.refused()),
                    (vec![("kind", "reply")], REPLIES.refused()),
                ],
            ),
            gauge(
                "innkeeper_start_time_seconds",
                "When the server was started, since 1970.",
                [(vec![], started.as_secs_f64())],
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, Connections, Decided, Failed, Metrics, write};
    use std::time::Duration;

    fn answered(status: u16, decided: Decided, micros: u64) -> Answered {
        let took = Duration::from_micros(micros);
        Answered { status, decided, failed: None, compute_time: None, took }
    }

    #[test]
    fn workers_are_summed() {
        let metrics = Metrics::new(2);
        let open = [0, 1, 1].map(|worker| metrics.connection(worker));
        let active = metrics.request(1);
        let writing = metrics.writing(1);
        metrics.answered(0, &answered(200, Decided::Serve, 40));
        metrics.answered(1, &answered(204, Decided::Serve, 60));
        metrics.answered(1, &answered(500, Decided::Failed(Failed::Trap), 20_000_000));
        let compute_time = Some(Duration::from_micros(7));
        metrics.answered(0, &Answered { compute_time, ..answered(404, Decided::NotFound, 1) });
        metrics.taken(0, 25, false);
        metrics.taken(1, 15, true);
        assert_eq!(metrics.connections(), Connections { idle: 1, active: 1, writing: 1 });
        let text = write(&metrics.families());
        for line in [
            r#"innkeeper_http_requests_total{status="2xx",decision="serve"} 2"#,
            r#"innkeeper_http_requests_total{status="5xx",decision="failed"} 1"#,
            r#"innkeeper_http_requests_total{status="4xx",decision="host"} 0"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="0.00005"} 2"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="10"} 3"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="+Inf"} 4"#,
            "innkeeper_http_request_duration_seconds_count 4",
            "innkeeper_http_response_body_bytes_total 40",
            "innkeeper_http_responses_cut_total 1",
            r#"innkeeper_connections{state="writing"} 1"#,
            "innkeeper_decisions_remembered_total 2",
            r#"innkeeper_decision_duration_seconds_bucket{le="0.00001"} 1"#,
            r#"innkeeper_guest_failures_total{kind="trap"} 1"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        drop((open, active, writing));
        assert_eq!(metrics.connections(), Connections { idle: 0, active: 0, writing: 0 });
    }
}
