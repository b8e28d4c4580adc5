//! Deploys what a source offers when its files change: the guest, or its data.
//!
//! The steps: read once, digest, compile, check, warm up, activate. If one of them fails, the
//! active guest goes on serving. They begin when the content of guest or data is different from
//! when it was looked at last, and only then: a changed date, or a change of a folder above it, is
//! no reason to undo what was deployed meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::activate::Activator;
use super::guest_files::shown;
use super::history::Outcome;
use super::source::{Source, SourceError, Watching};
use crate::file_watch::{Change, LOOK, SETTLED, Stamps, Watch, are_fresh};
use crate::guest::digest::Digest;
use crate::guest::offer::Offer;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::error::ValidationError;
use crate::guest::validation::validate::{Validated, check_beside, digest_with_cases};
use crate::helper::CancelToken;

/// A command to the thread.
pub(super) enum Command {
    /// Something happened to a file.
    Change(Change),
    /// Read the source, and notify the caller when that is done.
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

/// Deploys what a source offers.
pub(super) struct SourceDeployer {
    pub(super) engine: Arc<Engine>,
    pub(super) activator: Activator,
    pub(super) source: Arc<dyn Source>,
    pub(super) watching: Watching,
    pub(super) watch: Option<Watch>,
    /// What the files were like when they were looked at last.
    pub(super) seen: Stamps,
    /// Whether they were changing then: they are looked at again soon.
    pub(super) is_changing: bool,
    /// What they offered then.
    pub(super) known: Option<Known>,
    /// Commands that came while it waited for a file to settle.
    pub(super) later: VecDeque<Command>,
}

/// What was offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The digest of the guest and its data.
    pub(super) guest: Digest,
    /// If it was rejected: its digest with that of its cases.
    pub(super) rejected: Option<Digest>,
}

impl SourceDeployer {
    /// Works until it has to stop.
    pub(super) fn work(&mut self, commands: &mpsc::Receiver<Command>) {
        loop {
            let due = if self.is_changing { Some(SETTLED) } else { self.source.due_in() };
            let next = match (self.later.pop_front(), self.watching) {
                (Some(command), _) => Ok(command),
                (None, Watching::On) => commands.recv_timeout(due.unwrap_or(LOOK)),
                (None, Watching::Off) => commands.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout)
                    if due.is_none() && self.source.stamps() == self.seen => {}
                Err(RecvTimeoutError::Timeout) => self.files_changed(false, Instant::now()),
                Ok(Command::Reload { done }) => {
                    self.activator.active().forget_rejections();
                    self.source.forget_missing();
                    self.files_changed(true, Instant::now());
                    // The caller may have gone meanwhile.
                    let _ = done.send(());
                }
                Ok(Command::Change(change)) => {
                    let began = Instant::now();
                    self.later.extend(change.settle(commands, Command::as_change));
                    self.files_changed(false, began);
                }
                #[cfg(test)]
                Ok(Command::Panic) => panic!("on purpose"),
            }
        }
    }

    fn files_changed(&mut self, is_reload: bool, began: Instant) {
        if let Some(watch) = &mut self.watch
            && let Err(error) = watch.renew()
        {
            tracing::warn!(%error, "guest file cannot be watched; it is looked at every 2 s");
        }
        self.seen = self.source.stamps();
        self.is_changing = !is_reload && are_fresh(&self.seen);
        if !self.is_changing {
            self.deploy(is_reload, began);
        }
    }

    /// Deploys what the source offers, if it is new there and is accepted.
    fn deploy(&mut self, is_reload: bool, began: Instant) {
        let Some(name) = self.source.name() else {
            return tracing::warn!("no guest file to reload: --guest is not set");
        };
        let active = self.activator.active();
        let current = active.current().guest.digest();
        let read = self.source.read();
        // Half of what was read may be of one version, and half of another.
        self.is_changing = !is_reload && self.source.stamps() != self.seen;
        if self.is_changing {
            return;
        }
        let offer = match read {
            Ok(offer) => offer,
            // A file that was removed counts for a moment longer.
            Err(error @ SourceError::Rejected(_))
                if !is_reload
                    && active.history().last_is(Outcome::Rejected, &error.to_string()) =>
            {
                return;
            }
            Err(error @ SourceError::Rejected(_)) => {
                tracing::error!(path = %name, %current, %error, "rules rejected");
                return active.history().add(Outcome::Rejected, None, error.to_string());
            }
            Err(error) => {
                tracing::error!(%current, %error, "guest, data or cases cannot be read");
                return active.history().add(Outcome::Unreadable, None, error.to_string());
            }
        };
        let digest = offer.identity().digest();
        let data = offer.data_path().map(|path| path.display().to_string());
        let data = data.as_deref();
        let with_cases = digest_with_cases(digest, &offer.cases);
        let before = self.known.replace(Known { guest: digest, rejected: None });
        if digest == current {
            if active.history().note_unchanged() || is_reload {
                tracing::info!(guest = %digest, path = %name, data, "guest file unchanged: it is active");
            }
            return;
        }
        // A rejected guest may pass with other cases.
        let is_known = before.is_some_and(|known| {
            known.guest == digest && known.rejected.is_none_or(|rejected| rejected == with_cases)
        });
        if is_known && !is_reload {
            self.known = before;
            return tracing::debug!(guest = %digest, path = %name, data, %current, "guest file unchanged");
        }
        if let Some(reason) = active.rejection(digest, with_cases)
            && !is_reload
        {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            return tracing::warn!(
                guest = %digest, path = %name, data, %reason, %current, "guest not tried again"
            );
        }
        active.history().note_validating(true);
        let validated = self.validate(offer);
        active.history().note_validating(false);
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
                    path = %name,
                    data,
                    %current,
                    code = error.code(),
                    %error,
                    "guest rejected"
                );
                let message = format!("{}: {error}", shown(&name, data));
                return active.history().add_rejected(digest, message, &error);
            }
        };
        // Meanwhile the same may have been uploaded.
        let current = active.current().guest.digest();
        if current == digest {
            return tracing::info!(guest = %digest, path = %name, data, "guest file unchanged: it is active");
        }
        // And it may have served, and failed.
        if let Some(reason) = active.rejection(digest, with_cases) {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            return tracing::warn!(
                guest = %digest, path = %name, data, %reason, %current, "guest not deployed"
            );
        }
        self.activator.activate(validated, Some((&name, data)), began);
    }

    fn validate(&self, offer: Offer) -> Result<Validated, ValidationError> {
        let current = Arc::clone(&self.activator.active().current().guest);
        let checked = check_beside(&self.engine, &offer, &current, &CancelToken::default())?;
        drop(current);
        let mut validated = checked.validated()?;
        if self.activator.active().keeps_sources() {
            validated.keep(offer);
        }
        Ok(validated)
    }
}
