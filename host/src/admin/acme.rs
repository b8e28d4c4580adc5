//! What the status and the metrics tell of certificates that are ordered.

use prometheus::proto::MetricFamily;
use serde::Serialize;

use crate::acme::Link;
use crate::acme::protocol::{OrderError, Status};
use crate::clock;
use crate::metrics;

/// `acme` in the status.
#[derive(Serialize)]
pub(super) struct AcmeBody {
    directory: String,
    has_ended: bool,
    names: Vec<NameBody>,
}

#[derive(Serialize)]
struct NameBody {
    name: String,
    state: &'static str,
    expires: Option<String>,
    /// None where nothing is done until a restart.
    next_attempt: Option<String>,
    failures: u32,
    last_error: Option<OrderError>,
}

impl AcmeBody {
    pub(super) fn new(link: &Link) -> AcmeBody {
        AcmeBody {
            directory: link.options().directory.clone(),
            has_ended: link.has_ended(),
            names: link.status().into_iter().map(NameBody::from).collect(),
        }
    }
}

impl From<Status> for NameBody {
    fn from(status: Status) -> NameBody {
        let date = |seconds| clock::rfc3339_of(crate::acme::time(seconds));
        NameBody {
            name: status.name.to_string(),
            state: match (status.is_ordering, status.failures, status.expires) {
                (true, ..) => "ordering",
                (false, 0, Some(_)) => "valid",
                (false, 0, None) => "waiting",
                (false, ..) => "failed",
            },
            expires: status.expires.map(date),
            next_attempt: (status.next_attempt != 0).then(|| date(status.next_attempt)),
            failures: status.failures,
            last_error: status.error,
        }
    }
}

/// None where no certificates are ordered.
pub(super) fn families(link: Option<&Link>) -> Vec<MetricFamily> {
    let Some(link) = link else { return Vec::new() };
    let status = link.status();
    let each = |value: fn(&Status) -> f64| {
        let of = move |status| (vec![("name", Status::name(status))], value(status));
        status.iter().map(of).collect::<Vec<_>>()
    };
    let [obtained, failed, challenges] = link.counts();
    let outcomes = [("obtained", obtained), ("failed", failed)];
    vec![
        metrics::gauge(
            "innkeeper_acme_next_attempt_seconds",
            "Time at which a certificate is ordered or renewed next, in seconds since 1970.",
            each(|status| status.next_attempt as f64),
        ),
        metrics::gauge(
            "innkeeper_acme_failures",
            "Attempts to obtain a certificate that failed since the last that did not.",
            each(|status| status.failures.into()),
        ),
        metrics::counter(
            "innkeeper_acme_orders_total",
            "Attempts to obtain certificates, by outcome.",
            outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
        ),
        metrics::counter(
            "innkeeper_acme_challenges_total",
            "Challenges of certificate authorities that were answered.",
            [(vec![], challenges)],
        ),
    ]
}
