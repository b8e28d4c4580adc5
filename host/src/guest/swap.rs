//! From the file of a guest to a generation that serves.
//!
//! The steps: read once, digest, compile, check, run its cases, warm up, publish,
//! wait until the old one is done. They are taken on a thread of their own; if one
//! of them fails, what served goes on serving.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::digest::Digest;
use super::engine::Engine;
use super::generation::Generation;
use super::history::Outcome;
use super::prove::{Proven, tried, try_out};
use super::serving::Serving;
use super::source::{Origin, Source, Stamps, read_cases, read_guest};
use super::trial::Trial;
use super::watch::{Change, Watch};
use crate::panics;

/// How long a file that was closed, renamed or linked must stay as it is before it
/// is read. Deployments make several changes at once.
const SETTLED: Duration = Duration::from_millis(20);

/// How long nothing must be written to a file that nobody closed.
const UNCLOSED: Duration = Duration::from_millis(500);

/// A file that changes for longer is read all the same: what is unfit is refused.
const RESTLESS: Duration = Duration::from_secs(5);

/// How often a watched file is looked at although nobody said that it changed: nobody
/// does on network file systems, or when it is written by another of its names.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is looked whether the last request of an old generation is done.
/// None takes longer than its wait for a thread and its deadline.
const DRAIN_TICK: Duration = Duration::from_millis(1);

/// What the swapping thread is told.
enum Occasion {
    /// Something happened to the file.
    Change(Change),
    /// Somebody wants the file read, and to know when that is done.
    Reload { done: oneshot::Sender<()> },
    /// Somebody hands over a guest, and wants to know what comes of it.
    HandOver { bytes: Vec<u8>, purpose: Purpose, answer: oneshot::Sender<Trial> },
    /// Somebody wants the guest back that served before, and to know whether it is.
    RollBack { answer: oneshot::Sender<Result<Digest, String>> },
    /// The server is about to stop.
    Stop,
    /// A fault, for tests.
    #[cfg(test)]
    Panic,
}

/// What a guest is handed over for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be tried, and no more.
    Try,
    /// To serve, if it is fit.
    Serve,
}

/// The thread that swaps. Dropping this ends it, after the swap that it is at;
/// nobody waits for that.
pub struct Swapper {
    occasions: mpsc::Sender<Occasion>,
}

/// Whether the file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// A change of the file is enough.
    On,
    /// Only [`Swapper::reload`] has it read.
    Off,
}

impl Swapper {
    /// Starts to look after the guest that serves. The error is a sentence.
    pub fn start(
        engine: Arc<Engine>,
        serving: Arc<Serving>,
        source: Source,
        watching: Watching,
    ) -> Result<Swapper, String> {
        let (occasions, receiver) = mpsc::channel();
        let tell = {
            let occasions = occasions.clone();
            move |change| {
                // If the receiver is gone, so is who would want to know.
                let _ = occasions.send(Occasion::Change(change));
            }
        };
        let watch = match watching {
            Watching::Off => None,
            Watching::On => source.guest.as_deref().and_then(|guest| {
                Watch::new(guest, tell).inspect_err(|problem| tracing::warn!("{problem}")).ok()
            }),
        };
        let watching = if source.guest.is_some() { watching } else { Watching::Off };
        let seen = source.at_first.clone();
        let later = VecDeque::new();
        let mut desk = Desk { engine, serving, source, watching, watch, seen, later };
        thread::Builder::new()
            .name("swap".to_owned())
            .spawn(move || {
                panics::go_on("swapping", || {
                    desk.work(&receiver);
                    Ok(())
                });
            })
            .map_err(|error| format!("cannot start the thread that swaps guests: {error}"))?;
        Ok(Swapper { occasions })
    }

    /// Has the file read again, also if it was found unfit before, and waits until it
    /// serves or is refused.
    pub async fn reload(&self) {
        let (done, is_done) = oneshot::channel();
        self.tell(Occasion::Reload { done });
        // An error means that it was given up: the server is about to stop, or reading the
        // file panicked, which is logged.
        let _ = is_done.await;
    }

    /// Hands over a guest, and waits for what comes of it.
    pub async fn hand_over(&self, bytes: Vec<u8>, purpose: Purpose) -> Result<Trial, String> {
        let (answer, outcome) = oneshot::channel();
        self.tell(Occasion::HandOver { bytes, purpose, answer });
        outcome.await.map_err(|_| GONE.to_owned())
    }

    /// Puts the guest in service that served before, and gives its digest.
    pub async fn roll_back(&self) -> Result<Digest, String> {
        let (answer, outcome) = oneshot::channel();
        self.tell(Occasion::RollBack { answer });
        outcome.await.unwrap_or_else(|_| Err(GONE.to_owned()))
    }

    fn tell(&self, occasion: Occasion) {
        // The thread ends only when it is told to.
        let _ = self.occasions.send(occasion);
    }
}

/// What is said when there will be no answer.
const GONE: &str = "it was given up: the server is about to stop, or the log tells of a panic";

