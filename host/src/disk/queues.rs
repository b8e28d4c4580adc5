//! Jobs that wait for a device or run on it, and which of them begins next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::job_error::JobError;
use super::owner::{Owner, share_of};
use super::progress::{Progress, Signs};
use crate::fair_queue::FairQueue;

/// How often a device that does not respond is tried.
pub(super) const TRIAL: Duration = Duration::from_secs(1);

/// Devices that are kept although no job is for them.
const DEVICES: usize = 256;

/// The bounds of a pool.
pub(super) struct Limits {
    /// The name of its threads.
    pub(super) name: &'static str,
    /// Their rank.
    pub(super) rank: i32,
    /// Jobs that run for one device at a time.
    pub(super) share: usize,
    /// Whether there are several owners: none has all of that then.
    pub(super) are_several: fn() -> bool,
    /// Threads in all.
    pub(super) threads: usize,
    /// Jobs that wait for one device at a time.
    pub(super) waiting: usize,
    /// How long a caller waits for the outcome, or for the next step of a job.
    pub(super) patience: Duration,
    /// The same for a device that has already exceeded `patience`.
    pub(super) brief_patience: Duration,
    /// How long a caller waits in all, also for a job that makes progress.
    pub(super) longest: Duration,
}

impl Limits {
    /// Jobs of one owner that run for one device at a time.
    fn own_share(&self) -> usize {
        if (self.are_several)() { share_of(self.share) } else { self.share }
    }
}

/// What a job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    /// The device with this number.
    Device(u64),
    /// A processor.
    Processor,
}

/// What runs and waits for one device now.
#[derive(Clone, Debug)]
pub struct DeviceLoad {
    /// The name of the threads.
    pub threads: &'static str,
    /// Its number (`st_dev`); none for a processor.
    pub device: Option<u64>,
    /// Operations that run.
    pub running: usize,
    /// Operations that wait for a thread.
    pub waiting: usize,
    /// Operations without an outcome in time, since the start.
    pub late: u64,
    /// Whether it has not responded for [`PATIENCE`](super::PATIENCE), though it was asked.
    pub is_stalled: bool,
}

/// Something that a thread does.
pub(super) trait Job: Send {
    /// Whether its caller still waits for the outcome.
    fn is_wanted(&self) -> bool;
    /// Does it, and sends its outcome.
    fn run(self: Box<Self>);
    /// Whether it may be refused for want of room.
    fn may_be_refused(&self) -> bool;
    /// There is no room for it. It only tells its caller, and waits for nothing.
    fn refuse(self: Box<Self>);
}

/// A job whose caller waits.
pub(super) struct Call<F, R> {
    pub(super) work: F,
    pub(super) progress: Arc<Progress>,
    pub(super) outcome: oneshot::Sender<Result<R, JobError>>,
}

impl<R: Send, F: FnOnce(&Progress) -> R + Send> Job for Call<F, R> {
    fn is_wanted(&self) -> bool {
        !self.outcome.is_closed()
    }

    fn run(self: Box<Self>) {
        // Sending fails if the caller has stopped waiting; the outcome is then dropped.
        let _ = self.outcome.send(Ok((self.work)(&self.progress)));
    }

    fn may_be_refused(&self) -> bool {
        true
    }

    fn refuse(self: Box<Self>) {
        let _ = self.outcome.send(Err(JobError::QueueFull));
    }
}

/// A job that no caller waits for.
pub(super) struct Detached<F>(pub(super) F);

impl<F: FnOnce() + Send> Job for Detached<F> {
    fn is_wanted(&self) -> bool {
        true
    }

    fn run(self: Box<Self>) {
        (self.0)();
    }

    /// It closes a file, which has to be done, and may wait.
    fn may_be_refused(&self) -> bool {
        false
    }

    fn refuse(self: Box<Self>) {}
}

/// The jobs for one device.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: FairQueue<Owner, Box<dyn Job>>,
    /// Those that run.
    pub(super) running: Vec<Running>,
    pub(super) signs: Arc<Signs>,
    last_begun: Option<Instant>,
    /// Whether the log says that it does not respond.
    pub(super) is_logged: bool,
    pub(super) late: u64,
}

