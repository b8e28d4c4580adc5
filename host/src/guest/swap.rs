//! From the file of a guest to a generation that serves.
//!
//! The steps: read once, digest, compile, check, run its cases, warm up, publish,
//! wait until the old one is done. They are taken on a thread of their own; if one
//! of them fails, what served goes on serving.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::cases::CaseFile;
use super::check::{Report, check};
use super::engine::Engine;
use super::generation::{Digest, Generation};
use super::serving::Serving;
use super::watch::{Change, Watch};

/// The largest file that is taken for a guest. One in JavaScript or Python has up
/// to 20 MiB.
const MAX_GUEST_BYTES: u64 = 256 << 20;

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

/// How the scheduler ranks the thread that compiles, beside workers with 0: it
/// gets about a tenth of a core that they want too, and all of one that is idle
/// (sched(7)).
const COMPILER_NICENESS: i32 = 10;

/// Where guests come from, and what they have to pass.
#[derive(Clone, Debug)]
pub struct Source {
    /// The guest's file.
    pub guest: PathBuf,
    /// Files of cases that must hold. They are read anew for each guest.
    pub cases: Vec<PathBuf>,
}

/// A generation that passed its check, and what that took.
pub struct Proven {
    /// What may serve now.
    pub generation: Generation,
    /// What it passed.
    pub report: Report,
    /// How long compiling took.
    pub compile: Duration,
    /// How long the check took, with the cases.
    pub check: Duration,
}

/// Compiles and checks a guest on this thread. The error is a sentence.
pub fn prove(engine: &Arc<Engine>, bytes: &[u8], cases: &[CaseFile]) -> Result<Proven, String> {
    prove_compiled(cases, || Generation::load(engine, bytes))
}

fn prove_compiled(
    cases: &[CaseFile],
    compile: impl FnOnce() -> Result<Generation, String>,
) -> Result<Proven, String> {
    let began = Instant::now();
    let generation = compile()?;
    let compiled = Instant::now();
    let report = check(&generation, cases)?;
    Ok(Proven { generation, report, compile: compiled - began, check: compiled.elapsed() })
}

impl Source {
    /// Reads the guest and its cases. The error is a sentence.
    pub fn read(&self) -> Result<(Vec<u8>, Vec<CaseFile>), String> {
        let guest = read_guest(&self.guest)?;
        Ok((guest, read_cases(&self.cases)?))
    }
}

