//! What one worker was asked lately: for the page of the administration, which asks no database.
//!
//! A worker writes to memory of its own, and does not wait: what it would note while that is being
//! read (some microseconds a second) is left out. So these numbers are for people; what is counted
//! exactly is in the metrics.
//!
//! - `response`: what is noted. `seconds`: statuses and bytes of each second. `latency`: how long
//!   responses took.
//! - `top`: the paths that come most often. `failures`: the latest requests that failed.

mod failures;
mod latency;
mod response;
mod seconds;
mod top;

use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use crate::lock::lock;
pub use failures::Failure;
use failures::Failures;
use latency::Latency;
pub use latency::MINUTE;
pub use response::Response;
use seconds::Seconds;
pub use seconds::{SECONDS, Second};
use top::Paths;

/// Memory of one worker for all that is of no site counted apart, when all of it is in use.
pub const WORKER_BYTES: usize = bytes(OF_ALL);

/// The same for one site of several.
pub const SITE_BYTES: usize = bytes(OF_SITE);

/// How much is kept of paths and of failures.
#[derive(Clone, Copy)]
struct Kept {
    /// Sets of eight paths.
    sets: usize,
    failures: usize,
}

const OF_ALL: Kept = Kept { sets: 16, failures: FAILURES };

/// There may be a hundred sites, on each worker.
const OF_SITE: Kept = Kept { sets: 2, failures: 8 };

const fn bytes(Kept { sets, failures }: Kept) -> usize {
    let paths = 2 * top::bytes(sets);
    size_of::<Inner>() + seconds::BYTES + latency::BYTES + paths + failures * failures::BYTES
}

/// Paths of each kind that are told.
const PATHS: usize = 20;

/// Failures of all workers that are told.
const FAILURES: usize = 30;

/// What one worker was asked.
pub(super) struct Lately(Mutex<Inner>);

struct Inner {
    seconds: Seconds,
    latency: Latency,
    paths: Paths,
    not_found: Paths,
    failures: Failures,
}

impl Default for Lately {
    fn default() -> Lately {
        Lately::keeping(OF_ALL)
    }
}

impl Lately {
    /// What one worker was asked of one site of several.
    pub(super) fn of_site() -> Lately {
        Lately::keeping(OF_SITE)
    }

    fn keeping(Kept { sets, failures }: Kept) -> Lately {
        Lately(Mutex::new(Inner {
            seconds: Seconds::default(),
            latency: Latency::default(),
            paths: Paths::of(sets),
            not_found: Paths::of(sets),
            failures: Failures::of(failures),
        }))
    }

    /// Notes a response; the clock began at `epoch`.
    pub(super) fn note(&self, response: &Response<'_>, epoch: Instant) {
        let Some(mut inner) = self.unless_read() else { return };
        let second = response.at.saturating_duration_since(epoch).as_secs();
        inner.seconds.response(second, response.status);
        inner.latency.note(second, response.duration);
        if response.status == 404 {
            inner.not_found.note(second, response.path.as_bytes());
        } else if !response.path.is_empty() {
            inner.paths.note(second, response.path.as_bytes());
        }
        if response.status >= 500 || response.failure.is_some() {
            inner.failures.add(response);
        }
    }

    /// Notes bytes that a client took, for the second of the latest response.
    pub(super) fn delivered(&self, bytes: u64) {
        if let Some(mut inner) = self.unless_read() {
            inner.seconds.delivered(bytes);
        }
    }

