//! Deploys what a source offers when its files change: the guest, its data, or the root.
//!
//! The steps: read once, digest, compile, check, warm up, activate. If one of them fails, the
//! active generation goes on serving. They begin when the content of guest or data is different from
//! when it was looked at last, and only then: a changed date, or a change of a folder above it, is
//! no reason to undo what was deployed meanwhile. A root is another one when its path leads to
//! another directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::activate::Activator;
use super::guest_files::shown;
use super::history::Outcome;
use super::rejected::Rejection;
use super::root::Root;
use super::source::{Source, SourceError, Watching};
use crate::file_watch::{Key, LOOK, SETTLED, Stamps, Watches, are_fresh, links_on_the_way};
use crate::files::Files;
use crate::guest::LoadedGuest;
use crate::guest::digest::Digest;
use crate::guest::offer::Offer;
use crate::guest::origin::Origin;
use crate::guest::runtime::engine::Engine;
use crate::guest::validation::error::ValidationError;
use crate::guest::validation::validate::{Validated, check_beside, digest_with_cases};
use crate::helper::CancelToken;

/// Deploys what a source offers.
pub(super) struct SourceDeployer {
    pub(super) engine: Arc<Engine>,
    /// Whose it is, where there are several sites.
    pub(super) site: Option<Arc<str>>,
    pub(super) activator: Activator,
    pub(super) source: Arc<dyn Source>,
    pub(super) root: Root,
    pub(super) watching: Watching,
    /// What watches its files, if that is wanted and possible.
    pub(super) watches: Option<(Arc<Watches>, Key)>,
    /// What the files were like when they were looked at last.
    pub(super) seen: Stamps,
    /// Whether they were changing then: they are looked at again soon.
    pub(super) is_changing: bool,
    /// What they offered then.
    pub(super) known: Option<Known>,
    /// Why the guest or the root that was looked at last was not put in service.
    pub(super) refusal: Option<String>,
}

/// What was offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The digest of the guest and its data.
    pub(super) guest: Digest,
    /// If it was rejected: its digest with that of its cases.
    pub(super) rejected: Option<Digest>,
}

/// The root that is to serve.
struct Target<'f> {
    files: &'f Arc<Files>,
    /// Whether another one serves now.
    is_new: bool,
    /// Whether the guest belongs to it.
    has_guest: bool,
}

/// What came of the guest that was offered.
enum Step {
    /// It serves.
    Deployed,
    /// It serves already: this is it. Or it is known, and another one serves meanwhile.
    Unchanged(Option<Arc<LoadedGuest>>),
    /// It cannot be read, or is not accepted.
    Rejected,
}

