//! Where the path of the root leads: to the directory that is served, to another one, or nowhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::active::Active;
use super::history::Outcome;
use crate::files::{DirectoryId, Files, RootPath};

/// The root of a site, as its path is looked at from time to time.
pub(super) struct Root {
    path: RootPath,
    /// The directory that it led to when it was looked at last.
    seen: Option<DirectoryId>,
    /// What was put in service last. It is not put in service again where something else serves,
    /// as it was taken out of service then; unless it is on request, or the path led elsewhere
    /// meanwhile.
    settled: Option<DirectoryId>,
    /// Why it cannot be opened: told once. And that in a sentence.
    trouble: Option<(String, String)>,
}

impl Root {
    /// The root at this path, of which these files are in service.
    pub(super) fn new(path: RootPath, files: &Files) -> Root {
        let id = Some(files.id());
        Root { path, seen: id, settled: id, trouble: None }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.path.path()
    }

    /// Whether the path leads elsewhere than when it was looked at.
    pub(super) fn is_changed(&self) -> bool {
        self.path.leads_to().ok() != self.seen
    }

    /// Why what the path leads to cannot be opened, if it was so when it was looked at last.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|(_, sentence)| &**sentence)
    }

    /// The files that are to serve: what the path leads to, or what serves already where that cannot
    /// be opened, which is logged, or was taken out of service.
    pub(super) fn look(&mut self, active: &Active, is_reload: bool) -> Arc<Files> {
        // Before it is opened: what changes afterwards is noticed.
        self.seen = self.path.leads_to().ok();
        let files = self.path.look();
        let current = Arc::clone(&active.current().files);
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                self.cannot_open(&error, active, is_reload);
                return current;
            }
        };
        let is_current = files.id() == current.id();
        if self.trouble.take().is_some() && is_current {
            let path = self.path.path().display();
            tracing::info!(%path, "root is there again");
        }
        if self.settled != Some(files.id()) {
            self.settled = None;
        }
        if is_current || is_reload || self.settled.is_none() { files } else { current }
    }

    /// Notes that these files were put in service.
    pub(super) fn settle(&mut self, files: &Files) {
        self.settled = Some(files.id());
    }

    fn cannot_open(&mut self, error: &io::Error, active: &Active, is_reload: bool) {
        let (path, current) = (self.path.path(), active.current());
        let served = current.files.directory().display();
        let is_nothing = error.kind() == io::ErrorKind::NotFound;
        let why = match is_nothing && is_dangling(path) {
            true => "it is a link that leads nowhere".to_owned(),
            false => error.to_string(),
        };
        let is_known = self.trouble.as_ref().is_some_and(|(known, _)| *known == why);
        if is_known && !is_reload {
            return;
        }
        let path = path.display();
        let advice = match error.kind() {
            io::ErrorKind::NotFound => {
                "; put a directory there, or name another in the configuration"
            }
            io::ErrorKind::PermissionDenied => {
                "; let the server's user read it and pass all above it"
            }
            _ => "",
        };
        let message = format!("root {path}: {why}; {served} is served{advice}");
        self.trouble = Some((why.clone(), message.clone()));
        if is_nothing && !is_dangling(self.path.path()) && !is_reload {
            // It may be for a moment, between `rm` and `mv`.
            return tracing::warn!(%path, root = %served, "root is not there, the old one is served");
        }
        tracing::error!(
            %path, root = %served, error = why, "root cannot be opened, the old one is served"
        );
        active.history().add(Outcome::Unreadable, None, message);
    }
}

/// Whether the path, or one above it, is a link that leads nowhere.
fn is_dangling(path: &Path) -> bool {
    // Without a `/` at its end, which follows the link.
    let path: PathBuf = path.components().collect();
    path.ancestors().any(|path| path.is_symlink() && !path.exists())
}
