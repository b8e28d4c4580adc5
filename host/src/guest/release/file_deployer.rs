//! Deploys the guest in a file when the file changes.
//!
//! The steps: read once, digest, compile, check, warm up, activate. If one of them fails, the
//! active guest goes on serving. They begin when the file's content is different from when it
//! was looked at last, and only then: a changed date, or a change of a folder above it, is no
//! reason to undo what was deployed meanwhile.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::activate::Activator;
use super::history::Outcome;
use super::source::{Source, SourceError, Watching, read_guest};
use crate::file_watch::{Change, LOOK, Stamps, Watch};
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::cases::{CaseFile, read_cases};
use crate::guest::validation::error::ValidationError;
use crate::guest::validation::validate::{Validated, check_beside, digest_with_cases};
use crate::helper::CancelToken;

/// A command to the thread.
pub(super) enum Command {
    /// Something happened to the file.
    Change(Change),
    /// Read the file, and notify the caller when that is done.
    Reload { done: oneshot::Sender<()> },
    /// The server is about to stop.
    Stop,
    /// A fault, for tests.
    #[cfg(test)]
    Panic,
}

impl Command {
    fn as_change(&self) -> Option<Change> {
        if let Command::Change(change) = self { Some(*change) } else { None }
    }
}

/// Deploys the guest in a file.
pub(super) struct FileDeployer {
    pub(super) engine: Arc<Engine>,
    pub(super) activator: Activator,
    pub(super) source: Source,
    pub(super) watching: Watching,
    pub(super) watch: Option<Watch>,
    /// What the files were like when they were looked at last.
    pub(super) seen: Stamps,
    /// What was in the file then.
    pub(super) known: Option<Known>,
    /// Commands that came while it waited for a file to settle.
    pub(super) later: VecDeque<Command>,
}

/// A guest that was in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) guest: Digest,
    /// If it was rejected: its digest with that of its cases.
    pub(super) rejected: Option<Digest>,
}

impl FileDeployer {
    /// Works until it has to stop.
    pub(super) fn work(&mut self, commands: &mpsc::Receiver<Command>) {
        loop {
            let next = match (self.later.pop_front(), self.watching) {
                (Some(command), _) => Ok(command),
                (None, Watching::On) => commands.recv_timeout(LOOK),
                (None, Watching::Off) => commands.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if self.source.stamps() == self.seen => {}
                Err(RecvTimeoutError::Timeout) => self.file_changed(false, Instant::now()),
                Ok(Command::Reload { done }) => {
                    self.activator.active().forget_rejections();
                    self.file_changed(true, Instant::now());
                    // The caller may have gone meanwhile.
                    let _ = done.send(());
                }
                Ok(Command::Change(change)) => {
                    let began = Instant::now();
                    // A file that keeps changing is read all the same: the check rejects half a guest.
                    self.later.extend(change.settle(commands, Command::as_change));
                    self.file_changed(false, began);
                }
                #[cfg(test)]
                Ok(Command::Panic) => panic!("on purpose"),
            }
        }
    }

    fn file_changed(&mut self, is_reload: bool, began: Instant) {
        if let Some(watch) = &mut self.watch
            && let Err(error) = watch.renew()
        {
            tracing::warn!(%error, "guest file cannot be watched; it is looked at every 2 s");
        }
        self.seen = self.source.stamps();
        self.deploy(is_reload, began);
    }

    /// Deploys the guest in the file, if it is new there and is accepted.
    fn deploy(&mut self, is_reload: bool, began: Instant) {
        let Some(path) = self.source.guest.clone() else {
            return tracing::warn!("no guest file to reload: --guest is not set");
        };
        let file = path.display();
        let active = self.activator.active();
        let current = active.current().digest();
        let (bytes, cases) = match self.read(&path) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(current = %current, %error, "guest file or cases cannot be read");
                return active.history().add(Outcome::Unreadable, None, error.to_string());
            }
        };
        let digest = Digest::of(&bytes);
        let with_cases = digest_with_cases(digest, &cases);
        let before = self.known.replace(Known { guest: digest, rejected: None });
        if digest == current {
            if is_reload {
                tracing::info!(guest = %digest, path = %file, "guest file unchanged: it is active");
            }
            return;
        }
        // A rejected guest may pass with other cases.
        let is_known = before.is_some_and(|known| {
            known.guest == digest && known.rejected.is_none_or(|rejected| rejected == with_cases)
        });
        if is_known && !is_reload {
            self.known = before;
            return tracing::debug!(guest = %digest, path = %file, current = %current, "guest file unchanged");
        }
        if let Some(reason) = active.rejection(digest, with_cases)
            && !is_reload
        {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            return tracing::warn!(
                guest = %digest, path = %file, %reason, current = %current, "guest not tried again"
            );
        }
        let validated = self.validate(&bytes, &cases);
        drop(bytes);
        let validated = match validated {
            Ok(validated) => validated,
            Err(error) => {
                self.known = if error.is_transient() {
                    // It has not been tried, whatever it is.
                    before
                } else {
                    active.reject(with_cases);
                    Some(Known { guest: digest, rejected: Some(with_cases) })
                };
                tracing::error!(
                    guest = %digest,
                    path = %file,
                    current = %current,
                    code = error.code(),
                    %error,
                    "guest rejected"
                );
                let message = format!("{file}: {error}");
                return active.history().add(Outcome::Rejected, Some(digest), message);
            }
        };
        // Meanwhile the same may have been uploaded.
        let current = active.current().digest();
        if current == digest {
            return tracing::info!(guest = %digest, path = %file, "guest file unchanged: it is active");
        }
        // And it may have served, and failed.
        if let Some(reason) = active.rejection(digest, with_cases) {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            return tracing::warn!(
                guest = %digest, path = %file, %reason, current = %current, "guest not deployed"
            );
        }
        self.activator.activate(validated, Some(&path), began);
    }

    fn read(&self, path: &Path) -> Result<(Vec<u8>, Vec<CaseFile>), SourceError> {
        Ok((read_guest(path)?, read_cases(&self.source.cases)?))
    }

    fn validate(&self, bytes: &[u8], cases: &[CaseFile]) -> Result<Validated, ValidationError> {
        let never = CancelToken::default();
        check_beside(&self.engine, Origin::File, bytes, cases, &never)?.validated()
    }
}
