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

/// The name of all others, which no site can have.
const OTHER: &str = "(other)";

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

/// The counters of all sites since the start. Those of one that was removed stay until another site
/// needs their place, and count with the others from then on: in all, what is counted only grows.
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
        let counted = |sites: &mut Vec<_>, name: &str| {
            let counters = Arc::new(SiteCounters::new(name, workers));
            sites.push(Arc::clone(&counters));
            counters
        };
        let named = sites.iter().filter(|site| site.name() != OTHER).count();
        if named < COUNTED_SITES {
            return counted(&mut sites, name);
        }
        let other = known(&sites, OTHER).unwrap_or_else(|| counted(&mut sites, OTHER));
        // Nothing else has those of a site that is gone.
        let gone = |site: &Arc<SiteCounters>| site.name() != OTHER && Arc::strong_count(site) == 1;
        let Some(place) = sites.iter().position(gone) else { return other };
        for (worker, served) in sites[place].workers.iter().enumerate() {
            if let Some(served) = served.get() {
                other.of(worker).absorb(served);
            }
        }
        let counters = Arc::new(SiteCounters::new(name, workers));
        sites[place] = Arc::clone(&counters);
        counters
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

#[cfg(test)]
mod tests {
    use super::{Arc, COUNTED_SITES, OTHER, Sites};

    #[test]
    fn site_that_is_gone_leaves_its_place_and_its_counts() {
        let sites = Sites::default();
        let all: Vec<_> =
            (0..COUNTED_SITES).map(|number| sites.of(&format!("s{number}"), 1)).collect();
        all.iter().for_each(|site| site.of(0).aborted.add(1));
        // A site that is called so is none of the others.
        let named = sites.of("other", 1);
        assert_eq!(named.name(), OTHER);
        assert!(sites.find("other").is_none());
        let kept: Vec<_> = all.into_iter().skip(1).collect();
        let new = sites.of("new", 1);
        assert_eq!((new.name(), named.of(0).aborted.get()), ("new", 1));
        assert!(sites.find("s0").is_none() && sites.find("s1").is_some());
        assert!(Arc::ptr_eq(&sites.of("s0", 1), &named));
        assert_eq!((sites.all().len(), kept.len()), (COUNTED_SITES + 1, COUNTED_SITES - 1));
    }
}