impl SourceDeployer {
    /// How long until it is looked at, whatever is notified. `None` if it is on request alone.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.watching == Watching::On).then(|| self.must_read().unwrap_or(LOOK))
    }

    /// How long until it is read, whatever its files are like.
    fn must_read(&self) -> Option<Duration> {
        if self.is_changing { Some(SETTLED) } else { self.source.due_in() }
    }

    /// Looks whether something changed that was not notified.
    pub(super) fn look(&mut self) {
        if self.must_read().is_some() || self.is_changed() {
            self.files_changed(false, Instant::now());
        }
    }

    /// Reads everything, also what was rejected before.
    /// Returns why, if that was not put in service.
    pub(super) fn reload(&mut self) -> Option<String> {
        self.activator.active().forget_rejections();
        self.source.forget_missing();
        self.refusal = None;
        self.files_changed(true, Instant::now());
        self.refusal.take()
    }

    /// Whether the files, or the way to the root, are others than when they were looked at.
    fn is_changed(&self) -> bool {
        self.source.stamps() != self.seen || self.root.is_changed()
    }

    /// Reads what changed.
    pub(super) fn files_changed(&mut self, is_reload: bool, began: Instant) {
        if let Err(error) = self.watch() {
            tracing::warn!(%error, "guest file cannot be watched; it is looked at every 2 s");
        }
        self.seen = self.source.stamps();
        self.is_changing = !is_reload && are_fresh(&self.seen);
        if !self.is_changing {
            self.deploy(is_reload, began);
        }
    }

    /// Watches the files, and the way to the root.
    pub(super) fn watch(&self) -> notify::Result<()> {
        let Some((watches, key)) = &self.watches else { return Ok(()) };
        let paths = self.source.paths();
        watches.renew(*key, paths.iter().map(PathBuf::as_path).chain([self.root.path()]))
    }

    /// Ends that watch.
    pub(super) fn end_watch(&self) {
        if let Some((watches, key)) = &self.watches {
            watches.remove(*key);
        }
    }

    /// Deploys what the source offers, and what the root leads to, in one step if both are new there
    /// and the guest is accepted.
    fn deploy(&mut self, is_reload: bool, began: Instant) {
        let files = self.root.look(self.activator.active(), is_reload);
        self.source.set_root(&files);
        let read = self.source.name().map(|name| (name, self.source.read()));
        // Half of what was read may be of one version, and half of another.
        self.is_changing = !is_reload && self.is_changed();
        if self.is_changing {
            return;
        }
        let is_new_root = files.id() != self.activator.active().current().files.id();
        let goes_with_root = self.goes_with_root();
        let step = match read {
            Some((name, read)) => {
                let root = Target { files: &files, is_new: is_new_root, has_guest: goes_with_root };
                self.deploy_guest(&name, read, &root, is_reload, began)
            }
            None => Step::Unchanged(None),
        };
        self.refusal = match step {
            Step::Rejected => self.activator.active().history().latest(),
            _ => self.root.trouble().map(str::to_owned),
        };
        let is_deployed = matches!(step, Step::Deployed);
        let root_alone = match step {
            Step::Deployed => None,
            Step::Unchanged(guest) => is_new_root.then_some(guest),
            // What cannot be put in service with its rules or its guest is not without them.
            Step::Rejected => (is_new_root && !goes_with_root).then_some(None),
        };
        let is_root_alone = root_alone.is_some();
        if let Some(guest) = root_alone {
            self.activator.activate_root(guest, Arc::clone(&files), self.root.path(), began);
        } else if is_reload && self.source.name().is_none() {
            let (path, root) = (self.root.path().display(), files.directory().display());
            tracing::info!(%path, %root, "root unchanged: it is active");
        }
        if is_deployed || is_root_alone {
            self.root.settle(&files);
        }
    }

    /// Whether the guest belongs to the root: rules of it, or a file that the path leads to through
    /// the same link.
    fn goes_with_root(&self) -> bool {
        self.source.depends_on_root() || {
            let links = links_on_the_way(self.root.path());
            !links.is_empty()
                && self
                    .source
                    .paths()
                    .iter()
                    .any(|path| links_on_the_way(path).iter().any(|link| links.contains(link)))
        }
    }

    /// Deploys the guest that was read, with these files.
    fn deploy_guest(
        &mut self,
        name: &str,
        read: Result<Offer, SourceError>,
        &Target { files, is_new: is_new_root, has_guest }: &Target<'_>,
        is_reload: bool,
        began: Instant,
    ) -> Step {
        let active = self.activator.active();
        let (current, origin) = {
            let current = active.current();
            (current.guest.digest(), current.guest.origin())
        };
        // In messages.
        let root = is_new_root.then(|| files.directory().display().to_string());
        let root = root.as_deref();
        let with_root = root.map(|root| format!("the root {root} is not served: "));
        let with_root = with_root.filter(|_| has_guest).unwrap_or_default();
        let offer = match read {
            Ok(offer) => offer,
            Err(error @ SourceError::Rejected(_)) => {
                let message = format!("{with_root}{error}");
                // A file that was removed counts for a moment longer.
                if !is_reload
                    && !is_new_root
                    && active.history().last_is(Outcome::Rejected, &message)
                {
                    return Step::Rejected;
                }
                tracing::error!(path = %name, root, %current, %error, "rules rejected");
                active.history().add(Outcome::Rejected, None, message);
                return Step::Rejected;
            }
            Err(error) => {
                tracing::error!(root, %current, %error, "guest, data or cases cannot be read");
                let message = format!("{with_root}{error}");
                active.history().add(Outcome::Unreadable, None, message);
                return Step::Rejected;
            }
        };
        let digest = offer.identity().digest();
        let data = offer.data_path().map(|path| path.display().to_string());
        let data = data.as_deref();
        let with_cases = digest_with_cases(digest, &offer.cases);
        let before = self.known.replace(Known { guest: digest, rejected: None });
        if digest == current {
            let is_told =
                is_reload || self.root.trouble().is_none() && active.history().note_unchanged();
            if is_told && !is_new_root {
                tracing::info!(guest = %digest, path = %name, data, "guest file unchanged: it is active");
            }
            return self.unchanged(digest);
        }
        // Rules go with their root, unless another guest was uploaded in their place.
        let goes_with_root = is_new_root && has_guest && origin != Origin::Uploaded;
        // A rejected guest may pass with other cases.
        let is_known = before.is_some_and(|known| {
            known.guest == digest && known.rejected.is_none_or(|rejected| rejected == with_cases)
        });
        if is_known && !is_reload && !goes_with_root {
            self.known = before;
            tracing::debug!(guest = %digest, path = %name, data, %current, "guest file unchanged");
            return Step::Unchanged(None);
        }
        // Another root makes another generation of it, which nobody took out of service.
        let rejection = |reason: &Rejection| !goes_with_root || *reason == Rejection::Invalid;
        if let Some(reason) = active.rejection(digest, with_cases).filter(rejection)
            && !is_reload
        {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            tracing::warn!(
                guest = %digest, path = %name, data, root, %reason, %current, "guest not tried again"
            );
            return Step::Rejected;
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
                    root,
                    %current,
                    code = error.code(),
                    %error,
                    "guest rejected"
                );
                let message = format!("{with_root}{}: {error}", shown(name, data));
                active.history().add_rejected(digest, message, &error);
                return Step::Rejected;
            }
        };
        // Meanwhile the same may have been uploaded.
        let current = active.current().guest.digest();
        if current == digest {
            tracing::info!(guest = %digest, path = %name, data, "guest file unchanged: it is active");
            return self.unchanged(digest);
        }
        // And it may have served, and failed.
        if let Some(reason) = active.rejection(digest, with_cases).filter(rejection) {
            self.known = Some(Known { guest: digest, rejected: Some(with_cases) });
            tracing::warn!(
                guest = %digest, path = %name, data, root, %reason, %current, "guest not deployed"
            );
            return Step::Rejected;
        }
        // Rules serve with the files that they were read beneath, and with no others.
        let files = (is_new_root || has_guest).then(|| Arc::clone(files));
        self.activator.activate(validated, files, Some((name, data)), began);
        Step::Deployed
    }

    /// It serves already, unless another one has come to serve this moment.
    fn unchanged(&self, digest: Digest) -> Step {
        let current = self.activator.active().current();
        match current.guest.digest() == digest {
            true => Step::Unchanged(Some(Arc::clone(&current.guest))),
            false => Step::Rejected,
        }
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
