//! The metrics of the server, in the text format of Prometheus.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::acme;
use super::certificates;
use super::sites::SiteSubject;
use super::status::{Subject, disks};
use crate::diagnostics;
use crate::disk::DeviceLoad;
use crate::guest::LoadedGuest;
use crate::metrics::{self, Labels};
use crate::panics;
use crate::release::history::Outcome;

impl Subject {
    /// All metrics, as text.
    pub(super) fn metrics(&self) -> String {
        let sites = self.sites.all();
        // Those that are counted apart: the same as of responses.
        let has_place = |name: &str| self.metrics.responses_of(name).is_some();
        let is_counted = |of: &&Arc<SiteSubject>| of.name().is_none_or(has_place);
        let counted: Vec<_> = sites.iter().filter(is_counted).collect();
        let counted = || counted.iter().copied();
        let active = || counted().filter_map(|of| Some((of, of.site.active.as_ref().ok()?)));
        let deployments = active().flat_map(|(of, active)| {
            let of_site = move |outcome: Outcome| {
                let labels = labels(of, [("outcome", outcome.name())]);
                (labels, active.history().count(outcome))
            };
            Outcome::ALL.map(of_site)
        });
        let guests: Vec<_> =
            active().map(|(of, active)| (of, Guest::of(&active.current().guest))).collect();
        let decided = self.engine.decided();
        let mut families: Vec<MetricFamily> = self.metrics.families();
        families.extend(disk_families());
        families.extend(certificates::families(self.certificates.as_deref()));
        families.extend(acme::families(self.acme.as_deref()));
        families.extend([
            metrics::counter(
                "innkeeper_guest_deployments_total",
                "Deployments of guests, by outcome.",
                deployments,
            ),
            metrics::counter(
                "innkeeper_guest_decisions_total",
                "Decisions that no cache had, by the instance that made them.",
                [
                    (vec![("isolation", "live")], decided.live),
                    (vec![("isolation", "fresh")], decided.fresh),
                ],
            ),
            metrics::counter(
                "innkeeper_guest_live_instances_total",
                "Instances that were made to be put back.",
                [(vec![], decided.instances)],
            ),
            metrics::counter(
                "innkeeper_guest_live_differences_total",
                "Guests that are live no more, as an instance was not put back or decided differently.",
                [(vec![], decided.differences)],
            ),
            metrics::gauge(
                "innkeeper_guest_info",
                "The active guest, by its digest, and by those of its file and its data.",
                guests.iter().map(|(of, guest)| (labels(of, guest.labels()), 1.0)),
            ),
            metrics::gauge(
                "innkeeper_compiler_ready",
                "1 if another guest can be compiled, else 0.",
                [(vec![], f64::from(u8::from(self.compiler_is_available() != Some(false))))],
            ),
            metrics::counter(
                "innkeeper_access_log_lost_lines_total",
                "Lines of the access log that were lost.",
                [(vec![], self.lost_lines())],
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
        if self.sites.are_several() {
            let serving =
                counted().map(|of| (labels(of, []), f64::from(u8::from(of.site.active.is_ok()))));
            families.push(metrics::gauge(
                "innkeeper_site_serving",
                "1 for a site that is served, 0 for one that is broken.",
                serving,
            ));
        }
        metrics::write(&families)
    }
}

/// What identifies a guest.
struct Guest {
    digest: String,
    guest: String,
    data: String,
    origin: &'static str,
}

impl Guest {
    fn of(guest: &LoadedGuest) -> Guest {
        let identity = guest.identity();
        Guest {
            digest: identity.digest().to_string(),
            guest: identity.guest.to_string(),
            data: identity.data.map(|data| data.to_string()).unwrap_or_default(),
            origin: guest.origin().name(),
        }
    }

    fn labels(&self) -> [(&str, &str); 4] {
        [
            ("digest", &self.digest),
            ("guest", &self.guest),
            ("data", &self.data),
            ("origin", self.origin),
        ]
    }
}

/// These labels, and the one of the site where there are several.
fn labels<'a, const N: usize>(of: &'a SiteSubject, own: [(&'a str, &'a str); N]) -> Labels<'a> {
    of.name().map(|name| ("site", name)).into_iter().chain(own).collect()
}

fn disk_labels<'a>(
    disk: &'a (String, DeviceLoad),
    state: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    let own = [("device", disk.0.as_str()), ("threads", disk.1.threads)];
    own.into_iter().chain(state.map(|state| ("state", state))).collect()
}

/// None before the first operation of a device: a family without metrics is none.
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