impl Drop for Swapper {
    fn drop(&mut self) {
        self.tell(Occasion::Stop);
    }
}

/// What the swapping thread has.
struct Desk {
    engine: Arc<Engine>,
    serving: Arc<Serving>,
    source: Source,
    watching: Watching,
    watch: Option<Watch>,
    /// What the files were like when they were looked at last.
    seen: Stamps,
    /// What it was told while it waited for a file to settle.
    later: VecDeque<Occasion>,
}

impl Desk {
    fn work(&mut self, occasions: &mpsc::Receiver<Occasion>) {
        loop {
            let next = match (self.later.pop_front(), self.watching) {
                (Some(occasion), _) => Ok(occasion),
                (None, Watching::On) => occasions.recv_timeout(LOOK),
                (None, Watching::Off) => occasions.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Occasion::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Occasion::HandOver { bytes, purpose, answer }) => {
                    let (trial, gone) = self.try_out(&bytes, purpose);
                    // Who asked may have gone meanwhile.
                    let _ = answer.send(trial);
                    wait_until_unused(gone);
                }
                Ok(Occasion::RollBack { answer }) => {
                    let (outcome, gone) = self.roll_back();
                    let _ = answer.send(outcome);
                    wait_until_unused(gone);
                }
                Err(RecvTimeoutError::Timeout) if self.source.stamps() == self.seen => {}
                Err(RecvTimeoutError::Timeout) => self.file_changed(false, Instant::now()),
                Ok(Occasion::Reload { done }) => {
                    self.file_changed(true, Instant::now());
                    // Who asked may have gone meanwhile.
                    let _ = done.send(());
                }
                Ok(Occasion::Change(change)) => {
                    let began = Instant::now();
                    settle(change, began, occasions, &mut self.later);
                    self.file_changed(false, began);
                }
                #[cfg(test)]
                Ok(Occasion::Panic) => panic!("on purpose"),
            }
        }
    }

    fn file_changed(&mut self, is_asked_for: bool, began: Instant) {
        if let Some(watch) = &mut self.watch
            && let Err(error) = watch.renew()
        {
            tracing::warn!(
                "the guest is looked at every two seconds, as it cannot be watched: {error}"
            );
        }
        self.seen = self.source.stamps();
        self.swap(is_asked_for, began);
    }

    /// Puts what is in the file in service, if it is fit for it and not there yet.
    fn swap(&self, is_asked_for: bool, began: Instant) {
        let Some(path) = &self.source.guest else {
            return tracing::warn!(
                "no guest was named with --guest: there is no file to read again"
            );
        };
        let settled = began.elapsed();
        let old = self.serving.current();
        let goes_on = format!("the guest {} goes on serving", old.digest());
        let history = self.serving.history();
        let reading = Instant::now();
        let read = read_guest(path).and_then(|bytes| Ok((bytes, read_cases(&self.source.cases)?)));
        let path = path.display();
        let (bytes, cases) = match read {
            Ok(read) => read,
            Err(problem) => {
                tracing::error!("{problem}; {goes_on}");
                return history.note(Outcome::Unreadable, None, problem);
            }
        };
        let digest = Digest::of(&bytes);
        let read = reading.elapsed();
        if digest == old.digest() {
            if is_asked_for {
                tracing::info!("{path} is what serves: {goes_on}");
            }
            return;
        }
        let tried = tried(digest, &cases);
        // The digest alone is that of one that failed in service.
        if [Some(tried), Some(digest)].contains(&self.serving.unfit()) && !is_asked_for {
            return tracing::debug!("{path} is still what was found unfit: {goes_on}");
        }
        let outcome = try_out(&self.engine, Origin::File, &bytes, &cases);
        let proven = match outcome.and_then(|(proven, verdict)| verdict.map(|()| proven)) {
            Ok(proven) => proven,
            Err(problem) => {
                self.serving.refuse(tried);
                tracing::error!(
                    "the guest {digest} in {path} is not fit to serve: {problem}; {goes_on}"
                );
                return history.note(Outcome::Refused, Some(digest), format!("{path}: {problem}"));
            }
        };
        let told = format!("settled in {settled:.1?}, read and digested in {read:.1?}");
        let gone = self.publish(proven, &format!("in {path}"), began, &told);
        drop(old);
        wait_until_unused(gone);
    }

    /// Tries what somebody handed over, and puts it in service if that is wanted and it is
    /// fit.
    fn try_out(&self, bytes: &[u8], purpose: Purpose) -> (Trial, Option<Arc<Generation>>) {
        let began = Instant::now();
        let digest = Digest::of(bytes);
        let old = self.serving.current();
        let tried = read_cases(&self.source.cases).and_then(|cases| {
            Ok((try_out(&self.engine, Origin::HandedOver, bytes, &cases)?, cases))
        });
        let (mut trial, proven) = match tried {
            Err(problem) => (Trial::unfit(format!("{digest:#}"), problem), None),
            Ok(((proven, verdict), cases)) => {
                (Trial::of(&proven, verdict, &cases, &old), Some(proven))
            }
        };
        if purpose == Purpose::Try {
            return (trial, None);
        }
        if let Some(problem) = &trial.problem {
            tracing::error!(
                "the guest {digest} that was handed over is not fit to serve: {problem}; the guest \
                 {} goes on serving",
                old.digest()
            );
            let told = format!("handed over: {problem}");
            self.serving.history().note(Outcome::Refused, Some(digest), told);
            return (trial, None);
        }
        let is_new = digest != old.digest();
        drop(old);
        trial.serves = true;
        let gone = proven
            .filter(|_| is_new)
            .and_then(|proven| self.publish(proven, "that was handed over", began, "digested"));
        (trial, gone)
    }

    /// Warms up a generation and puts it in service. Gives the one that is needed no
    /// longer.
    fn publish(
        &self,
        proven: Proven,
        whence: &str,
        began: Instant,
        told: &str,
    ) -> Option<Arc<Generation>> {
        let Proven { generation, report, compile, check } = proven;
        let digest = generation.digest();
        let old = self.serving.current();
        warn_of_imports(whence, &generation);
        let warming = Instant::now();
        let warmed = generation.warm_up(&old);
        let warming = warming.elapsed();
        let gone = self.serving.publish(generation);
        let told = format!(
            "{whence} serves in place of {} after {:.1?}: {told}, compiled in {compile:.1?}, checked \
             on {} request lines and {} cases in {check:.1?}, {warmed} decisions warmed up in \
             {warming:.1?}",
            old.digest(),
            began.elapsed(),
            report.lines,
            report.cases,
        );
        tracing::info!("the guest {digest} {told}");
        self.serving.history().note(Outcome::Served, Some(digest), told);
        gone
    }

    fn roll_back(&self) -> (Result<Digest, String>, Option<Arc<Generation>>) {
        match self.serving.roll_back() {
            None => (Err("no guest served before this one".to_owned()), None),
            Some(old) => {
                let digest = self.serving.current().digest();
                tracing::warn!(
                    "the guest {digest} serves again in place of {}, as was asked for",
                    old.digest()
                );
                (Ok(digest), Some(old))
            }
        }
    }
}

