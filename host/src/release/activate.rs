//! One guest takes the place of another, which is freed after its last request.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::active::Active;
use super::generation::Generation;
use super::guest_files::shown;
use super::history::Outcome;
use crate::clock;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::validation::validate::Validated;
use crate::supervise;

/// How often an old guest is looked at, whether its last request is done. None takes longer than
/// its wait for a thread and its deadline.
const DRAIN_TICK: Duration = Duration::from_millis(1);

/// Imports of one guest that are logged. Toolchains add some twenty.
const LOGGED_IMPORTS: usize = 50;

/// Puts guests in service.
#[derive(Clone)]
pub(super) struct Activator {
    active: Arc<Active>,
    retired: Sender<Retired>,
}

/// A generation that was replaced.
struct Retired {
    generation: Arc<Generation>,
    at: Instant,
}

impl Activator {
    /// Starts the thread that frees replaced guests: that may take milliseconds, which no worker
    /// has, and waits for their last request.
    pub(super) fn start(active: Arc<Active>) -> std::io::Result<Activator> {
        let (retired, receiver) = mpsc::channel::<Retired>();
        thread::Builder::new().name("retire".to_owned()).spawn(move || {
            supervise::thread("release", || {
                receiver.iter().for_each(free);
                Ok(())
            });
        })?;
        Ok(Activator { active, retired })
    }

    pub(super) fn active(&self) -> &Active {
        &self.active
    }

    /// Warms up a guest and puts it in service. `source` is where it came from, with the file of
    /// its data, unless it was uploaded; its deployment began at `began`.
    pub(super) fn activate(
        &self,
        validated: Validated,
        source: Option<(&str, Option<&str>)>,
        began: Instant,
    ) {
        let Validated { guest, report, compile, check } = validated;
        let digest = guest.digest();
        let old = Arc::clone(&self.active.current().guest);
        log_imports(&guest);
        let warming = Instant::now();
        let warmed = guest.warm_up(&old);
        let warming = warming.elapsed();
        let gone = self.active.activate(guest);
        tracing::info!(
            guest = %digest,
            path = source.map(|(name, _)| name),
            data = source.and_then(|(_, data)| data),
            previous = %old.digest(),
            elapsed_ms = clock::millis(began.elapsed()),
            compile_ms = clock::millis(compile),
            validate_ms = clock::millis(check),
            request_lines = report.lines,
            cases = report.cases,
            trials = report.trials,
            warmup_ms = clock::millis(warming),
            warmed,
            "guest deployed"
        );
        let source = source.map_or("upload".into(), |(name, data)| shown(name, data));
        let message = format!(
            "{source}: serves in place of {} after {:.1?}: compiled in {compile:.1?}, checked on {} \
             request lines and {} cases in {check:.1?}, {warmed} decisions warmed up in \
             {warming:.1?}",
            old.digest(),
            began.elapsed(),
            report.lines,
            report.cases,
        );
        drop(old);
        self.active.history().add(Outcome::Deployed, Some(digest), message);
        self.retire(gone);
    }

    /// Has a generation freed that is not needed any longer.
    pub(super) fn retire(&self, generation: Option<Arc<Generation>>) {
        let Some(generation) = generation else { return };
        // The thread ends when nothing can be retired any more.
        let _ = self.retired.send(Retired { generation, at: Instant::now() });
    }
}

/// Logs the first guest of a server, before it serves, if it came from files: its own, and that of
/// its data.
pub fn log_first(validated: &Validated, file: &str, data: Option<&str>) {
    let Validated { guest, report, compile, check } = validated;
    log_imports(guest);
    let (guest, cases) = (guest.digest(), report.cases);
    let (compile_ms, validate_ms) = (clock::millis(*compile), clock::millis(*check));
    if report.is_cached {
        tracing::info!(
            %guest, path = file, data, compile_ms, cases, "guest active, validated at an earlier start"
        );
    } else {
        let (request_lines, trials) = (report.lines, report.trials);
        tracing::info!(
            %guest, path = file, data, compile_ms, validate_ms, request_lines, cases, trials,
            "guest active"
        );
    }
}

/// Logs a warning if a guest has imports, or is not meant to serve.
fn log_imports(guest: &LoadedGuest) {
    if guest.serves_its_author() {
        return;
    }
    if guest.is_for_development() {
        let guest = guest.digest();
        tracing::warn!(%guest, "guest is built for development; build it for release");
        return;
    }
    let (digest, all) = (guest.digest(), guest.imports());
    let mut imports = all.iter().take(LOGGED_IMPORTS).map(String::as_str).collect::<Vec<_>>();
    let more = all.len().saturating_sub(LOGGED_IMPORTS);
    let rest = format!("and {more} more");
    imports.extend((more > 0).then_some(rest.as_str()));
    if !imports.is_empty() {
        let imports = imports.join(", ");
        tracing::warn!(guest = %digest, imports, "guest has imports; calling one traps, unless it is for output");
    }
}

/// Waits for the last request that uses this generation, and frees its guest.
fn free(Retired { generation, at }: Retired) {
    let Generation { guest, files } = last(generation);
    drop(files);
    let digest = guest.digest();
    drop(last(guest));
    tracing::info!(guest = %digest, elapsed_ms = clock::millis(at.elapsed()), "guest freed");
}

/// What is shared, as soon as others have done with it.
fn last<T>(mut shared: Arc<T>) -> T {
    loop {
        match Arc::try_unwrap(shared) {
            Ok(last) => return last,
            Err(still_shared) => shared = still_shared,
        }
        thread::sleep(DRAIN_TICK);
    }
}
