//! What is counted of responses: by one worker, for one site or for all that has none of its own.

use std::time::Duration;

use super::counter::{Counter, Histogram};
use super::labels::{CLASSES, Decision, FailureKind, Protocol, class};
use super::lately::Lately;

/// Upper bounds of the histogram of responses, in microseconds: a small file from memory takes
/// 10 µs, a large one to a slow client minutes.
pub(super) const RESPONSE_BOUNDS: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000];

/// Upper bounds of the histogram of decisions that were computed, in microseconds: the default
/// guest takes 10 µs, one in Python 2 ms, and the default deadline is 100 ms.
pub(super) const DECISION_BOUNDS: [u64; 10] =
    [5, 10, 20, 50, 100, 500, 2_500, 10_000, 50_000, 100_000];

/// One response, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// Its status.
    pub status: u16,
    /// What it follows.
    pub decision: Decision,
    /// How the guest failed in whose place an earlier one decided.
    pub masked_failure: Option<FailureKind>,
    /// How long the guest took to decide; `None` if the decision was cached, or there is none.
    pub compute_time: Option<Duration>,
    /// From the request's last byte to the response's.
    pub duration: Duration,
}

/// The counters. Two cache lines: processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Served {
    pub(super) responses:
        [[[Counter; Decision::NAMES.len()]; CLASSES.len()]; Protocol::NAMES.len()],
    pub(super) failures: [Counter; FailureKind::NAMES.len()],
    pub(super) body_bytes: Counter,
    pub(super) aborted: Counter,
    pub(super) cache_hits: Counter,
    pub(super) response_time: Histogram<{ RESPONSE_BOUNDS.len() }>,
    pub(super) compute_time: Histogram<{ DECISION_BOUNDS.len() }>,
    pub(super) lately: Lately,
}

impl Served {
    /// Those of one site of several.
    pub(super) fn of_site() -> Served {
        Served { lately: Lately::of_site(), ..Served::default() }
    }

    /// Adds what was counted there; what was asked lately stays there.
    pub(super) fn absorb(&self, other: &Served) {
        let counters = |of: &Served, all: &mut dyn FnMut(&Counter)| {
            of.responses.iter().flatten().flatten().for_each(&mut *all);
            of.failures.iter().for_each(&mut *all);
            [&of.body_bytes, &of.aborted, &of.cache_hits].into_iter().for_each(&mut *all);
            let Served { response_time: responses, compute_time: computed, .. } = of;
            responses.buckets.iter().chain(&computed.buckets).for_each(&mut *all);
            let counts = [&responses.count, &responses.nanoseconds];
            counts.into_iter().chain([&computed.count, &computed.nanoseconds]).for_each(&mut *all);
        };
        let mut counts = Vec::new();
        counters(other, &mut |counter| counts.push(counter.get()));
        let mut counts = counts.into_iter();
        counters(self, &mut |counter| counter.add(counts.next().unwrap_or_default()));
    }

    /// Counts a response.
    pub(super) fn observe(&self, sample: &Sample) {
        self.responses[sample.protocol.number()][class(sample.status)][sample.decision.number()]
            .add(1);
        self.response_time.observe(sample.duration, &RESPONSE_BOUNDS);
        if let Some(kind) = sample.masked_failure {
            self.failures[kind.number()].add(1);
        }
        match (sample.decision, sample.compute_time) {
            (Decision::Host, _) => {}
            (Decision::Failed(kind), _) => self.failures[kind.number()].add(1),
            (_, Some(time)) => self.compute_time.observe(time, &DECISION_BOUNDS),
            (_, None) => self.cache_hits.add(1),
        }
    }
}
