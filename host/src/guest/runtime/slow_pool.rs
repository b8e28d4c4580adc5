//! Threads for decisions that take too long for a worker. The number that run, the number that
//! wait and the time that each waits have bounds. Cached decisions need no thread, so that a
//! flood of new requests does not delay them.
//!
//! Sites take turns, and within the turns of a site its clients: the work of one, however much it
//! is, waits for its own. If the queue is full, the site with most of it loses the latest work of
//! the client with most of that.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::thread::prepare_background_thread;
use crate::fair_queue::FairQueue;
use crate::guest::failure::Failure;
use crate::guest::trapped::Trapped;
use crate::http::Subnet;
use crate::lock::lock;

/// Decisions that may wait, for each thread. A guest in Python (2 ms) makes this many in a
/// quarter of a second; a later request gets 503 at once.
const WAITING: usize = 128;

/// How long a decision waits for a thread: ten times the default deadline, a guess. For guests
/// that use all of their deadline this limit comes first.
const PATIENCE: Duration = Duration::from_secs(1);

/// Decisions of one of several sites that may take longer than this leave a thread to the others,
/// which would wait in vain for one: a decision is made three times at most.
const LONG: Duration = Duration::from_millis(300);

/// The threads. Dropping this ends them, when they have done what waits.
pub(super) struct SlowPool {
    queue: Arc<Queue>,
    patience: Duration,
}

/// What waits for a thread.
struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when there is more to do, or never will be.
    changed: Condvar,
}

/// What waits, by site and client.
struct Waiting {
    /// Sites with work, each once, in the order of their turns.
    turns: VecDeque<Option<u32>>,
    of: HashMap<Option<u32>, FairQueue<Subnet, Waited>>,
    /// Long decisions that are being made, by site.
    long: HashMap<u32, usize>,
    threads: usize,
    count: usize,
    most: usize,
    is_over: bool,
}

/// Work that waits.
struct Waited {
    is_long: bool,
    work: Work,
}

/// Work whose turn it is.
struct Turn {
    work: Work,
    /// The site, if it is a long decision of one of several.
    long_of: Option<u32>,
}

/// Whose a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Asker {
    /// The number of the site, if it is one of several.
    pub(in crate::guest) site: Option<u32>,
    /// The client of the request.
    pub(in crate::guest) client: IpAddr,
    /// How long the decision may take.
    pub(in crate::guest) deadline: Duration,
}

type Work = Box<dyn FnOnce(Called) + Send>;

/// Why work is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// It is its turn.
    Next,
    /// It has lost its place to a client with less.
    Displaced,
}

impl SlowPool {
    /// Starts this many threads.
    pub(super) fn start(count: usize) -> io::Result<SlowPool> {
        SlowPool::with(count, PATIENCE)
    }

    fn with(count: usize, patience: Duration) -> io::Result<SlowPool> {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Waiting {
                turns: VecDeque::new(),
                of: HashMap::new(),
                long: HashMap::new(),
                threads: count,
                count: 0,
                most: WAITING * count,
                is_over: false,
            }),
            changed: Condvar::new(),
        });
        // Ends those that were started if one cannot be.
        let slow_pool = SlowPool { queue: Arc::clone(&queue), patience };
        for number in 0..count {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("decider-{number}")).spawn(move || {
                prepare_background_thread();
                while let Some(Turn { work, long_of }) = queue.next() {
                    // The panic's hook logs it; the request finds no result.
                    let _ = catch_unwind(AssertUnwindSafe(|| work(Called::Next)));
                    if let Some(site) = long_of {
                        queue.end_long(site);
                    }
                }
            })?;
        }
        Ok(slow_pool)
    }

    /// Decides on one of the threads, when it is the turn of the site and of its client. [`Failure::Busy`] if too
    /// many wait, or if it waited too long.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        asker: Asker,
        decide: impl FnOnce() -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let (result, received) = oneshot::channel();
        let (asked, patience) = (Instant::now(), self.patience);
        let work = Box::new(move |called| {
            // The request may be canceled.
            if result.is_closed() {
                return;
            }
            let is_busy = called == Called::Displaced || asked.elapsed() > patience;
            let _ = result.send(if is_busy { Err(Failure::Busy) } else { decide() });
        });
        self.queue.put(asker, work);
        let panicked = |_| {
            let cause = "the host panicked when it was to run it";
            Err(Failure::Trap(Trapped::new(cause).into()))
        };
        received.await.unwrap_or_else(panicked)
    }
}