/// A job that runs.
pub(super) struct Running {
    pub(super) number: u64,
    owner: Owner,
    since: Instant,
}

impl Queue {
    /// Whether the device has not responded for this long although a job runs.
    pub(super) fn is_stalled(&self, now: Instant, patience: Duration) -> bool {
        let is_long_ago = |then: Instant| now.saturating_duration_since(then) >= patience;
        self.running.iter().any(|running| is_long_ago(running.since))
            && self.signs.last().is_none_or(is_long_ago)
    }

    /// Whether the next job may begin now: while none comes back few are let through.
    fn may_begin(&self, now: Instant, limits: &Limits) -> bool {
        let is_tried = |begun: Instant| now.saturating_duration_since(begun) < TRIAL;
        self.running.len() < limits.share
            && !(self.last_begun.is_some_and(is_tried) && self.is_stalled(now, limits.patience))
    }

    /// How many of the waiting jobs may begin now.
    fn startable(&self, now: Instant, limits: &Limits) -> usize {
        match self.may_begin(now, limits) {
            false => 0,
            true if self.is_stalled(now, limits.patience) => self.waiting.len().min(1),
            true => {
                let most = limits.share - self.running.len();
                // One owner after the other, and no more of them than may begin.
                self.waiting.owners().fold(0, |begin, owner| match begin < most {
                    true => {
                        let left =
                            limits.own_share().saturating_sub(count_of(&self.running, owner));
                        (begin + left.min(self.waiting.len_of(owner))).min(most)
                    }
                    false => begin,
                })
            }
        }
    }

    /// Takes the next job that may begin.
    fn take(&mut self, limits: &Limits) -> Option<(Owner, Box<dyn Job>)> {
        let (share, running) = (limits.own_share(), &self.running);
        self.waiting
            .pop_of(|owner| running.iter().filter(|running| running.owner == owner).count() < share)
    }
}

fn count_of(running: &[Running], owner: Owner) -> usize {
    running.iter().filter(|running| running.owner == owner).count()
}

/// The queues of all devices.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) by_resource: HashMap<Resource, Queue>,
    /// Jobs that have begun, to number them.
    begun: u64,
}

impl Queues {
    /// The job that begins next, with its number. Those that no caller waits for any more are
    /// given, to be dropped without a lock.
    pub(super) fn next(
        &mut self,
        limits: &Limits,
        unwanted: &mut Vec<Box<dyn Job>>,
    ) -> Option<(Resource, u64, Box<dyn Job>)> {
        let now = Instant::now();
        for (&resource, queue) in &mut self.by_resource {
            while queue.may_begin(now, limits)
                && let Some((owner, job)) = queue.take(limits)
            {
                if job.is_wanted() {
                    self.begun += 1;
                    queue.running.push(Running { number: self.begun, owner, since: now });
                    queue.last_begun = Some(now);
                    return Some((resource, self.begun, job));
                }
                unwanted.push(job);
            }
        }
        None
    }

    /// How many waiting jobs may begin now.
    pub(super) fn startable(&self, limits: &Limits) -> usize {
        let now = Instant::now();
        self.by_resource.values().map(|queue| queue.startable(now, limits)).sum()
    }

    /// Whether any job waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.by_resource.values().any(|queue| !queue.waiting.is_empty())
    }

    /// Forgets devices without jobs, if there are many.
    pub(super) fn forget(&mut self) {
        if self.by_resource.len() > DEVICES {
            self.by_resource.retain(|_, queue| {
                !queue.waiting.is_empty() || !queue.running.is_empty() || queue.is_logged
            });
        }
    }

    /// What runs and waits for each device.
    pub(super) fn loads(&self, limits: &Limits) -> Vec<DeviceLoad> {
        let now = Instant::now();
        let load = |(resource, queue): (&Resource, &Queue)| DeviceLoad {
            threads: limits.name,
            device: match resource {
                Resource::Device(device) => Some(*device),
                Resource::Processor => None,
            },
            running: queue.running.len(),
            waiting: queue.waiting.iter().filter(|job| job.is_wanted()).count(),
            late: queue.late,
            is_stalled: queue.is_stalled(now, limits.patience),
        };
        self.by_resource.iter().map(load).collect()
    }
}
