//! Threads for decisions that take too long for a worker: so many run at a time, so
//! many wait, and no one waits for long. What a worker remembers needs none of them,
//! so a flood of requests that have to be decided leaves the others alone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::instance::Failure;
use super::thread::prepare_thread;

/// Decisions that may wait, for each lane. A guest in Python (2 ms) gets through so
/// many in a quarter of a second; who comes later is better told at once to come again.
const WAITING: usize = 128;

/// How long a decision waits for a lane: ten times the default deadline, a guess. With
/// guests that use all of their deadline it is this that ends the waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the scheduler ranks these threads, beside workers with 0: a third of the share of
/// a core that both want (sched(7)). Lower still, and an honest decision of some
/// milliseconds would miss its deadline on a busy machine.
const NICENESS: i32 = 5;

/// The threads. Dropping this ends them, when they have done what waits.
pub(super) struct Lanes {
    queue: SyncSender<Work>,
    patience: Duration,
}

type Work = Box<dyn FnOnce() + Send>;

impl Lanes {
    /// Starts so many of them.
    pub(super) fn start(count: usize) -> io::Result<Lanes> {
        Lanes::with(count, PATIENCE)
    }

    fn with(count: usize, patience: Duration) -> io::Result<Lanes> {
        let (queue, receiver) = sync_channel(WAITING * count);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..count {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new().name(format!("decider-{number}")).spawn(move || {
                if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                    tracing::debug!("slow decisions have the priority of workers: {error}");
                }
                // If there is no memory for it, each decision tries again.
                let _ = prepare_thread();
                while let Some(work) = next(&receiver) {
                    // The panic's hook told of it; whoever waits finds the answer missing.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            })?;
        }
        Ok(Lanes { queue, patience })
    }

    /// Decides on one of the threads, when it is its turn. [`Failure::Busy`] if too many
    /// wait, or if it waited too long.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        decide: impl FnOnce() -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let (answer, answered) = oneshot::channel();
        let (asked, patience) = (Instant::now(), self.patience);
        let work = Box::new(move || {
            // Nobody may be there any more to be told.
            if answer.is_closed() {
                return;
            }
            let is_late = asked.elapsed() > patience;
            let _ = answer.send(if is_late { Err(Failure::Busy) } else { decide() });
        });
        if self.queue.try_send(work).is_err() {
            return Err(Failure::Busy);
        }
        let panicked = |_| Err(Failure::Trap("the host panicked when it was to run it".to_owned()));
        answered.await.unwrap_or_else(panicked)
    }
}

/// What is to be done next; `None` when nothing can be any more.
fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{Failure, Lanes, WAITING};

    /// One lane that is in use until the sender is dropped.
    fn blocked() -> (tokio::runtime::Runtime, std::sync::Arc<Lanes>, mpsc::Sender<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let lanes = std::sync::Arc::new(Lanes::start(1).expect("a thread"));
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let wait = move || {
            begin.send(()).expect("somebody waits");
            let _ = ended.recv();
            Ok(())
        };
        let lane = std::sync::Arc::clone(&lanes);
        runtime.spawn(async move { lane.run(wait).await });
        runtime.block_on(tokio::task::yield_now());
        begun.recv().expect("it runs");
        (runtime, lanes, end)
    }

    #[test]
    fn what_finds_no_room_to_wait_is_told_at_once() {
        let (runtime, lanes, end) = blocked();
        let wait = |number| {
            let lanes = std::sync::Arc::clone(&lanes);
            runtime.spawn(async move { lanes.run(move || Ok(number)).await })
        };
        let waiting: Vec<_> = (0..WAITING).map(wait).collect();
        // A runtime gets to so many in some turns of its own.
        for _ in 0..WAITING {
            runtime.block_on(tokio::task::yield_now());
        }
        assert_eq!(runtime.block_on(lanes.run(|| Ok(0))), Err(Failure::Busy));
        drop(end);
        for (number, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(number));
        }
        assert_eq!(runtime.block_on(lanes.run(|| Ok(1))), Ok(1));
    }

    #[test]
    fn what_waited_too_long_is_not_begun() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let lanes = Lanes::with(1, Duration::ZERO).expect("a thread");
        let late = lanes.run(|| -> Result<(), Failure> { panic!("it is begun") });
        assert_eq!(runtime.block_on(late), Err(Failure::Busy));
    }

    #[test]
    fn a_panic_costs_one_decision() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let lanes = Lanes::start(1).expect("a thread");
        let panics = lanes.run(|| -> Result<(), Failure> { panic!("as a test wants it") });
        assert!(matches!(runtime.block_on(panics), Err(Failure::Trap(_))));
        assert_eq!(runtime.block_on(lanes.run(|| Ok(1))), Ok(1));
    }
}