    fn unless_read(&self) -> Option<std::sync::MutexGuard<'_, Inner>> {
        match self.0.try_lock() {
            Ok(inner) => Some(inner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// What all workers were asked lately.
#[derive(Debug, Default)]
pub struct Traffic {
    /// The seconds that are over, the oldest first.
    pub seconds: Vec<Second>,
    /// Half of the responses of the last minute took at most this long.
    pub p50: Option<Duration>,
    /// 99 of a hundred did.
    pub p99: Option<Duration>,
    /// How many seconds the paths are of.
    pub paths_seconds: u64,
    /// The paths that were asked for most, and how often at least.
    pub paths: Vec<(String, u64)>,
    /// Those with status 404.
    pub not_found: Vec<(String, u64)>,
    /// Requests that failed, the latest first.
    pub failures: Vec<Failure>,
}

impl Traffic {
    /// Sums what workers noted until `now`; their clock began at `epoch`.
    pub(super) fn of<'a>(
        workers: impl Iterator<Item = &'a Lately>,
        epoch: Instant,
        now: Instant,
    ) -> Traffic {
        let second = now.saturating_duration_since(epoch).as_secs();
        let mut seconds =
            vec![Second::default(); SECONDS.min(usize::try_from(second).unwrap_or(0))];
        let (mut latency, mut failures) = (latency::Counts::default(), Vec::new());
        let (mut paths, mut not_found) = (top::Sums::default(), top::Sums::default());
        for worker in workers {
            let mut inner = lock(&worker.0);
            inner.seconds.sum(second, &mut seconds);
            inner.latency.sum(second, &mut latency);
            inner.paths.sum(second, &mut paths);
            inner.not_found.sum(second, &mut not_found);
            failures.extend(inner.failures.all());
        }
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        failures.truncate(FAILURES);
        Traffic {
            seconds,
            p50: latency.percentile(50),
            p99: latency.percentile(99),
            paths_seconds: top::covered(second),
            paths: paths.most(PATHS),
            not_found: not_found.most(PATHS),
            failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lately, Response, Traffic};
    use std::fmt::Display;
    use std::time::{Duration, Instant};

    fn response(at: Instant, status: u16, path: &str) -> Response<'_> {
        Response {
            at,
            duration: Duration::from_micros(100),
            status,
            method: "GET",
            path,
            decision: "file",
            guest: None,
            failure: None,
        }
    }

    #[test]
    fn traffic_is_that_of_all_workers() {
        let (epoch, workers) = (Instant::now(), [Lately::default(), Lately::default()]);
        let at = |second| epoch + Duration::from_secs(second);
        let why = "no reason";
        for (worker, second, status, path) in [
            (0, 3, 200, "/a"),
            (1, 3, 200, "/a"),
            (1, 4, 404, "/b"),
            (0, 4, 200, "/c"),
            (0, 5, 500, "/d"),
        ] {
            let failure = (status == 500).then_some(&why as &dyn Display);
            let response = Response { failure, ..response(at(second), status, path) };
            workers[worker].note(&response, epoch);
            workers[worker].delivered(10);
        }
        let traffic = Traffic::of(workers.iter(), epoch, at(6));
        let seconds: Vec<_> = traffic.seconds.iter().map(|it| (it.statuses, it.bytes)).collect();
        assert_eq!(
            seconds,
            [
                ([0; 4], 0),
                ([0; 4], 0),
                ([0; 4], 0),
                ([2, 0, 0, 0], 20),
                ([1, 0, 1, 0], 20),
                ([0, 0, 0, 1], 10)
            ]
        );
        assert_eq!(traffic.paths[0], ("/a".to_owned(), 2));
        assert_eq!(traffic.not_found, [("/b".to_owned(), 1)]);
        let failure = &traffic.failures[0];
        assert_eq!((&*failure.request, failure.cause.as_deref()), ("GET /d", Some("no reason")));
        let p99 = traffic.p99.expect("there were responses").as_micros();
        assert!((90..=110).contains(&p99), "{p99}");
    }

    #[test]
    fn old_seconds_are_forgotten() {
        let (epoch, worker) = (Instant::now(), Lately::default());
        let at = |second| epoch + Duration::from_secs(second);
        worker.note(&response(at(1), 200, "/a"), epoch);
        let traffic = Traffic::of([&worker].into_iter(), epoch, at(10_000));
        assert_eq!(traffic.seconds.len(), super::SECONDS);
        assert!(traffic.seconds.iter().all(|second| second.statuses == [0; 4]));
        assert!(traffic.p50.is_none() && traffic.paths.is_empty());
    }
}
