//! Counts what happens, for monitoring.
//!
//! Each worker counts on cache lines of its own; the sums are made when they are read, and
//! [`exposition`] has them in the form of Prometheus. Names follow its conventions: base units,
//! and `_total` for what only grows.
//!
//! - `worker`: what one worker counts. `served`: what of it belongs to responses, and so to a site;
//!   `sites`: where there are several. `counter`: what it counts with.
//! - `labels`: values of labels. `process`: what the process uses.
//! - [`exposition`]: the text format. [`lately`]: what was asked lately, for people.

mod counter;
pub mod exposition;
mod labels;
pub mod lately;
mod process;
mod served;
mod sites;
mod worker;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;

use crate::in_flight::{FILES, REPLIES};
use counter::Counter;
use exposition::histogram;
pub use exposition::{Labels, counter, gauge, write};
pub use labels::{CLASSES, Decision, FailureKind, Handshake, Protocol};
use lately::Traffic;
pub use process::Process;
pub use served::Sample;
use served::{DECISION_BOUNDS, RESPONSE_BOUNDS, Served};
use sites::Sites;
pub use sites::{COUNTED_SITES, SiteCounters};
use worker::Worker;
pub use worker::{ActiveRequest, OpenConnection, WritingConnection};

/// The metrics of all workers.
pub struct Metrics {
    started: SystemTime,
    epoch: Instant,
    process: Process,
    workers: Box<[Worker]>,
    sites: Sites,
}

/// What is counted of the responses of one site, or of those that have none.
struct Group<'a> {
    site: Option<&'a str>,
    served: Vec<&'a Served>,
}

/// Open connections, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// They wait for a request.
    pub idle: u64,
    /// They handle a request.
    pub active: u64,
    /// Their last response was sent, and the client has not taken all of it.
    pub writing: u64,
}

impl Metrics {
    /// For this many workers, of this process.
    pub fn new(workers: usize, process: Process) -> Metrics {
        let workers = workers.max(1);
        Metrics {
            started: SystemTime::now(),
            epoch: Instant::now(),
            process,
            workers: (0..workers).map(|_| Worker::default()).collect(),
            sites: Sites::default(),
        }
    }

    fn worker(&self, number: usize) -> &Worker {
        &self.workers[number % self.workers.len()]
    }