impl Drop for SlowPool {
    fn drop(&mut self) {
        self.queue.waiting().is_over = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No work is run while it is held, and nothing else there panics.
        lock(&self.waiting)
    }

    /// Adds work. Where there is no room for it, the last that came of the site and the client with
    /// most of it is displaced, or this.
    fn put(&self, asker: Asker, work: Work) {
        let displaced = self.waiting().put(asker, work);
        self.changed.notify_one();
        if let Some(displaced) = displaced {
            displaced(Called::Displaced);
        }
    }

    /// What is to be done next; `None` when nothing can be any more.
    fn next(&self) -> Option<Turn> {
        let mut waiting = self.waiting();
        loop {
            if let Some(turn) = waiting.take() {
                return Some(turn);
            }
            if waiting.is_over {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A long decision of this site is made.
    fn end_long(&self, site: u32) {
        let mut waiting = self.waiting();
        if let Some(count) = waiting.long.get_mut(&site) {
            *count -= 1;
            if *count == 0 {
                waiting.long.remove(&site);
            }
        }
    }
}

impl Waiting {
    /// Adds work, and gives what there is no room for then.
    fn put(&mut self, asker: Asker, work: Work) -> Option<Work> {
        let Asker { site, client, deadline } = asker;
        let is_long = deadline > LONG;
        let client = Subnet::of(client);
        let mut displaced = None;
        if self.count == self.most {
            displaced = self.displace_for(site, client);
            if displaced.is_none() {
                return Some(work);
            }
            self.count -= 1;
        }
        let queue = self.of.entry(site).or_default();
        if queue.is_empty() {
            self.turns.push_back(site);
        }
        queue.push(client, Waited { is_long, work });
        self.count += 1;
        displaced.map(|displaced| displaced.work)
    }

    /// Makes room for one more of this site and client.
    fn displace_for(&mut self, site: Option<u32>, client: Subnet) -> Option<Waited> {
        let own = self.of.get(&site).map_or(0, FairQueue::len);
        let (_, longest) = self.of.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        // Two more at least: with one more they would displace each other in turns. As it has
        // two, it keeps its turn.
        if longest.len() > own + 1 {
            return longest.pop_latest(|_| true);
        }
        self.of.get_mut(&site)?.displace_for(client, |_| true)
    }

    /// The oldest work of the site and the client whose turn it is, and which may have one more thread.
    fn take(&mut self) -> Option<Turn> {
        let may_begin = |site: &Option<u32>| !site.is_some_and(|site| self.has_its_threads(site));
        let at = self.turns.iter().position(may_begin)?;
        let site = self.turns.remove(at)?;
        let queue = self.of.get_mut(&site)?;
        let Waited { is_long, work } = queue.pop()?;
        self.count -= 1;
        let long_of = site.filter(|_| is_long);
        if let Some(site) = long_of {
            *self.long.entry(site).or_default() += 1;
        }
        if queue.is_empty() {
            self.of.remove(&site);
        } else {
            self.turns.push_back(site);
        }
        Some(Turn { work, long_of })
    }

    /// Whether this site has as many long decisions as it may: all threads but one, if there are
    /// several.
    fn has_its_threads(&self, site: u32) -> bool {
        let most = self.threads.saturating_sub(1).max(1);
        self.threads > 1 && self.long.get(&site).is_some_and(|long| *long >= most)
    }
}

#[cfg(test)]
mod tests;