/// Waits until a file that changes has settled, or has been restless for long. What else
/// the thread is told meanwhile is for later.
fn settle(
    change: Change,
    began: Instant,
    occasions: &mpsc::Receiver<Occasion>,
    later: &mut VecDeque<Occasion>,
) {
    let mut wait = settles_in(change);
    while began.elapsed() < RESTLESS {
        match occasions.recv_timeout(wait) {
            Ok(Occasion::Change(change)) => wait = settles_in(change),
            Ok(occasion) => return later.push_back(occasion),
            Err(_) => return,
        }
    }
}

/// How long to wait for more of a change.
fn settles_in(change: Change) -> Duration {
    match change {
        Change::Done => SETTLED,
        Change::Begun => UNCLOSED,
    }
}

/// Imports of one guest that are warned of, each in a line. Toolchains add some twenty.
const TOLD_IMPORTS: usize = 50;

/// Tells what a guest names as imports.
pub fn warn_of_imports(name: &str, generation: &Generation) {
    let imports = generation.imports();
    for import in imports.iter().take(TOLD_IMPORTS) {
        tracing::warn!("{name} imports {import}; calling it traps");
    }
    if let Some(more) = imports.len().checked_sub(TOLD_IMPORTS).filter(|&more| more > 0) {
        tracing::warn!("{name} has {more} imports more; `innkeeper check` lists them");
    }
}

/// Waits for the last request that uses this generation, and frees it here: that
/// may take milliseconds, which are no worker's to spend.
fn wait_until_unused(generation: Option<Arc<Generation>>) {
    let Some(generation) = generation else { return };
    let (began, digest) = (Instant::now(), generation.digest());
    let mut shared = generation;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(unused) => {
                drop(unused);
                break;
            }
            Err(still_shared) => shared = still_shared,
        }
        thread::sleep(DRAIN_TICK);
    }
    tracing::info!("the guest {digest} is gone, {:.1?} after it was replaced", began.elapsed());
}

#[cfg(test)]
mod tests {
    use super::{Occasion, Purpose, Swapper, Watching};
    use crate::guest::serving::OnFailure;
    use crate::guest::source::Source;
    use crate::guest::{DEFAULT_GUEST, Engine, Generation, GuestLimits, Serving};
    use std::sync::Arc;

    #[test]
    fn a_swap_that_panics_is_given_up_and_the_next_one_is_made() {
        let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
        let first = Generation::load(&engine, DEFAULT_GUEST).expect("the default guest");
        let serving = Arc::new(Serving::new(Arc::new(first), OnFailure::default()));
        let source = Source::new(None, Vec::new());
        let swapper = Swapper::start(engine, serving, source, Watching::On).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        swapper.tell(Occasion::Panic);
        let trial = runtime.block_on(swapper.hand_over(b"garbage".to_vec(), Purpose::Try));
        assert!(!trial.expect("an answer").fit);
    }
}