    /// Counts a connection, until the result is dropped.
    pub fn connection(&self, worker: usize) -> OpenConnection<'_> {
        let worker = self.worker(worker);
        worker.accepted.add(1);
        OpenConnection(worker)
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, worker: usize, outcome: Handshake) {
        self.worker(worker).handshakes[outcome.number()].add(1);
    }

    /// Counts a request as active, until the result is dropped.
    pub fn request(&self, worker: usize) -> ActiveRequest<'_> {
        let worker = self.worker(worker);
        worker.begun.add(1);
        ActiveRequest(worker)
    }

    /// Counts a connection as one whose client has not taken what was sent, until the result is
    /// dropped.
    pub fn writing(&self, worker: usize) -> WritingConnection<'_> {
        let worker = self.worker(worker);
        worker.untaken.add(1);
        WritingConnection(worker)
    }

    /// What is counted for the site with this name, one of several: with its name as the label
    /// `site`, for [`COUNTED_SITES`] of them.
    pub fn site(&self, name: &str) -> Arc<SiteCounters> {
        self.sites.of(name, self.workers.len())
    }

    fn served<'a>(&'a self, worker: usize, site: Option<&'a SiteCounters>) -> &'a Served {
        site.map_or_else(|| &self.worker(worker).served, |site| site.of(worker))
    }

    /// Counts a response that was sent: of one of several sites, if it is.
    pub fn observe(&self, worker: usize, site: Option<&SiteCounters>, sample: &Sample) {
        self.served(worker, site).observe(sample);
    }

    /// Notes a response among what was asked lately.
    pub fn note(
        &self,
        worker: usize,
        site: Option<&SiteCounters>,
        response: &lately::Response<'_>,
    ) {
        self.served(worker, site).lately.note(response, self.epoch);
    }

    /// What was asked lately.
    pub fn traffic(&self) -> Traffic {
        let sites = self.sites.all();
        let served = self.groups(&sites).into_iter().flat_map(|group| group.served);
        Traffic::of(served.map(|served| &served.lately), self.epoch, Instant::now())
    }

    /// What was asked lately of the site with this name; `None` if it is not counted apart.
    pub fn traffic_of(&self, site: &str) -> Option<Traffic> {
        let counters = self.sites.find(site)?;
        let lately = counters.all().map(|served| &served.lately);
        Some(Traffic::of(lately, self.epoch, Instant::now()))
    }

    /// Counts what a client took of a response's body, and whether the response was aborted.
    pub fn delivered(
        &self,
        worker: usize,
        site: Option<&SiteCounters>,
        body_bytes: u64,
        is_aborted: bool,
    ) {
        let served = self.served(worker, site);
        served.body_bytes.add(body_bytes);
        if is_aborted {
            served.aborted.add(1);
        }
        if body_bytes > 0 {
            served.lately.delivered(body_bytes);
        }
    }

    /// Counts a stream of HTTP/2 for which there was no place.
    pub fn refused_stream(&self, worker: usize) {
        self.worker(worker).refused_streams.add(1);
    }

    fn sum(&self, counter: impl Fn(&Worker) -> &Counter) -> u64 {
        self.workers.iter().map(|worker| counter(worker).get()).sum()
    }

    /// What is counted of responses: first those of no site that is counted apart.
    fn groups<'a>(&'a self, sites: &'a [Arc<SiteCounters>]) -> Vec<Group<'a>> {
        let served = self.workers.iter().map(|worker| &worker.served).collect();
        let of_sites = sites.iter();
        let of_sites =
            of_sites.map(|site| Group { site: Some(site.name()), served: site.all().collect() });
        [Group { site: None, served }].into_iter().chain(of_sites).collect()
    }

    fn sum_served(&self, counter: impl Fn(&Served) -> &Counter) -> u64 {
        self.groups(&self.sites.all()).iter().map(|group| group.sum(&counter)).sum()
    }

    /// The number of responses that were sent.
    pub fn responses(&self) -> u64 {
        self.sum_served(|served| &served.response_time.count)
    }

    /// The number of responses of the site with this name; `None` if it is not counted apart.
    pub fn responses_of(&self, site: &str) -> Option<u64> {
        let counters = self.sites.find(site)?;
        Some(counters.all().map(|served| served.response_time.count.get()).sum())
    }

    /// Bytes of response bodies that clients took.
    pub fn body_bytes(&self) -> u64 {
        self.sum_served(|served| &served.body_bytes)
    }

    /// The connections that are open.
    pub fn connections(&self) -> Connections {
        let open = self.sum(|worker| &worker.accepted).saturating_sub(self.sum(|w| &w.closed));
        let active = self.sum(|worker| &worker.begun).saturating_sub(self.sum(|w| &w.done));
        let writing = self.sum(|worker| &worker.untaken).saturating_sub(self.sum(|w| &w.taken));
        // They are not read at one moment.
        let active = active.min(open);
        let writing = writing.min(open - active);
        Connections { idle: open - active - writing, active, writing }
    }

    /// All metrics, as the `prometheus` crate has them.
    pub fn families(&self) -> Vec<MetricFamily> {
        let sites = self.sites.all();
        let groups = self.groups(&sites);
        let mut responses = Vec::new();
        let mut failures = Vec::new();
        for group in &groups {
            for (protocol, protocol_name) in Protocol::NAMES.iter().enumerate() {
                for (class, class_name) in CLASSES.iter().enumerate() {
                    for (decision, decision_name) in Decision::NAMES.iter().enumerate() {
                        let count = group.sum(|it| &it.responses[protocol][class][decision]);
                        let own = [
                            ("status", *class_name),
                            ("decision", *decision_name),
                            ("protocol", *protocol_name),
                        ];
                        responses.extend(group.unless_zero(&own, count));
                    }
                }
            }
            for (number, name) in FailureKind::NAMES.iter().enumerate() {
                let count = group.sum(|served| &served.failures[number]);
                failures.extend(group.unless_zero(&[("kind", *name)], count));
            }
        }
        let each = |counter: fn(&Served) -> &Counter| {
            groups.iter().map(move |group| (group.labels(&[]), group.sum(counter)))
        };
        let handshakes = Handshake::NAMES.iter().enumerate().map(|(number, name)| {
            (vec![("outcome", *name)], self.sum(|worker| &worker.handshakes[number]))
        });
        let Connections { idle, active, writing } = self.connections();
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut families = vec![
            counter(
                "innkeeper_http_requests_total",
                "Responses, by class of their status, the decision that they follow and the version of \
                 HTTP.",
                responses,
            ),
            histogram(
                "innkeeper_http_request_duration_seconds",
                "Time from the last byte of a request to the last byte of its response.",
                groups.iter().map(|of| (of.labels(&[]), of.each(|it| &it.response_time))),
                &RESPONSE_BOUNDS,
            ),
            counter(
                "innkeeper_http_response_body_bytes_total",
                "Bytes of response bodies that clients took.",
                each(|served| &served.body_bytes),
            ),
            counter(
                "innkeeper_http_responses_aborted_total",
                "Responses of which the client did not take all.",
                each(|served| &served.aborted),
            ),
            counter(
                "innkeeper_http2_refused_streams_total",
                "Streams of HTTP/2 that were refused, as too many were being responded to.",
                [(vec![], self.sum(|worker| &worker.refused_streams))],
            ),
            counter(
                "innkeeper_connections_accepted_total",
                "Accepted connections.",
                [(vec![], self.sum(|worker| &worker.accepted))],
            ),
            counter("innkeeper_tls_handshakes_total", "TLS handshakes, by outcome.", handshakes),
            gauge(
                "innkeeper_connections",
                "Open connections, by state: idle waits for a request, active handles one, writing \
                 waits for the client to take its response.",
                [
                    (vec![("state", "idle")], idle as f64),
                    (vec![("state", "active")], active as f64),
                    (vec![("state", "writing")], writing as f64),
                ],
            ),
            counter(
                "innkeeper_decision_cache_hits_total",
                "Decisions from the decision cache.",
                each(|served| &served.cache_hits),
            ),
            histogram(
                "innkeeper_decision_duration_seconds",
                "Time that a guest took for a decision that was not cached.",
                groups.iter().map(|of| (of.labels(&[]), of.each(|it| &it.compute_time))),
                &DECISION_BOUNDS,
            ),
            counter(
                "innkeeper_guest_failures_total",
                "Requests on which a guest failed, by kind of failure.",
                failures,
            ),
            gauge(
                "innkeeper_response_memory_bytes",
                "Memory that responses are sent from; content that several share counts once.",
                [
                    (vec![("kind", "file")], FILES.bytes() as f64),
                    (vec![("kind", "reply")], REPLIES.bytes() as f64),
                ],
            ),
            counter(
                "innkeeper_response_memory_refused_total",
                "Responses for which that memory was full: a file was sent from the disk, a reply \
                 became a 503.",
                [
                    (vec![("kind", "file")], FILES.refused()),
                    (vec![("kind", "reply")], REPLIES.refused()),
                ],
            ),
            gauge(
                "innkeeper_start_time_seconds",
                "Time of the start of the server, in seconds since 1970.",
                [(vec![], started.as_secs_f64())],
            ),
        ];
        families.extend(self.process.families(started));
        families
    }
}

