//! What was asked lately: figures, which all may see, and requests, which need the token.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::api::milliseconds;
use super::sites::{SiteError, named};
use super::status::Subject;
use crate::clock;
use crate::metrics::CLASSES;
use crate::metrics::lately::{Failure, MINUTE, SECONDS, Second, Traffic};
use crate::text;

/// The body of `GET /traffic`.
#[derive(Serialize)]
pub(super) struct TrafficBody {
    last_minute: MinuteBody,
    timeline: TimelineBody,
}

/// Sums of the last minute, or of the time since the start.
#[derive(Serialize)]
struct MinuteBody {
    seconds: usize,
    requests: u64,
    requests_per_second: f64,
    statuses: BTreeMap<&'static str, u64>,
    body_bytes: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// One number for each second that is over, the oldest first.
#[derive(Serialize)]
struct TimelineBody {
    seconds: usize,
    statuses: BTreeMap<&'static str, Vec<u32>>,
    body_bytes: Vec<u64>,
}

/// The body of `GET /requests`.
#[derive(Serialize)]
pub(super) struct RequestsBody {
    seconds: u64,
    paths: Vec<PathBody>,
    not_found: Vec<PathBody>,
    failures: Vec<FailureBody>,
}

#[derive(Serialize)]
struct PathBody {
    path: String,
    requests: u64,
}

#[derive(Serialize)]
struct FailureBody {
    at: String,
    request: String,
    status: u16,
    decision: &'static str,
    guest: Option<String>,
    cause: Option<String>,
}

impl Subject {
    /// Figures of what was asked lately: of all sites, or of the one that is named.
    pub(super) fn traffic(&self, query: Option<&str>) -> Result<TrafficBody, SiteError> {
        let Traffic { seconds, p50, p99, .. } = self.lately(query)?;
        let (last_minute, timeline) = (minute(&seconds, p50, p99), timeline(&seconds));
        Ok(TrafficBody { last_minute, timeline })
    }

    fn lately(&self, query: Option<&str>) -> Result<Traffic, SiteError> {
        match named(query) {
            None => Ok(self.metrics.traffic()),
            Some(_) => match self.sites.told(query)?.name() {
                None => Ok(self.metrics.traffic()),
                Some(name) => self.metrics.traffic_of(name).ok_or(SiteError::Uncounted),
            },
        }
    }

    /// What was asked for most, and what failed.
    pub(super) fn requests(&self, query: Option<&str>) -> Result<RequestsBody, SiteError> {
        let Traffic { paths_seconds, paths, not_found, failures, .. } = self.lately(query)?;
        Ok(RequestsBody {
            seconds: paths_seconds,
            paths: paths.into_iter().map(PathBody::from).collect(),
            not_found: not_found.into_iter().map(PathBody::from).collect(),
            failures: failures.into_iter().map(FailureBody::from).collect(),
        })
    }
}

fn minute(seconds: &[Second], p50: Option<Duration>, p99: Option<Duration>) -> MinuteBody {
    let last = &seconds[seconds.len().saturating_sub(MINUTE)..];
    let by_class = CLASSES.iter().enumerate().map(|(class, &name)| {
        let requests: u64 = last.iter().map(|second| u64::from(second.statuses[class])).sum();
        (name, requests)
    });
    let statuses: BTreeMap<_, _> = by_class.collect();
    let requests: u64 = statuses.values().sum();
    let each_second = requests as f64 / last.len().max(1) as f64;
    MinuteBody {
        seconds: last.len(),
        requests,
        requests_per_second: (each_second * 10.0).round() / 10.0,
        statuses,
        body_bytes: last.iter().map(|second| second.bytes).sum(),
        p50_ms: p50.map(milliseconds),
        p99_ms: p99.map(milliseconds),
    }
}

fn timeline(seconds: &[Second]) -> TimelineBody {
    debug_assert!(seconds.len() <= SECONDS, "a second has its slot");
    let of_class = |class: usize| seconds.iter().map(|second| second.statuses[class]).collect();
    TimelineBody {
        seconds: seconds.len(),
        statuses: CLASSES
            .iter()
            .enumerate()
            .map(|(class, &name)| (name, of_class(class)))
            .collect(),
        body_bytes: seconds.iter().map(|second| second.bytes).collect(),
    }
}

impl From<(String, u64)> for PathBody {
    fn from((path, requests): (String, u64)) -> PathBody {
        PathBody { path: text::escaped(&path).into_owned(), requests }
    }
}

impl From<Failure> for FailureBody {
    fn from(failure: Failure) -> FailureBody {
        FailureBody {
            at: clock::rfc3339_of(failure.at),
            request: text::escaped(&failure.request).into_owned(),
            status: failure.status,
            decision: failure.decision,
            guest: failure.guest,
            cause: failure.cause,
        }
    }
}
