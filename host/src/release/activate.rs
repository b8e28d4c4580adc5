//! One generation takes the place of another.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::active::Active;
use super::generation::Generation;
use super::guest_files::shown;
use super::history::Outcome;
use super::retire::{Retired, RetiredGeneration};
use crate::clock;
use crate::files::Files;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::validation::validate::Validated;

/// Imports of one guest that are logged. Toolchains add some twenty.
const LOGGED_IMPORTS: usize = 50;

/// Puts guests in service.
#[derive(Clone)]
pub(super) struct Activator {
    active: Arc<Active>,
    retired: Sender<Retired>,
}

impl Activator {
    /// Puts guests in service here. What they replace is freed there.
    pub(super) fn new(active: Arc<Active>, retired: Sender<Retired>) -> Activator {
        Activator { active, retired }
    }

    /// Has generations freed elsewhere that a worker takes out of service.
    pub(super) fn frees_for_workers(&self) {
        let (active, retired) = (Arc::downgrade(&self.active), self.retired.clone());
        self.active.free_by(Box::new(move |gone| {
            if let Some(active) = active.upgrade() {
                Activator::new(active, retired.clone()).retire(gone);
            }
        }));
    }

    pub(super) fn active(&self) -> &Active {
        &self.active
    }

    /// Warms up a guest and puts it in service, with these files if they are to be others. `source`
    /// is where it came from, with the file of its data, unless it was uploaded; its deployment began
    /// at `began`.
    pub(super) fn activate(
        &self,
        validated: Validated,
        files: Option<Arc<Files>>,
        source: Option<(&str, Option<&str>)>,
        began: Instant,
    ) {
        let Validated { guest, report, compile, check } = validated;
        let digest = guest.digest();
        let current = self.active.current();
        let old = Arc::clone(&current.guest);
        let others = files.as_ref().filter(|files| files.id() != current.files.id());
        let root = others.map(|files| files.directory().display().to_string());
        let old_root = root.as_ref().map(|_| current.files.directory().display().to_string());
        drop(current);
        log_imports(&guest);
        let warming = Instant::now();
        let warmed = guest.warm_up(&old);
        let warming = warming.elapsed();
        let gone = self.active.activate(Some(Arc::new(guest)), files);
        let from = source.map_or("upload".into(), |(name, data)| shown(name, data));
        let with_root = match (&root, &old_root) {
            (Some(root), Some(old)) => format!(", with the root {root} in place of {old},"),
            _ => String::new(),
        };
        let message = format!(
            "{from}: serves in place of {}{with_root} after {:.1?}: compiled in {compile:.1?}, checked on {} \
             request lines and {} cases in {check:.1?}, {warmed} decisions warmed up in \
             {warming:.1?}",
            old.digest(),
            began.elapsed(),
            report.lines,
            report.cases,
        );
        // Before the log: what reads that may ask for the history.
        self.active.history().add(Outcome::Deployed, Some(digest), message);
        tracing::info!(
            guest = %digest,
            path = source.map(|(name, _)| name),
            data = source.and_then(|(_, data)| data),
            root,
            previous = %old.digest(),
            previous_root = old_root,
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
        drop(old);
        self.retire(gone);
    }

    /// Puts files in service: with this guest, or with the one that serves, whichever that is.
    /// `path` is the one that led to the files.
    pub(super) fn activate_root(
        &self,
        guest: Option<Arc<LoadedGuest>>,
        files: Arc<Files>,
        path: &Path,
        began: Instant,
    ) {
        let old = Arc::clone(&self.active.current().files);
        let gone = self.active.activate(guest, Some(Arc::clone(&files)));
        let guest = self.active.current().guest.digest();
        let (root, old) = (files.directory().display(), old.directory().display());
        let path = path.display();
        let message = format!("root {path}: {root} is served in place of {old}");
        self.active.history().add(Outcome::Deployed, Some(guest), message);
        tracing::info!(
            %path,
            %root,
            previous_root = %old,
            %guest,
            elapsed_ms = clock::millis(began.elapsed()),
            "root deployed"
        );
        self.retire(gone);
    }

    /// Has generations freed that are not needed any longer.
    pub(super) fn retire(&self, generations: Vec<Arc<Generation>>) {
        for generation in generations {
            // The thread ends when nothing can be retired any more.
            let active = Arc::clone(&self.active);
            let retired = RetiredGeneration { active, generation, at: Instant::now() };
            let _ = self.retired.send(Retired::Generation(retired));
        }
    }
}

/// The first guest of a site, if it came from files.
pub struct FirstGuest {
    /// It, and what its validation took.
    pub validated: Validated<Arc<LoadedGuest>>,
    /// Its file.
    pub path: String,
    /// The file of its data, if it has some.
    pub data: Option<String>,
}

impl FirstGuest {
    /// Logs it: to be called when it serves, or is about to.
    pub fn log(&self) {
        let Validated { guest, report, compile, check } = &self.validated;
        let (path, data) = (&*self.path, self.data.as_deref());
        log_imports(guest);
        let (guest, cases) = (guest.digest(), report.cases);
        let (compile_ms, validate_ms) = (clock::millis(*compile), clock::millis(*check));
        if report.is_cached {
            tracing::info!(
                %guest, path, data, compile_ms, cases, "guest active, validated at an earlier start"
            );
        } else {
            let (request_lines, trials) = (report.lines, report.trials);
            tracing::info!(
                %guest, path, data, compile_ms, validate_ms, request_lines, cases, trials,
                "guest active"
            );
        }
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
