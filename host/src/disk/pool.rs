//! Threads that may wait for a file system. Each device has a limited number of them, so that a
//! device that does not respond takes no threads from the others; of those of one device no owner
//! has all, while there are others, and owners take turns.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::job_error::JobError;
use super::owner::Owner;
use super::place::shown;
use super::progress::Progress;
use super::queues::{Call, Detached, DeviceLoad, Limits, Queues, Resource, TRIAL};
use crate::clock;
use crate::lock::lock;
use crate::priority;
use crate::throttle::Throttle;

/// As many as there are requests, while there is no room for a thread.
static NO_THREAD: Throttle = Throttle::new();

/// How long a thread without a job stays, unless it is the last one.
const STAY: Duration = Duration::from_secs(10);

/// Bytes of a thread's stack: jobs are system calls, and encoders that have their memory
/// elsewhere.
pub(super) const STACK_BYTES: usize = 512 << 10;

/// The threads, and their jobs.
pub(super) struct Pool {
    limits: Limits,
    state: LazyLock<Mutex<State>>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queues: Queues,
    threads: usize,
    idle: usize,
}

impl State {
    fn is_short_of_threads(&self, limits: &Limits) -> bool {
        self.queues.startable(limits) > self.idle && self.threads < limits.threads
    }
}

impl Pool {
    pub(super) const fn new(limits: Limits) -> Pool {
        Pool { limits, state: LazyLock::new(Mutex::default), more: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No job runs while it is held.
        lock(&self.state)
    }

    /// Starts the first thread, which stays.
    pub(super) fn start(&'static self) -> io::Result<()> {
        let mut state = self.state();
        if state.threads == 0 { self.start_thread(&mut state) } else { Ok(()) }
    }

    /// Runs work on a thread and waits for its outcome.
    pub(super) async fn run<R: Send + 'static>(
        &'static self,
        resource: Resource,
        owner: Owner,
        work: impl FnOnce(&Progress) -> R + Send + 'static,
    ) -> Result<R, JobError> {
        let (outcome, mut received) = oneshot::channel();
        let asked = Instant::now();
        // What a job has is dropped without the lock: a file that is closed is another job.
        let (mut gone, mut refused) = (Vec::new(), None);
        let (progress, patience) = {
            let mut state = self.state();
            state.queues.forget();
            let queue = state.queues.by_resource.entry(resource).or_default();
            let is_stalled = queue.is_stalled(asked, self.limits.patience);
            if queue.waiting.len() >= self.limits.waiting {
                gone = queue.waiting.retain(|job| job.is_wanted());
            }
            if queue.waiting.len() >= self.limits.waiting {
                match queue.waiting.displace_for(owner, |job| job.may_be_refused()) {
                    Some(displaced) => refused = Some(displaced),
                    None => return Err(JobError::QueueFull),
                }
            }
            let signs = Arc::clone(&queue.signs);
            let progress = Arc::new(Progress::new(signs));
            let job = Call { work, progress: Arc::clone(&progress), outcome };
            queue.waiting.push(owner, Box::new(job));
            self.call_threads(&mut state)?;
            let Limits { patience, brief_patience, .. } = self.limits;
            (progress, if is_stalled { brief_patience } else { patience })
        };
        if let Some(refused) = refused {
            refused.refuse();
        }
        drop(gone);
        let (mut steps, mut since) = (0, asked);
        loop {
            let left = patience.saturating_sub(since.elapsed());
            match timeout(left, &mut received).await {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(_)) => return Err(JobError::Panicked),
                Err(_) => {}
            }
            let steps_now = progress.steps();
            if steps_now != steps && asked.elapsed() < self.limits.longest {
                (steps, since) = (steps_now, Instant::now());
            } else if since.elapsed() >= patience {
                self.note_late(resource);
                return Err(JobError::TimedOut(asked.elapsed()));
            }
        }
    }

    /// Runs work on a thread; the caller does not wait.
    pub(super) fn run_detached(
        &'static self,
        resource: Resource,
        owner: Owner,
        work: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.state();
        let queue = state.queues.by_resource.entry(resource).or_default();
        queue.waiting.push(owner, Box::new(Detached(work)));
        // Without any thread the first one that starts does it.
        let _ = self.call_threads(&mut state);
    }

    /// Starts or wakes threads for the waiting jobs.
    fn call_threads(&'static self, state: &mut State) -> Result<(), JobError> {
        while state.is_short_of_threads(&self.limits) {
            if let Err(error) = self.start_thread(state) {
                if state.threads == 0 {
                    NO_THREAD.log(|suppressed| {
                        tracing::error!(%error, suppressed, "cannot start disk thread");
                    });
                    return Err(JobError::QueueFull);
                }
                // The other threads will come to it.
                break;
            }
        }
        self.more.notify_one();
        Ok(())
    }

    /// Starts one more thread.
    fn start_thread(&'static self, state: &mut State) -> io::Result<()> {
        let number = state.threads;
        thread::Builder::new()
            .name(format!("{}-{number}", self.limits.name))
            .stack_size(STACK_BYTES)
            .spawn(move || self.work())?;
        state.threads += 1;
        // Until it has begun it counts as idle.
        state.idle += 1;
        Ok(())
    }

    /// The life of a thread.
    fn work(&'static self) {
        if self.limits.rank != 0
            && let Err(error) = priority::set(self.limits.rank)
        {
            tracing::debug!(%error, "cannot lower the priority of a background thread");
        }
        let mut state = self.state();
        loop {
            let mut unwanted = Vec::new();
            let next = state.queues.next(&self.limits, &mut unwanted);
            if let Some((resource, number, job)) = next {
                state.idle -= 1;
                drop(state);
                drop(unwanted);
                // The panic hook logs it; the caller finds the channel closed.
                let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
                state = self.state();
                state.idle += 1;
                self.note_done(&mut state, resource, number);
                continue;
            }
            if !unwanted.is_empty() {
                drop(state);
                drop(unwanted);
                state = self.state();
                continue;
            }
            // A job for a device that does not respond may begin later.
            let is_awaited = state.queues.has_waiting();
            let stay = if is_awaited { TRIAL } else { STAY };
            let (woken, waited) =
                self.more.wait_timeout(state, stay).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() && !is_awaited && state.idle > 1 {
                state.idle -= 1;
                state.threads -= 1;
                return;
            }
        }
    }

    fn note_done(&self, state: &mut State, resource: Resource, number: u64) {
        let Some(queue) = state.queues.by_resource.get_mut(&resource) else { return };
        queue.running.retain(|running| running.number != number);
        queue.signs.note();
        if std::mem::take(&mut queue.is_logged)
            && let Resource::Device(device) = resource
        {
            let device = shown(device);
            tracing::info!(device, "file system responds again");
        }
    }

    fn note_late(&self, resource: Resource) {
        let mut state = self.state();
        let Some(queue) = state.queues.by_resource.get_mut(&resource) else { return };
        queue.late += 1;
        if let Resource::Device(device) = resource
            && queue.is_stalled(Instant::now(), self.limits.patience)
            && !std::mem::replace(&mut queue.is_logged, true)
        {
            let (device, patience) = (shown(device), self.limits.patience);
            // findmnt(8) tells which file system it is.
            let elapsed_ms = clock::millis(patience);
            tracing::error!(
                device,
                elapsed_ms,
                "file system does not respond, files that are not in memory get 503"
            );
        }
    }

    /// What runs and waits for each device.
    pub(super) fn loads(&self) -> Vec<DeviceLoad> {
        self.state().queues.loads(&self.limits)
    }
}

#[cfg(test)]
mod tests;
