//! The threads that deploy, a few for all sites.
//!
//! Each site is looked at when a file of it changes, when it is due, and on request, by one thread
//! at a time. A guest that takes long to compile holds up none but its own site while another
//! thread is free.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::retire::{Retired, Retirement};
use super::source_deployer::SourceDeployer;
use super::upload::{self, Upload};
use crate::diagnostics::context::for_site;
use crate::file_watch::{Change, Key, UNSETTLED, Watches};
use crate::guest::Engine;
use crate::lock::lock;
use crate::supervise;

/// Threads that read files and have guests compiled, where there are so many sites: two that take
/// long, and one for the others.
const WORKERS: usize = 3;

/// The threads. They end when this is dropped, after their present work; nothing waits for that.
pub struct Crew {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    watches: Option<Arc<Watches>>,
    uploads: Sender<Upload>,
    retired: Sender<Retired>,
}

/// What the threads share.
struct Shared {
    queue: Mutex<Queue>,
    is_due: Condvar,
}

#[derive(Default)]
struct Queue {
    sites: HashMap<Key, Place>,
    /// The sites that nobody works on, by when they are due.
    due: BTreeSet<(Instant, Key)>,
    next: Key,
    workers: usize,
    is_over: bool,
}

/// A site in the queue.
#[derive(Default)]
struct Place {
    /// `None` while a thread works on it.
    deployer: Option<Box<SourceDeployer>>,
    reloads: Vec<oneshot::Sender<Option<String>>>,
    requested: Option<Instant>,
    /// When its files began to change, and until when they have to rest.
    change: Option<(Instant, Instant)>,
    /// When it is looked at without a change.
    look: Option<Instant>,
    /// Its place in the order.
    due: Option<Instant>,
}

/// What is to be done.
enum Task {
    Reload(Vec<oneshot::Sender<Option<String>>>),
    Change(Instant),
    Look,
}

/// A site that a thread works on. It goes back to the queue however that ends.
struct Job<'q> {
    shared: &'q Shared,
    key: Key,
    deployer: Option<Box<SourceDeployer>>,
    task: Option<Task>,
}

impl Crew {
    /// Starts what all sites share.
    pub fn start(engine: Arc<Engine>) -> io::Result<Arc<Crew>> {
        let shared = Arc::new(Shared { queue: Mutex::default(), is_due: Condvar::new() });
        let weak = Arc::downgrade(&shared);
        let watches = Watches::new(move |key, change| {
            if let Some(shared) = Weak::upgrade(&weak) {
                shared.note_change(key, change);
            }
        });
        let watches = match watches {
            Ok(watches) => Some(Arc::new(watches)),
            Err(error) => {
                tracing::warn!(%error, "files are not watched; they are looked at every 2 s");
                None
            }
        };
        let (uploads, receiver) = mpsc::channel();
        start("deploy-upload", move || upload::work(&receiver))?;
        let (retired, receiver) = mpsc::channel();
        let mut retirement = Retirement::default();
        start("retire", move || retirement.work(&receiver))?;
        Ok(Arc::new(Crew { engine, shared, watches, uploads, retired }))
    }

    /// What compiles.
    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What watches files, if that is possible.
    pub(super) fn watches(&self) -> Option<&Arc<Watches>> {
        self.watches.as_ref()
    }

    /// Where uploads are worked on.
    pub(super) fn uploads(&self) -> &Sender<Upload> {
        &self.uploads
    }

    /// Where what was replaced is freed.
    pub(super) fn retired(&self) -> &Sender<Retired> {
        &self.retired
    }

    /// Frees a site, or what else was removed, when nobody else has it any more: not on a worker that
    /// ends its last request.
    pub fn free(&self, removed: Arc<dyn Any + Send + Sync>) {
        // The thread ends when nothing can be retired any more.
        let _ = self.retired.send(Retired::Site(removed));
    }

    /// How many threads look after sources.
    #[cfg(test)]
    pub(super) fn workers(&self) -> usize {
        self.shared.queue().workers
    }

    /// A number for a site.
    pub(super) fn key(&self) -> Key {
        let mut queue = self.shared.queue();
        queue.next += 1;
        queue.next
    }

    /// Looks after a site from now on.
    pub(super) fn add(&self, key: Key, deployer: SourceDeployer) -> io::Result<()> {
        let mut queue = self.shared.queue();
        let look = deployer.due().map(|due| Instant::now() + due);
        queue.sites.insert(key, Place { look, ..Place::default() });
        let more = queue.workers < WORKERS.min(queue.sites.len());
        queue.workers += usize::from(more);
        drop(queue);
        self.shared.put_back(key, Box::new(deployer));
        if more {
            let shared = Arc::clone(&self.shared);
            start("deploy-file", move || shared.work())?;
        }
        Ok(())
    }

