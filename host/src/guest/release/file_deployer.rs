//! From the file of a guest to a generation that serves.
//!
//! The steps: read once, digest, compile, check, run its cases, warm up, publish. If one
//! of them fails, what served goes on serving. They begin when the file's content is another
//! than it was when it was looked at last, and only then: that somebody touched it, or changed
//! a folder above it, is no reason to undo what was put in service meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::activate::Succession;
use super::history::Outcome;
use super::source::{Source, Stamps, Watching, read_cases, read_guest};
use super::watch::{Change, Watch};
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::guest::runtime::compile::LoadError;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::validate::{tried, validate_beside};
use crate::helper::GiveUp;

/// How long a file that was closed, renamed or linked must stay as it is before it
/// is read. Deployments make several changes at once.
const SETTLED: Duration = Duration::from_millis(20);

/// How long a file that was not closed must be left unwritten before it is read.
const UNCLOSED: Duration = Duration::from_millis(500);

/// A file that keeps changing for longer is read all the same; the check refuses half a guest.
const RESTLESS: Duration = Duration::from_secs(5);

/// How often a watched file is looked at without a notification of a change: there is none on
/// network file systems, or when the file is written through another hard link.
const LOOK: Duration = Duration::from_secs(2);

/// What the thread is told.
pub(in crate::guest) enum Occasion {
    /// Something happened to the file.
    Change(Change),
    /// Somebody wants the file read, and to know when that is done.
    Reload { done: oneshot::Sender<()> },
    /// The server is about to stop.
    Stop,
    /// A fault, for tests.
    #[cfg(test)]
    Panic,
}

/// Puts a guest in service when its file changes.
pub(in crate::guest) struct FileDeployer {
    pub(in crate::guest) engine: Arc<Engine>,
    pub(in crate::guest) succession: Succession,
    pub(in crate::guest) source: Source,
    pub(in crate::guest) watching: Watching,
    pub(in crate::guest) watch: Option<Watch>,
    /// What the files were like when they were looked at last.
    pub(in crate::guest) seen: Stamps,
    /// What was in the file then.
    pub(in crate::guest) known: Option<Known>,
    /// What it was told while it waited for a file to settle.
    pub(in crate::guest) later: VecDeque<Occasion>,
}

/// A guest that was in the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::guest) struct Known {
    pub(in crate::guest) guest: Digest,
    /// What it was refused with, if it was: its digest with that of its cases.
    pub(in crate::guest) refused: Option<Digest>,
}

impl FileDeployer {
    /// Works until it is told to stop.
    pub(in crate::guest) fn work(&mut self, occasions: &mpsc::Receiver<Occasion>) {
        loop {
            let next = match (self.later.pop_front(), self.watching) {
                (Some(occasion), _) => Ok(occasion),
                (None, Watching::On) => occasions.recv_timeout(LOOK),
                (None, Watching::Off) => occasions.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Occasion::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if self.source.stamps() == self.seen => {}
                Err(RecvTimeoutError::Timeout) => self.file_changed(false, Instant::now()),
                Ok(Occasion::Reload { done }) => {
                    self.succession.serving().forgive();
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

    /// Puts what is in the file in service, if it is new there, and fit for it.
    fn swap(&mut self, is_asked_for: bool, began: Instant) {
        let Some(path) = &self.source.guest else {
            return tracing::warn!(
                "no guest was named with --guest: there is no file to read again"
            );
        };
        let settled = began.elapsed();
        let serving = self.succession.serving();
        let serves = serving.current().digest();
        let goes_on = format!("the guest {serves} goes on serving");
        let history = serving.history();
        let reading = Instant::now();
        let read = read_guest(path).and_then(|bytes| {
            let cases = read_cases(&self.source.cases).map_err(|error| error.to_string())?;
            Ok((bytes, cases))
        });
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
        let tried = tried(digest, &cases);
        let before = self.known.replace(Known { guest: digest, refused: None });
        if digest == serves {
            if is_asked_for {
                tracing::info!("{path} is what serves: {goes_on}");
            }
            return;
        }
        // What was refused may pass with other cases.
        let is_known = before.is_some_and(|known| {
            known.guest == digest && known.refused.is_none_or(|refused| refused == tried)
        });
        if is_known && !is_asked_for {
            self.known = before;
            return tracing::debug!("{path} holds what it held before: {goes_on}");
        }
        if let Some(why) = serving.unfit(digest, tried)
            && !is_asked_for
        {
            self.known = Some(Known { guest: digest, refused: Some(tried) });
            return tracing::warn!("the guest {digest} in {path} is not tried: {why}; {goes_on}");
        }
        let outcome =
            validate_beside(&self.engine, Origin::File, &bytes, &cases, &GiveUp::default());
        drop(bytes);
        let validated = match outcome.and_then(|(validated, verdict)| verdict.map(|()| validated)) {
            Ok(validated) => validated,
            Err(problem) => {
                if let LoadError::Unfit(_) = problem {
                    serving.refuse(tried);
                    self.known = Some(Known { guest: digest, refused: Some(tried) });
                } else {
                    // Whatever it is, it has not been tried.
                    self.known = before;
                }
                tracing::error!(
                    "the guest {digest} in {path} is not fit to serve: {problem}; {goes_on}"
                );
                return history.note(Outcome::Refused, Some(digest), format!("{path}: {problem}"));
            }
        };
        // Meanwhile somebody may have handed over the same.
        if serving.current().digest() == digest {
            return tracing::info!("{path} is what serves: the guest {digest} goes on serving");
        }
        // And it may have served, and failed.
        if let Some(why) = serving.unfit(digest, tried) {
            self.known = Some(Known { guest: digest, refused: Some(tried) });
            return tracing::warn!(
                "the guest {digest} in {path} is not put in service: {why}; the guest {} goes on \
                 serving",
                serving.current().digest()
            );
        }
        let told = format!("settled in {settled:.1?}, read and digested in {read:.1?}");
        self.succession.publish(validated, &format!("in {path}"), began, &told);
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
