//! What is counted for each site, where there are several: for as many of them as have names in the
//! metrics, and for all others together.
//!
//! A worker counts on memory of its own, which it gets with a site's first response.

use std::sync::{Arc, Mutex, OnceLock};

use super::served::Served;
use crate::lock::lock;

/// Sites that are counted apart. Each may have some dozens of series: those who have more sites
/// read logs.
pub const COUNTED_SITES: usize = 100;

/// The name of all others.
const OTHER: &str = "other";

/// What workers count for one site.
pub struct SiteCounters {
    name: Box<str>,
    workers: Box<[OnceLock<Box<Served>>]>,
}

impl SiteCounters {
    fn new(name: &str, workers: usize) -> SiteCounters {
        SiteCounters { name: name.into(), workers: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// The value of the label.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What this worker counts.
    pub(super) fn of(&self, worker: usize) -> &Served {
        self.workers[worker % self.workers.len()].get_or_init(|| Box::new(Served::of_site()))
    }

    /// What has been counted.
    pub(super) fn all(&self) -> impl Iterator<Item = &Served> {
        self.workers.iter().filter_map(OnceLock::get).map(Box::as_ref)
    }
}

/// The counters of all sites since the start. Those of one that was removed stay: what is counted
/// only grows.
#[derive(Default)]
pub(super) struct Sites(Mutex<Vec<Arc<SiteCounters>>>);

impl Sites {
    /// The counters of the site with this name.
    pub(super) fn of(&self, name: &str, workers: usize) -> Arc<SiteCounters> {
        let mut sites = lock(&self.0);
        let known = |sites: &[Arc<SiteCounters>], name: &str| {
            sites.iter().find(|site| site.name() == name).cloned()
        };
        if let Some(known) = known(&sites, name) {
            return known;
        }
        let name = if sites.len() < COUNTED_SITES { name } else { OTHER };
        known(&sites, name).unwrap_or_else(|| {
            let counters = Arc::new(SiteCounters::new(name, workers));
            sites.push(Arc::clone(&counters));
            counters
        })
    }

    /// The counters of the site with this name, if it is counted apart.
    pub(super) fn find(&self, name: &str) -> Option<Arc<SiteCounters>> {
        lock(&self.0).iter().find(|site| site.name() == name).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<SiteCounters>> {
        lock(&self.0).clone()
    }
}
