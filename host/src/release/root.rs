//! Where the path of the root leads: to the directory that is served, to another one, or nowhere.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::active::Active;
use super::history::Outcome;
use crate::files::{DirectoryId, Files, RootPath};

/// The root of a site, as its path is looked at from time to time.
pub(super) struct Root {
    path: RootPath,
    /// The directory that it led to when it was looked at last.
    seen: Option<DirectoryId>,
    /// What it led to last, and could be opened.
    latest: Arc<Files>,
    /// What was looked at and is not tried again, unless it is on request: it is in service, or was
    /// taken out of it. What could not be put in service is not settled.
    settled: DirectoryId,
    /// Why it cannot be opened: told once.
    trouble: Option<String>,
}

impl Root {
    /// The root at this path, of which these files are in service.
    pub(super) fn new(path: RootPath, files: Arc<Files>) -> Root {
        let id = files.id();
        Root { path, seen: Some(id), latest: files, settled: id, trouble: None }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.path.path()
    }

    /// Whether the path leads elsewhere than when it was looked at.
    pub(super) fn is_changed(&self) -> bool {
        self.path.leads_to().ok() != self.seen
    }

    /// What the path leads to, or led to last. Where it leads nowhere that is logged, and it stays
    /// as it is.
    pub(super) fn look(&mut self, active: &Active, is_reload: bool) -> Arc<Files> {
        // Before it is opened: what changes afterwards is noticed.
        self.seen = self.path.leads_to().ok();
        match self.path.look() {
            Ok(files) => {
                if self.trouble.take().is_some() && files.id() == active.current().files.id() {
                    let path = self.path.path().display();
                    tracing::info!(%path, "root is there again");
                }
                self.latest = files;
            }
            Err(error) => self.cannot_open(&error, active, is_reload),
        }
        Arc::clone(&self.latest)
    }

    /// Whether these files, which it led to, are to be put in service.
    pub(super) fn is_new(&self, files: &Files, active: &Active, is_reload: bool) -> bool {
        let id = files.id();
        id != active.current().files.id() && (is_reload || id != self.settled)
    }

    /// Notes that these files serve, or are not to serve again by themselves.
    pub(super) fn settle(&mut self, files: &Files) {
        self.settled = files.id();
    }

    fn cannot_open(&mut self, error: &io::Error, active: &Active, is_reload: bool) {
        let (path, current) = (self.path.path(), active.current());
        let served = current.files.directory().display();
        let is_nothing = error.kind() == io::ErrorKind::NotFound;
        let why = match is_nothing && is_dangling(path) {
            true => "it is a link that leads nowhere".to_owned(),
            false => advice(path, error),
        };
        if self.trouble.as_ref() == Some(&why) && !is_reload {
            return;
        }
        self.trouble = Some(why.clone());
        let path = path.display();
        if is_nothing && !is_dangling(self.path.path()) && !is_reload {
            // It may be for a moment, between `rm` and `mv`.
            return tracing::warn!(%path, root = %served, "root is not there, the old one is served");
        }
        tracing::error!(
            %path, root = %served, error = why, "root cannot be opened, the old one is served"
        );
        let message = format!("root {path}: {why}; {served} is served");
        active.history().add(Outcome::Unreadable, None, message);
    }
}

/// Whether the path, or one above it, is a link that leads nowhere.
fn is_dangling(path: &Path) -> bool {
    path.ancestors().any(|path| path.is_symlink() && !path.exists())
}

/// Why a root cannot be opened, and what to do.
fn advice(path: &Path, error: &io::Error) -> String {
    // The sandbox refuses opening alone, and not this question.
    let is_readable = rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok();
    if error.kind() != io::ErrorKind::PermissionDenied || !is_readable {
        return error.to_string();
    }
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let above = real.parent().unwrap_or(&real).display();
    format!(
        "the sandbox does not let the server read {}: restart it with --allow-read {above}",
        real.display()
    )
}
