//! The sites of a server, replaced in one step while it serves: a request keeps the one that it was
//! begun with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::hosts::{Conflict, HostTable, SiteHosts};
use super::site::{Seat, Site};
use crate::log::AccessLog;
use crate::metrics::Metrics;

/// The sites that serve.
pub struct Sites {
    table: ArcSwap<Table>,
    workers: NonZeroUsize,
}

/// Those of one moment.
struct Table {
    /// How they are found; `None` where one site is for all hosts.
    hosts: Option<HostTable>,
    entries: Box<[Entry]>,
}

struct Entry {
    site: Arc<Site>,
    /// One for each worker.
    seats: Box<[Arc<Seat>]>,
}

impl Sites {
    /// One site for all hosts: it is not looked for.
    pub fn one(site: Arc<Site>, workers: NonZeroUsize) -> Sites {
        let entries = [Entry::new(0, &site, workers, None)].into();
        Sites { table: ArcSwap::from_pointee(Table { hosts: None, entries }), workers }
    }

    /// Several sites, each with its hosts. They have names.
    pub fn several(
        sites: &[(SiteHosts, Arc<Site>)],
        workers: NonZeroUsize,
        metrics: Option<&Metrics>,
    ) -> Result<Sites, Conflict> {
        let table = Table::new(sites, workers, metrics)?;
        Ok(Sites { table: ArcSwap::from_pointee(table), workers })
    }

    /// Puts other sites in service. Requests that have begun keep theirs.
    pub fn replace(
        &self,
        sites: &[(SiteHosts, Arc<Site>)],
        metrics: Option<&Metrics>,
    ) -> Result<(), Conflict> {
        self.table.store(Arc::new(Table::new(sites, self.workers, metrics)?));
        Ok(())
    }

    /// The site of a request for this authority, as this worker has it; `None` if there is none for
    /// it.
    pub(super) fn find(&self, worker: usize, authority: Option<&str>) -> Option<Arc<Seat>> {
        let table = self.table.load();
        let number = match &table.hosts {
            None => 0,
            Some(hosts) => hosts.site(authority)?,
        };
        let seats = &table.entries.get(number)?.seats;
        Some(Arc::clone(&seats[worker % seats.len()]))
    }

    /// The site for all hosts, if there is but one: also of what is no request.
    pub(super) fn find_only(&self, worker: usize) -> Option<Arc<Seat>> {
        let is_only = self.table.load().hosts.is_none();
        is_only.then(|| self.find(worker, None))?
    }

    /// Whether requests are for one of several.
    pub fn are_several(&self) -> bool {
        self.table.load().hosts.is_some()
    }

    /// All of them, in their order.
    pub fn all(&self) -> Vec<Arc<Site>> {
        self.table.load().entries.iter().map(|entry| Arc::clone(&entry.site)).collect()
    }

    /// The first one, if there is any: the only one of a server that has no others.
    pub fn first(&self) -> Option<Arc<Site>> {
        self.table.load().entries.first().map(|entry| Arc::clone(&entry.site))
    }

    /// The one with this name.
    pub fn named(&self, name: &str) -> Option<Arc<Site>> {
        let table = self.table.load();
        let entry = table.entries.iter().find(|entry| entry.site.name.as_deref() == Some(name))?;
        Some(Arc::clone(&entry.site))
    }

    /// The access logs of all sites, each once.
    pub fn logs(&self) -> Vec<Arc<AccessLog>> {
        let mut logs: Vec<Arc<AccessLog>> = Vec::new();
        for entry in &self.table.load().entries {
            if let Some(log) = &entry.site.log
                && !logs.iter().any(|known| Arc::ptr_eq(known, log))
            {
                logs.push(Arc::clone(log));
            }
        }
        logs
    }
}

impl Table {
    fn new(
        sites: &[(SiteHosts, Arc<Site>)],
        workers: NonZeroUsize,
        metrics: Option<&Metrics>,
    ) -> Result<Table, Conflict> {
        let hosts = HostTable::new(sites.iter().map(|(hosts, _)| hosts))?;
        let entries = (0..).zip(sites);
        let entries =
            entries.map(|(number, (_, site))| Entry::new(number, site, workers, metrics)).collect();
        Ok(Table { hosts: Some(hosts), entries })
    }
}

impl Entry {
    fn new(
        number: u32,
        site: &Arc<Site>,
        workers: NonZeroUsize,
        metrics: Option<&Metrics>,
    ) -> Entry {
        let counters = metrics.zip(site.name.as_ref()).map(|(metrics, name)| metrics.site(name));
        let seat = |_| {
            let share = site.name.is_some().then(|| Arc::clone(&site.replies));
            let (site, counters) = (Arc::clone(site), counters.clone());
            Arc::new(Seat { site, number, counters, share })
        };
        Entry { site: Arc::clone(site), seats: (0..workers.get()).map(seat).collect() }
    }
}