/// Reads the file of a guest, once. The error is a sentence.
pub fn read_guest(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read the guest {shown}: {error}");
    // Opening a pipe must not wait for somebody to write to it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(|error| cannot(&error))?;
    let metadata = file.metadata().map_err(|error| cannot(&error))?;
    if !metadata.is_file() {
        return Err(cannot(&"it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_GUEST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MAX_GUEST_BYTES {
        return Err(cannot(&format_args!("it is larger than {} MiB", MAX_GUEST_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Reads files of cases. The error is a sentence.
pub fn read_cases(paths: &[PathBuf]) -> Result<Vec<CaseFile>, String> {
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

/// Why it is looked at the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Something happened to it.
    Change(Change),
    /// Somebody asked for it.
    Reload,
    /// The server is about to stop.
    Stop,
}

impl Occasion {
    /// How long to wait for more.
    fn settles_in(self) -> Duration {
        match self {
            Occasion::Reload | Occasion::Stop => Duration::ZERO,
            Occasion::Change(Change::Done) => SETTLED,
            Occasion::Change(Change::Begun) => UNCLOSED,
        }
    }
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
            Watching::On => Watch::new(&source.guest, tell)
                .inspect_err(|problem| tracing::warn!("{problem}"))
                .ok(),
        };
        let desk = Desk { engine, serving, source, watching, watch, seen: None };
        thread::Builder::new()
            .name("swap".to_owned())
            .spawn(move || desk.work(&receiver))
            .map_err(|error| format!("cannot start the thread that swaps guests: {error}"))?;
        Ok(Swapper { occasions })
    }

    /// Has the file read again, also if it was found unfit before.
    pub fn reload(&self) {
        self.tell(Occasion::Reload);
    }

    fn tell(&self, occasion: Occasion) {
        // The thread ends only when it is told to, or panics, which is logged.
        let _ = self.occasions.send(occasion);
    }
}

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
    /// What the file was like when it was looked at last.
    seen: Option<Stamp>,
}

/// What changes when a file does, or when its path leads to another: device, inode,
/// length, and the times of modification and change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// Of the file at this path, or of none.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    let (modified, changed) =
        ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Some((file.dev(), file.ino(), file.len(), modified, changed))
}

impl Desk {
    fn work(mut self, occasions: &mpsc::Receiver<Occasion>) {
        loop {
            let first = match self.watching {
                Watching::On => occasions.recv_timeout(LOOK),
                Watching::Off => occasions.recv().map_err(RecvTimeoutError::from),
            };
            let first = match first {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) if stamp(&self.source.guest) == self.seen => {
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => Occasion::Change(Change::Done),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let began = Instant::now();
            let mut is_asked_for = first == Occasion::Reload;
            let mut latest = first;
            while began.elapsed() < RESTLESS && latest != Occasion::Stop {
                match occasions.recv_timeout(latest.settles_in()) {
                    Ok(occasion) => {
                        latest = occasion;
                        is_asked_for |= occasion == Occasion::Reload;
                    }
                    Err(_) => break,
                }
            }
            if latest == Occasion::Stop {
                return;
            }
            if let Some(watch) = &mut self.watch
                && let Err(error) = watch.renew()
            {
                tracing::warn!(
                    "the guest is looked at every two seconds, as it cannot be watched: {error}"
                );
            }
            self.seen = stamp(&self.source.guest);
            self.swap(is_asked_for, began);
        }
    }

    /// Puts what is in the file in service, if it is fit for it and not there yet.
    fn swap(&self, is_asked_for: bool, began: Instant) {
        let settled = began.elapsed();
        let path = self.source.guest.display();
        let old = self.serving.current();
        let goes_on = format!("the guest {} goes on serving", old.digest());
        let reading = Instant::now();
        let (bytes, cases) = match self.source.read() {
            Ok(read) => read,
            Err(problem) => return tracing::error!("{problem}; {goes_on}"),
        };
        let digest = Digest::of(&bytes);
        let read = reading.elapsed();
        if digest == old.digest() {
            if is_asked_for {
                tracing::info!("{path} is what serves: {goes_on}");
            }
            return;
        }
        if self.serving.unfit() == Some(digest) && !is_asked_for {
            return tracing::debug!("{path} is still what was found unfit: {goes_on}");
        }
        let Proven { generation, report, compile, check } = match self.prove(&bytes, &cases) {
            Ok(proven) => proven,
            Err(problem) => {
                self.serving.refuse(digest);
                return tracing::error!(
                    "the guest {digest} in {path} is not fit to serve: {problem}; {goes_on}"
                );
            }
        };
        warn_of_imports(&path.to_string(), &generation);
        let warming = Instant::now();
        let warmed = generation.warm_up(&old);
        let warming = warming.elapsed();
        let gone = self.serving.publish(generation);
        tracing::info!(
            "the guest {digest} in {path} serves in place of {} after {:.1?}: settled in \
             {settled:.1?}, read and digested in {read:.1?}, compiled in {compile:.1?}, checked on \
             {} request lines and {} cases in {check:.1?}, {warmed} decisions warmed up in \
             {warming:.1?}",
            old.digest(),
            began.elapsed(),
            report.lines,
            report.cases,
        );
        drop(old);
        if let Some(gone) = gone {
            wait_until_unused(gone);
        }
    }

    /// Compiles on a thread that leaves the cores to the workers when they want
    /// them; that thread alone, as what has been lowered is not raised again
    /// without a privilege. The check, which has deadlines, is done on this one.
    fn prove(&self, bytes: &[u8], cases: &[CaseFile]) -> Result<Proven, String> {
        let compile = || {
            if let Err(error) = rustix::process::setpriority_process(None, COMPILER_NICENESS) {
                tracing::debug!("guests are compiled at the priority of workers: {error}");
            }
            Generation::load(&self.engine, bytes)
        };
        prove_compiled(cases, || {
            thread::scope(|scope| {
                let thread = thread::Builder::new().name("compile".to_owned());
                let thread = thread
                    .spawn_scoped(scope, compile)
                    .map_err(|error| format!("no thread to compile it: {error}"))?;
                thread.join().unwrap_or_else(|_| Err("compiling it panics".to_owned()))
            })
        })
    }
}

/// Tells what a guest names as imports.
pub fn warn_of_imports(name: &str, generation: &Generation) {
    for import in generation.imports() {
        tracing::warn!("{name} imports {import}; calling it traps");
    }
}

/// Waits for the last request that uses this generation, and frees it here: that
/// may take milliseconds, which are no worker's to spend.
fn wait_until_unused(generation: Arc<Generation>) {
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