impl<'a> Group<'a> {
    fn sum(&self, counter: impl Fn(&Served) -> &Counter) -> u64 {
        self.served.iter().map(|served| counter(served).get()).sum()
    }

    fn each<T: 'a>(&self, part: fn(&Served) -> &T) -> Vec<&'a T> {
        self.served.iter().map(|served| part(served)).collect()
    }

    /// These labels, and the one of the site.
    fn labels(&self, own: &[(&'a str, &'a str)]) -> Labels<'a> {
        self.site.map(|site| ("site", site)).into_iter().chain(own.iter().copied()).collect()
    }

    /// A number with its labels; one of many sites only if it is not 0.
    fn unless_zero(&self, own: &[(&'a str, &'a str)], count: u64) -> Option<(Labels<'a>, u64)> {
        (self.site.is_none() || count > 0).then(|| (self.labels(own), count))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        COUNTED_SITES, Connections, Decision, FailureKind, Metrics, Process, Protocol, Sample,
        write,
    };
    use std::time::Duration;

    fn sample(status: u16, decision: Decision, micros: u64) -> Sample {
        let duration = Duration::from_micros(micros);
        let protocol = if status == 500 { Protocol::Http2 } else { Protocol::Http11 };
        Sample { protocol, status, decision, masked_failure: None, compute_time: None, duration }
    }

    #[test]
    fn workers_are_summed() {
        let metrics = Metrics::new(2, Process::open());
        let open = [0, 1, 1].map(|worker| metrics.connection(worker));
        let active = metrics.request(1);
        let writing = metrics.writing(1);
        metrics.observe(0, None, &sample(200, Decision::Serve, 40));
        metrics.observe(1, None, &sample(204, Decision::Serve, 60));
        metrics.observe(1, None, &sample(500, Decision::Failed(FailureKind::Trap), 20_000_000));
        let compute_time = Some(Duration::from_micros(7));
        metrics.observe(0, None, &Sample { compute_time, ..sample(404, Decision::NotFound, 1) });
        metrics.delivered(0, None, 25, false);
        metrics.delivered(1, None, 15, true);
        assert_eq!(metrics.connections(), Connections { idle: 1, active: 1, writing: 1 });
        let text = write(&metrics.families());
        for line in [
            r#"innkeeper_http_requests_total{status="2xx",decision="serve",protocol="http/1.1"} 2"#,
            r#"innkeeper_http_requests_total{status="5xx",decision="failed",protocol="h2"} 1"#,
            r#"innkeeper_http_requests_total{status="4xx",decision="host",protocol="http/1.0"} 0"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="0.00005"} 2"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="10"} 3"#,
            r#"innkeeper_http_request_duration_seconds_bucket{le="+Inf"} 4"#,
            "innkeeper_http_request_duration_seconds_count 4",
            "innkeeper_http_response_body_bytes_total 40",
            "innkeeper_http_responses_aborted_total 1",
            r#"innkeeper_connections{state="writing"} 1"#,
            "innkeeper_decision_cache_hits_total 2",
            r#"innkeeper_decision_duration_seconds_bucket{le="0.00001"} 1"#,
            r#"innkeeper_guest_failures_total{kind="trap"} 1"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        drop((open, active, writing));
        assert_eq!(metrics.connections(), Connections { idle: 0, active: 0, writing: 0 });
    }

    #[test]
    fn sites_are_told_apart_up_to_a_limit() {
        let metrics = Metrics::new(2, Process::open());
        let (one, other) = (metrics.site("a.example"), metrics.site("b.example"));
        metrics.observe(0, Some(&one), &sample(200, Decision::Serve, 40));
        metrics.observe(1, Some(&one), &sample(200, Decision::Serve, 40));
        metrics.observe(1, Some(&other), &sample(404, Decision::NotFound, 40));
        metrics.observe(1, None, &sample(421, Decision::Host, 40));
        metrics.delivered(0, Some(&one), 25, false);
        let text = write(&metrics.families());
        for line in [
            r#"innkeeper_http_requests_total{site="a.example",status="2xx",decision="serve",protocol="http/1.1"} 2"#,
            r#"innkeeper_http_requests_total{site="b.example",status="4xx",decision="not-found",protocol="http/1.1"} 1"#,
            r#"innkeeper_http_requests_total{status="4xx",decision="host",protocol="http/1.1"} 1"#,
            r#"innkeeper_http_request_duration_seconds_count{site="a.example"} 2"#,
            r#"innkeeper_http_response_body_bytes_total{site="a.example"} 25"#,
            "innkeeper_http_response_body_bytes_total 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"site="a.example",status="2xx",decision="file""#), "{text}");
        assert_eq!((metrics.responses(), metrics.responses_of("a.example")), (4, Some(2)));
        let names = (0..COUNTED_SITES + 10).map(|number| format!("{number}.example"));
        let all: Vec<_> = names.map(|name| metrics.site(&name)).collect();
        for counters in &all {
            metrics.observe(0, Some(counters), &sample(200, Decision::Serve, 40));
        }
        let text = write(&metrics.families());
        let series =
            text.lines().filter(|line| line.starts_with("innkeeper_http_requests_total{site="));
        assert_eq!(series.count(), COUNTED_SITES + 1);
        assert!(
            text.contains(
                r#"site="(other)",status="2xx",decision="serve",protocol="http/1.1"} 12"#
            )
        );
        assert!(metrics.responses_of("109.example").is_none());
        // One that was removed and comes again goes on.
        metrics.observe(0, Some(&metrics.site("a.example")), &sample(200, Decision::Serve, 40));
        assert_eq!(metrics.responses_of("a.example"), Some(3));
    }
}
