//! Threads that may wait for a file system. Each device has a limited number of them, so that a
//! device that gives no answer takes no threads from the others.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::place::shown;

/// How long a thread with nothing to do stays, unless it is the last one.
const STAY: Duration = Duration::from_secs(10);

/// How often a device that gives no answer is tried.
const TRIAL: Duration = Duration::from_secs(1);

/// Bytes of a thread's stack: what is called here are system calls, and encoders that have
/// their memory elsewhere.
const STACK_BYTES: usize = 512 << 10;

/// Devices that are remembered although nothing is done for them.
const DEVICES: usize = 256;

/// The bounds of a crew.
pub(super) struct Limits {
    /// The name of its threads.
    pub(super) name: &'static str,
    /// Their rank.
    pub(super) niceness: i32,
    /// Threads that work for one device at a time.
    pub(super) share: usize,
    /// Threads in all.
    pub(super) threads: usize,
    /// What may wait for one device at a time.
    pub(super) waiting: usize,
    /// How long a caller waits for an answer, or for a sign that the work goes on.
    pub(super) patience: Duration,
    /// The same for a device that has already exceeded `patience`.
    pub(super) brief_patience: Duration,
    /// How long a caller waits in all, also for work that goes on.
    pub(super) longest: Duration,
}

/// For what the work waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Queue {
    /// The device with this number.
    Device(u64),
    /// A processor.
    Processor,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The device gave none for so long.
    Late(Duration),
    /// Too much waits for it already, or there is no thread.
    Busy,
    /// The work panicked, which the log tells.
    Panicked,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Late(after) => {
                write!(f, "there was no answer within {:.1} s", after.as_secs_f64())
            }
            Unanswered::Busy => f.write_str("too many others wait for the same"),
            Unanswered::Panicked => f.write_str("a panic"),
        }
    }
}

impl From<Unanswered> for io::Error {
    fn from(why: Unanswered) -> io::Error {
        let kind = match why {
            Unanswered::Late(_) => io::ErrorKind::TimedOut,
            Unanswered::Busy => io::ErrorKind::ResourceBusy,
            Unanswered::Panicked => io::ErrorKind::Other,
        };
        io::Error::new(kind, why.to_string())
    }
}

/// Shows that a work goes on.
pub struct Progress {
    beats: AtomicU64,
    signs: Arc<Signs>,
}

impl Progress {
    /// To be called after each step that may have waited.
    pub fn goes_on(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.signs.note();
    }
}

