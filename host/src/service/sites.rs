//! The sites of a server, replaced in one step while it serves: a request keeps the one that it was
//! begun with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::hosts::{Conflict, HostTable, SiteHosts};
use super::site::{Outside, Place, Site, SiteOfWorker};
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
    /// What is for none of them.
    outside: Arc<Outside>,
}

/// Sites that may be put in service.
pub struct Prepared(Table);

struct Entry {
    site: Arc<Site>,
    /// One for each worker.
    of_workers: Box<[Arc<SiteOfWorker>]>,
}

impl Sites {
    /// One site for all hosts: it is not looked for.
    pub fn one(site: Arc<Site>, workers: NonZeroUsize) -> Sites {
        let entries = [Entry::new(0, &site, workers, None)].into();
        let table = Table { hosts: None, entries, outside: Arc::default() };
        Sites { table: ArcSwap::from_pointee(table), workers }
    }

    /// Several sites, each with its hosts. They have names.
    pub fn several(
        sites: &[(SiteHosts, Arc<Site>)],
        outside: Outside,
        workers: NonZeroUsize,
        metrics: Option<&Metrics>,
    ) -> Result<Sites, Conflict> {
        let table = Table::new(sites, Arc::new(outside), workers, metrics)?;
        Ok(Sites { table: ArcSwap::from_pointee(table), workers })
    }

    /// Prepares others, which are not in service yet.
    pub fn prepare(
        &self,
        sites: &[(SiteHosts, Arc<Site>)],
        outside: Arc<Outside>,
        metrics: Option<&Metrics>,
    ) -> Result<Prepared, Conflict> {
        Table::new(sites, outside, self.workers, metrics).map(Prepared)
    }

    /// Puts other sites in service. Requests that have begun keep theirs.
    pub fn replace(&self, Prepared(table): Prepared) {
        self.table.store(Arc::new(table));
    }

    /// Whose a request for this authority is, as this worker has it.
    pub(super) fn find(&self, worker: usize, authority: Option<&str>) -> Place {
        let table = self.table.load();
        let number = match &table.hosts {
            None => Some(0),
            Some(hosts) => hosts.site(authority),
        };
        table.place(worker, number)
    }

    /// Whose that is what is no request: of the site for all hosts, if there is but one.
    pub(super) fn find_only(&self, worker: usize) -> Place {
        let table = self.table.load();
        table.place(worker, table.hosts.is_none().then_some(0))
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

    /// What applies to what is for none of them.
    pub fn outside(&self) -> Arc<Outside> {
        Arc::clone(&self.table.load().outside)
    }

    /// All access logs, each once.
    pub fn logs(&self) -> Vec<Arc<AccessLog>> {
        let table = self.table.load();
        let of_sites = table.entries.iter().filter_map(|entry| entry.site.log.as_ref());
        let mut logs: Vec<Arc<AccessLog>> = Vec::new();
        for log in of_sites.chain(&table.outside.log) {
            if !logs.iter().any(|known| Arc::ptr_eq(known, log)) {
                logs.push(Arc::clone(log));
            }
        }
        logs
    }
}

impl Table {
    fn new(
        sites: &[(SiteHosts, Arc<Site>)],
        outside: Arc<Outside>,
        workers: NonZeroUsize,
        metrics: Option<&Metrics>,
    ) -> Result<Table, Conflict> {
        let hosts = HostTable::new(sites.iter().map(|(hosts, _)| hosts))?;
        let entries = (0..).zip(sites);
        let entries =
            entries.map(|(number, (_, site))| Entry::new(number, site, workers, metrics)).collect();
        Ok(Table { hosts: Some(hosts), entries, outside })
    }

    /// The site with this number, as this worker has it.
    fn place(&self, worker: usize, number: Option<usize>) -> Place {
        match number.and_then(|number| self.entries.get(number)) {
            Some(Entry { of_workers, .. }) => {
                Place::Site(Arc::clone(&of_workers[worker % of_workers.len()]))
            }
            None => Place::Outside(Arc::clone(&self.outside)),
        }
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
        let of_worker = |_| {
            let share = site.name.is_some().then(|| Arc::clone(&site.replies));
            let name = site.name.as_deref().map(Arc::from);
            let (site, counters) = (Arc::clone(site), counters.clone());
            Arc::new(SiteOfWorker { site, number, name, counters, share })
        };
        let of_workers = (0..workers.get()).map(of_worker).collect();
        Entry { site: Arc::clone(site), of_workers }
    }
}
