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

use super::thread::prepare_thread;
use crate::fair_queue::FairQueue;
use crate::guest::failure::Failure;
use crate::guest::trapped::Trapped;
use crate::http::Subnet;
use crate::lock::lock;
use crate::priority;

/// Decisions that may wait, for each thread. A guest in Python (2 ms) makes this many in a
/// quarter of a second; a later request gets 503 at once.
const WAITING: usize = 128;

/// How long a decision waits for a thread: ten times the default deadline, a guess. For guests
/// that use all of their deadline this limit comes first.
const PATIENCE: Duration = Duration::from_secs(1);

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
    turns: VecDeque<u32>,
    of: HashMap<u32, FairQueue<Subnet, Work>>,
    count: usize,
    most: usize,
    is_over: bool,
}

/// Whose a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Asker {
    /// The number of the site.
    pub(in crate::guest) site: u32,
    /// The client of the request.
    pub(in crate::guest) client: IpAddr,
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
                if let Err(error) = priority::set(priority::BACKGROUND) {
                    tracing::debug!(%error, "cannot lower the priority of a background thread");
                }
                // If there is no memory for it, each decision tries again.
                let _ = prepare_thread();
                while let Some(work) = queue.next() {
                    // The panic's hook logs it; the request finds no result.
                    let _ = catch_unwind(AssertUnwindSafe(|| work(Called::Next)));
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
    fn next(&self) -> Option<Work> {
        let mut waiting = self.waiting();
        loop {
            if let Some(work) = waiting.take() {
                return Some(work);
            }
            if waiting.is_over {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    /// Adds work, and gives what there is no room for then.
    fn put(&mut self, Asker { site, client }: Asker, work: Work) -> Option<Work> {
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
        queue.push(client, work);
        self.count += 1;
        displaced
    }

    /// Makes room for one more of this site and client.
    fn displace_for(&mut self, site: u32, client: Subnet) -> Option<Work> {
        let own = self.of.get(&site).map_or(0, FairQueue::len);
        let (_, longest) = self.of.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        // Two more at least: with one more they would displace each other in turns. As it has
        // two, it keeps its turn.
        if longest.len() > own + 1 {
            return longest.pop_latest(|_| true);
        }
        self.of.get_mut(&site)?.displace_for(client, |_| true)
    }

    /// The oldest work of the site and the client whose turn it is.
    fn take(&mut self) -> Option<Work> {
        let site = self.turns.pop_front()?;
        let queue = self.of.get_mut(&site)?;
        let work = queue.pop()?;
        self.count -= 1;
        if queue.is_empty() {
            self.of.remove(&site);
        } else {
            self.turns.push_back(site);
        }
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use std::net::IpAddr;

    use super::{Asker, Failure, SlowPool, WAITING};

    /// A client of the first site.
    fn client(number: u8) -> Asker {
        of_site(0, number)
    }

    fn of_site(site: u32, number: u8) -> Asker {
        Asker { site, client: IpAddr::from([192, 0, 2, number]) }
    }

    /// A pool of one thread that is in use until the sender is dropped.
    fn blocked() -> (tokio::runtime::Runtime, std::sync::Arc<SlowPool>, mpsc::Sender<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let slow_pool = std::sync::Arc::new(SlowPool::start(1).expect("a thread"));
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let wait = move || {
            begin.send(()).expect("the test waits");
            let _ = ended.recv();
            Ok(())
        };
        let pool = std::sync::Arc::clone(&slow_pool);
        runtime.spawn(async move { pool.run(client(1), wait).await });
        runtime.block_on(tokio::task::yield_now());
        begun.recv().expect("it runs");
        (runtime, slow_pool, end)
    }

    #[test]
    fn decision_beyond_the_queue_is_busy_at_once() {
        let (runtime, slow_pool, end) = blocked();
        let wait = |number| {
            let slow_pool = std::sync::Arc::clone(&slow_pool);
            runtime.spawn(async move { slow_pool.run(client(1), move || Ok(number)).await })
        };
        let waiting: Vec<_> = (0..WAITING).map(wait).collect();
        // A runtime needs several turns for this many.
        for _ in 0..WAITING {
            runtime.block_on(tokio::task::yield_now());
        }
        assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(0))), Err(Failure::Busy));
        drop(end);
        for (number, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(number));
        }
        assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(1))), Ok(1));
    }

    #[test]
    fn clients_take_turns_and_the_longest_queue_loses_work() {
        let (runtime, slow_pool, end) = blocked();
        let (done, order) = mpsc::channel();
        let wait = |from: u8, number: usize| {
            let (slow_pool, done) = (std::sync::Arc::clone(&slow_pool), done.clone());
            let decide = move || done.send((from, number)).map_err(|_| Failure::Busy);
            runtime.spawn(async move { slow_pool.run(client(from), decide).await })
        };
        let settle = || {
            for _ in 0..WAITING {
                runtime.block_on(tokio::task::yield_now());
            }
        };
        let mut flood: Vec<_> = (0..WAITING).map(|number| wait(1, number)).collect();
        settle();
        let honest: Vec<_> = (0..3).map(|number| wait(2, number)).collect();
        let third = wait(3, 0);
        settle();
        drop(end);
        for waiting in honest.into_iter().chain([third]) {
            assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
        }
        // The last that came gave their places.
        for displaced in flood.drain(WAITING - 4..) {
            assert_eq!(runtime.block_on(displaced).expect("no panic"), Err(Failure::Busy));
        }
        for waiting in flood {
            assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
        }
        let order: Vec<_> = order.try_iter().take(8).collect();
        assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2), (2, 2), (1, 3)]);
    }

    #[test]
    fn flood_of_one_site_waits_for_the_turns_of_others() {
        let (runtime, slow_pool, end) = blocked();
        let (done, order) = mpsc::channel();
        let wait = |site: u32, client: u8| {
            let (slow_pool, done) = (std::sync::Arc::clone(&slow_pool), done.clone());
            let decide = move || done.send((site, client)).map_err(|_| Failure::Busy);
            runtime.spawn(async move { slow_pool.run(of_site(site, client), decide).await })
        };
        let settle = || {
            for _ in 0..2 * WAITING {
                runtime.block_on(tokio::task::yield_now());
            }
        };
        // Each of its clients has one decision only.
        let clients = 0..u8::try_from(WAITING).expect("few wait");
        let flood: Vec<_> = clients.map(|number| wait(1, number)).collect();
        settle();
        let mut others: Vec<_> = (0..3).map(|_| wait(2, 0)).collect();
        settle();
        others.push(wait(3, 0));
        settle();
        drop(end);
        for waiting in others {
            assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
        }
        let flood = flood.into_iter().map(|waiting| runtime.block_on(waiting).expect("no panic"));
        let displaced = flood.filter(|outcome| *outcome == Err(Failure::Busy)).count();
        assert_eq!(displaced, 4);
        let sites: Vec<_> = order.try_iter().map(|(site, _)| site).take(8).collect();
        assert_eq!(sites, [1, 2, 3, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn decision_that_waited_too_long_is_busy() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let slow_pool = SlowPool::with(1, Duration::ZERO).expect("a thread");
        let late = slow_pool.run(client(1), || -> Result<(), Failure> { panic!("it is begun") });
        assert_eq!(runtime.block_on(late), Err(Failure::Busy));
    }

    #[test]
    fn panic_is_a_trap_of_one_decision() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let slow_pool = SlowPool::start(1).expect("a thread");
        let panics =
            slow_pool.run(client(1), || -> Result<(), Failure> { panic!("as a test wants it") });
        assert!(matches!(runtime.block_on(panics), Err(Failure::Trap(_))));
        assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(1))), Ok(1));
    }
}