/// When a device last gave an answer: milliseconds since [`BASE`], and one more; 0 if it never did.
#[derive(Default)]
struct Signs(AtomicU64);

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Signs {
    fn note(&self) {
        let now = u64::try_from(BASE.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.store(now.saturating_add(1), Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        let millis = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(*BASE + Duration::from_millis(millis))
    }
}

/// The threads, and what they are to do.
pub(super) struct Crew {
    limits: Limits,
    state: LazyLock<Mutex<State>>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queues: HashMap<Queue, Waiting>,
    threads: usize,
    idle: usize,
    works: u64,
}

/// What is done for one device, and what waits for that.
#[derive(Default)]
struct Waiting {
    works: VecDeque<Box<dyn Work>>,
    /// What runs, by number, since when.
    running: Vec<(u64, Instant)>,
    signs: Arc<Signs>,
    last_begun: Option<Instant>,
    /// Whether the log tells that it gives no answer.
    is_told: bool,
    late: u64,
}

/// What is done for one device now.
#[derive(Clone, Debug)]
pub struct Share {
    /// What its threads are called.
    pub crew: &'static str,
    /// Its number (`st_dev`); none for what waits for a processor.
    pub device: Option<u64>,
    /// Operations that run.
    pub running: usize,
    /// Operations that wait for a thread.
    pub waiting: usize,
    /// Operations that gave no answer in time, since the start.
    pub late: u64,
    /// Whether it has given none for [`PATIENCE`](super::PATIENCE), though it was asked.
    pub is_stalled: bool,
}

/// Something to do.
trait Work: Send {
    /// Whether its caller still waits for the outcome.
    fn is_wanted(&self) -> bool;
    /// Does it, and tells its outcome.
    fn run(self: Box<Self>);
}

struct Asked<F, R> {
    work: F,
    progress: Arc<Progress>,
    answer: oneshot::Sender<R>,
}

impl<R: Send, F: FnOnce(&Progress) -> R + Send> Work for Asked<F, R> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(self: Box<Self>) {
        // Sending fails if the caller has stopped waiting; the outcome is then dropped.
        let _ = self.answer.send((self.work)(&self.progress));
    }
}

struct HandedOver<F>(F);

impl<F: FnOnce() + Send> Work for HandedOver<F> {
    fn is_wanted(&self) -> bool {
        true
    }

    fn run(self: Box<Self>) {
        (self.0)();
    }
}

impl Waiting {
    /// Whether the device gave no answer for so long although something runs.
    fn is_stalled(&self, now: Instant, patience: Duration) -> bool {
        let is_long_ago = |then: Instant| now.saturating_duration_since(then) >= patience;
        self.running.iter().any(|&(_, since)| is_long_ago(since))
            && self.signs.last().is_none_or(is_long_ago)
    }

    /// Whether the next work may begin now: as long as nothing comes back few are let through.
    fn may_begin(&self, now: Instant, limits: &Limits) -> bool {
        let is_tried = |begun: Instant| now.saturating_duration_since(begun) < TRIAL;
        self.running.len() < limits.share
            && !(self.last_begun.is_some_and(is_tried) && self.is_stalled(now, limits.patience))
    }

    /// How many of those that wait may begin now.
    fn startable(&self, now: Instant, limits: &Limits) -> usize {
        match self.may_begin(now, limits) {
            false => 0,
            true if self.is_stalled(now, limits.patience) => self.works.len().min(1),
            true => self.works.len().min(limits.share - self.running.len()),
        }
    }
}

impl State {
    /// What is to be done next.
    fn next(&mut self, limits: &Limits) -> Option<(Queue, u64, Box<dyn Work>)> {
        let now = Instant::now();
        for (&queue, waiting) in &mut self.queues {
            while waiting.may_begin(now, limits)
                && let Some(work) = waiting.works.pop_front()
            {
                if work.is_wanted() {
                    self.works += 1;
                    waiting.running.push((self.works, now));
                    waiting.last_begun = Some(now);
                    return Some((queue, self.works, work));
                }
            }
        }
        None
    }

    fn is_short_of_threads(&self, limits: &Limits) -> bool {
        let now = Instant::now();
        let startable: usize =
            self.queues.values().map(|waiting| waiting.startable(now, limits)).sum();
        startable > self.idle && self.threads < limits.threads
    }

    /// Forgets devices that nothing is done for, if there are many.
    fn forget(&mut self) {
        if self.queues.len() > DEVICES {
            self.queues.retain(|_, waiting| {
                !waiting.works.is_empty() || !waiting.running.is_empty() || waiting.is_told
            });
        }
    }
}

impl Crew {
    pub(super) const fn new(limits: Limits) -> Crew {
        Crew { limits, state: LazyLock::new(Mutex::default), more: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No work runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the first thread, which stays.
    pub(super) fn start(&'static self) -> io::Result<()> {
        let mut state = self.state();
        if state.threads == 0 { self.hire(&mut state) } else { Ok(()) }
    }

    /// Runs the work on a thread and waits for its outcome.
    pub(super) async fn run<R: Send + 'static>(
        &'static self,
        queue: Queue,
        work: impl FnOnce(&Progress) -> R + Send + 'static,
    ) -> Result<R, Unanswered> {
        let (answer, mut answered) = oneshot::channel();
        let asked = Instant::now();
        let (progress, patience) = {
            let mut state = self.state();
            state.forget();
            let waiting = state.queues.entry(queue).or_default();
            let is_stalled = waiting.is_stalled(asked, self.limits.patience);
            if waiting.works.len() >= self.limits.waiting {
                waiting.works.retain(|work| work.is_wanted());
            }
            if waiting.works.len() >= self.limits.waiting {
                return Err(Unanswered::Busy);
            }
            let signs = Arc::clone(&waiting.signs);
            let progress = Arc::new(Progress { beats: AtomicU64::new(0), signs });
            let work = Asked { work, progress: Arc::clone(&progress), answer };
            waiting.works.push_back(Box::new(work));
            self.call(&mut state)?;
            let Limits { patience, brief_patience, .. } = self.limits;
            (progress, if is_stalled { brief_patience } else { patience })
        };
        let (mut beats, mut since) = (0, asked);
        loop {
            let left = patience.saturating_sub(since.elapsed());
            match timeout(left, &mut answered).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => return Err(Unanswered::Panicked),
                Err(_) => {}
            }
            let beats_now = progress.beats.load(Ordering::Relaxed);
            if beats_now != beats && asked.elapsed() < self.limits.longest {
                (beats, since) = (beats_now, Instant::now());
            } else if since.elapsed() >= patience {
                self.note_late(queue);
                return Err(Unanswered::Late(asked.elapsed()));
            }
        }
    }

    /// Runs the work on a thread; the caller does not wait.
    pub(super) fn hand_over(&'static self, queue: Queue, work: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        state.queues.entry(queue).or_default().works.push_back(Box::new(HandedOver(work)));
        // Without any thread it is done by the first one that there will be.
        let _ = self.call(&mut state);
    }

    /// Starts or wakes threads for the work that waits.
    fn call(&'static self, state: &mut State) -> Result<(), Unanswered> {
        while state.is_short_of_threads(&self.limits) {
            if let Err(error) = self.hire(state) {
                if state.threads == 0 {
                    tracing::error!("cannot start a thread that waits for the disk: {error}");
                    return Err(Unanswered::Busy);
                }
                // Those that there are will come to it.
                break;
            }
        }
        self.more.notify_one();
        Ok(())
    }

    /// Starts one more thread.
    fn hire(&'static self, state: &mut State) -> io::Result<()> {
        let number = state.threads;
        thread::Builder::new()
            .name(format!("{}-{number}", self.limits.name))
            .stack_size(STACK_BYTES)
            .spawn(move || self.work())?;
        state.threads += 1;
        // Until it has begun it counts as one that waits for work.
        state.idle += 1;
        Ok(())
    }

    /// What a thread does.
    fn work(&'static self) {
        if self.limits.niceness != 0
            && let Err(error) = rustix::process::setpriority_process(None, self.limits.niceness)
        {
            tracing::debug!("listings and compression have the rank of workers: {error}");
        }
        let mut state = self.state();
        loop {
            if let Some((queue, number, work)) = state.next(&self.limits) {
                state.idle -= 1;
                drop(state);
                // The panic hook logs it; the caller finds the channel closed.
                let _ = catch_unwind(AssertUnwindSafe(|| work.run()));
                state = self.state();
                state.idle += 1;
                self.note_done(&mut state, queue, number);
                continue;
            }
            // What waits for a device that gives no answer may begin in a while.
            let is_awaited = state.queues.values().any(|waiting| !waiting.works.is_empty());
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

    fn note_done(&self, state: &mut State, queue: Queue, number: u64) {
        let Some(waiting) = state.queues.get_mut(&queue) else { return };
        waiting.running.retain(|&(running, _)| running != number);
        waiting.signs.note();
        if std::mem::take(&mut waiting.is_told)
            && let Queue::Device(device) = queue
        {
            let device = shown(device);
            tracing::info!("the file system of device {device} gives answers again");
        }
    }

    fn note_late(&self, queue: Queue) {
        let mut state = self.state();
        let Some(waiting) = state.queues.get_mut(&queue) else { return };
        waiting.late += 1;
        if let Queue::Device(device) = queue
            && waiting.is_stalled(Instant::now(), self.limits.patience)
            && !std::mem::replace(&mut waiting.is_told, true)
        {
            let (device, patience) = (shown(device), self.limits.patience);
            tracing::error!(
                "the file system of device {device} has given no answer for {patience:?}: what is \
                 not in memory of it is answered with 503 until it does (`findmnt` tells which it is)"
            );
        }
    }

    /// What is done for each device.
    pub(super) fn shares(&self) -> Vec<Share> {
        let now = Instant::now();
        let state = self.state();
        let share = |(queue, waiting): (&Queue, &Waiting)| Share {
            crew: self.limits.name,
            device: match queue {
                Queue::Device(device) => Some(*device),
                Queue::Processor => None,
            },
            running: waiting.running.len(),
            waiting: waiting.works.iter().filter(|work| work.is_wanted()).count(),
            late: waiting.late,
            is_stalled: waiting.is_stalled(now, self.limits.patience),
        };
        state.queues.iter().map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Crew, Instant, Limits, Progress, Queue, Unanswered};
    use std::sync::mpsc;
    use std::time::Duration;

    const A: Queue = Queue::Device(1);
    const B: Queue = Queue::Device(2);
    const SHARE: usize = 2;
    const PATIENCE: Duration = Duration::from_millis(500);

    /// One for a test, with short waits.
    fn crew() -> &'static Crew {
        Box::leak(Box::new(Crew::new(Limits {
            name: "test",
            niceness: 0,
            share: SHARE,
            threads: 8,
            waiting: 4,
            patience: PATIENCE,
            brief_patience: PATIENCE / 10,
            longest: 10 * PATIENCE,
        })))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    /// Has this many threads of a device wait until the sender is dropped.
    fn block(crew: &'static Crew, queue: Queue, count: usize) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel::<()>();
        let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
        for _ in 0..count {
            let ended = std::sync::Arc::clone(&ended);
            crew.hand_over(queue, move || {
                // All of them hear of the end: the lock is free then.
                let _ = ended.lock().map(|ended| ended.recv());
            });
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while running(crew, queue) < count.min(SHARE) {
            assert!(Instant::now() < deadline, "they never begin");
            std::thread::yield_now();
        }
        end
    }

    fn running(crew: &Crew, queue: Queue) -> usize {
        crew.state().queues.get(&queue).map_or(0, |waiting| waiting.running.len())
    }

    #[test]
    fn device_without_answers_keeps_its_own_share_alone() {
        let (crew, runtime) = (crew(), runtime());
        let end = block(crew, A, SHARE + 1);
        assert_eq!(running(crew, A), SHARE);
        let late = runtime.block_on(crew.run(A, |_: &Progress| 1));
        assert!(matches!(late, Err(Unanswered::Late(after)) if after >= PATIENCE), "{late:?}");
        let share = |queue| {
            let Queue::Device(device) = queue else { panic!("a device") };
            let share = crew.shares().into_iter().find(|share| share.device == Some(device));
            share.expect("it was asked")
        };
        assert!(share(A).is_stalled && share(A).late == 1);
        // What follows waits less, and the other device for nothing.
        let asked = Instant::now();
        assert!(runtime.block_on(crew.run(A, |_: &Progress| 1)).is_err());
        assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
        assert_eq!(runtime.block_on(crew.run(B, |_: &Progress| 2)), Ok(2));
        assert!(!share(B).is_stalled);
        drop(end);
        assert_eq!(
            runtime.block_on(async {
                loop {
                    if let Ok(answer) = crew.run(A, |_: &Progress| 3).await {
                        break answer;
                    }
                }
            }),
            3
        );
        assert!(!share(A).is_stalled);
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        let (crew, runtime) = (crew(), runtime());
        let end = block(crew, A, SHARE);
        let (begun, begins) = mpsc::channel();
        let gone = crew.run(A, move |_: &Progress| begun.send(()));
        assert!(
            runtime.block_on(async { tokio::time::timeout(PATIENCE / 4, gone).await }).is_err()
        );
        drop(end);
        assert_eq!(runtime.block_on(crew.run(A, |_: &Progress| 1)), Ok(1));
        assert!(begins.recv().is_err(), "it is begun, or never dropped");
    }

    #[test]
    fn work_that_goes_on_has_more_time() {
        let (crew, runtime) = (crew(), runtime());
        let slow = |progress: &Progress| {
            for _ in 0..12 {
                // It takes longer than anybody waits for the whole, and is never silent for so long.
                std::thread::sleep(PATIENCE / 10);
                progress.goes_on();
            }
        };
        assert_eq!(runtime.block_on(crew.run(A, slow)), Ok(()));
    }

    #[test]
    fn more_than_may_wait_is_refused_at_once() {
        let (crew, runtime) = (crew(), runtime());
        let end = block(crew, A, SHARE + 4);
        assert_eq!(runtime.block_on(crew.run(A, |_: &Progress| ())), Err(Unanswered::Busy));
        drop(end);
    }

    #[test]
    fn panic_costs_one_work() {
        let (crew, runtime) = (crew(), runtime());
        let panics = |_: &Progress| panic!("as a test wants it");
        assert_eq!(runtime.block_on(crew.run::<()>(A, panics)), Err(Unanswered::Panicked));
        assert_eq!(runtime.block_on(crew.run(A, |_: &Progress| 1)), Ok(1));
    }
}