    /// Has a site looked at on request; `done` is notified, or dropped if that fails.
    pub(super) fn reload(&self, key: Key, done: oneshot::Sender<Option<String>>) {
        self.shared.change(key, |place| {
            place.reloads.push(done);
            place.requested.get_or_insert_with(Instant::now);
        });
    }

    /// Ends the care for a site.
    pub(super) fn remove(&self, key: Key) {
        let mut queue = self.shared.queue();
        if let Some(place) = queue.sites.remove(&key)
            && let Some(due) = place.due
        {
            queue.due.remove(&(due, key));
        }
        drop(queue);
        if let Some(watches) = &self.watches {
            watches.remove(key);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.queue().is_over = true;
        self.shared.is_due.notify_all();
    }
}

fn start(name: &'static str, mut work: impl FnMut() + Send + 'static) -> io::Result<()> {
    let supervised = move || {
        supervise::thread(name, || {
            work();
            Ok(())
        });
    };
    thread::Builder::new().name(name.to_owned()).spawn(supervised).map(drop)
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn note_change(&self, key: Key, change: Change) {
        self.change(key, |place| {
            let now = Instant::now();
            let (began, _) = *place.change.get_or_insert((now, now));
            // What changes for long is looked at all the same.
            let rested = (now + change.settles_in()).min(began + UNSETTLED);
            place.change = Some((began, rested.max(now)));
        });
    }

    /// Changes what is known of a site, and its place in the order.
    fn change(&self, key: Key, change: impl FnOnce(&mut Place)) {
        let mut queue = self.queue();
        let Queue { sites, due, .. } = &mut *queue;
        let Some(place) = sites.get_mut(&key) else { return };
        change(place);
        if let Some(old) = place.due.take() {
            due.remove(&(old, key));
        }
        if place.deployer.is_some() {
            place.due = place.next_due();
            due.extend(place.due.map(|at| (at, key)));
        }
        drop(queue);
        self.is_due.notify_one();
    }

    /// Gives a site back to the queue. One that was removed meanwhile is dropped.
    fn put_back(&self, key: Key, deployer: Box<SourceDeployer>) {
        if !self.queue().sites.contains_key(&key) {
            return deployer.end_watch();
        }
        self.change(key, |place| {
            place.look = deployer.due().map(|due| Instant::now() + due);
            place.deployer = Some(deployer);
        });
    }

    /// Works until it is over.
    fn work(&self) {
        while let Some(mut job) = self.next() {
            job.run();
        }
    }

    /// The next site that is due; waits for it. `None` when it is over.
    fn next(&self) -> Option<Job<'_>> {
        let mut queue = self.queue();
        loop {
            if queue.is_over {
                return None;
            }
            let now = Instant::now();
            let next = queue.due.first().copied();
            queue = match next {
                Some((at, key)) if at <= now => {
                    queue.due.remove(&(at, key));
                    let Some(place) = queue.sites.get_mut(&key) else { continue };
                    place.due = None;
                    let deployer = place.deployer.take();
                    let task = place.task(now);
                    let has_more = !queue.due.is_empty();
                    drop(queue);
                    if has_more {
                        // Another thread waits for the next one.
                        self.is_due.notify_one();
                    }
                    return Some(Job { shared: self, key, deployer, task: Some(task) });
                }
                Some((at, _)) => {
                    let waited = self.is_due.wait_timeout(queue, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.is_due.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Place {
    fn next_due(&self) -> Option<Instant> {
        let change = self.change.map(|(_, rested)| rested);
        [self.requested, change, self.look].into_iter().flatten().min()
    }

    /// What is due. A request comes first, and needs no look for what changed before it.
    fn task(&mut self, now: Instant) -> Task {
        if self.requested.take().is_some() {
            self.change = None;
            return Task::Reload(std::mem::take(&mut self.reloads));
        }
        match self.change.take_if(|(_, rested)| *rested <= now) {
            Some((began, _)) => Task::Change(began),
            None => Task::Look,
        }
    }
}

impl Job<'_> {
    fn run(&mut self) {
        let (Some(deployer), Some(task)) = (&mut self.deployer, self.task.take()) else { return };
        for_site(deployer.site.clone(), || match task {
            Task::Reload(all) => {
                let refusal = deployer.reload();
                for done in all {
                    // The caller may have gone meanwhile.
                    let _ = done.send(refusal.clone());
                }
            }
            Task::Change(began) => deployer.files_changed(false, began),
            Task::Look => deployer.look(),
        });
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if let Some(deployer) = self.deployer.take() {
            self.shared.put_back(self.key, deployer);
        }
    }
}
