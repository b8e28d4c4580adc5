//! What a site opens, while that is allowed: its root, its log, and the files of its guest.

use std::path::PathBuf;
use std::sync::Arc;

use super::logs::{LogKey, Logs};
use crate::cli::{Settings, SiteSettings};
use crate::commands::guest::{GuestSource, source};
use crate::commands::open_root::open_root_with;
use crate::commands::root;
use crate::files::{Caches, Files, RootPath};

/// A site that has open what it needs.
pub(in crate::commands) struct OpenedSite {
    pub(super) root: RootPath,
    pub(super) files: Arc<Files>,
    pub(super) source: GuestSource,
    pub(super) log: Option<LogKey>,
}

impl OpenedSite {
    /// Opens it.
    pub(in crate::commands) fn open(
        settings: &Settings,
        site: &SiteSettings,
        caches: &Arc<Caches>,
        logs: &mut Logs,
        is_dev: bool,
    ) -> anyhow::Result<OpenedSite> {
        root::is_meant(site)?;
        let mut options = settings.file_options(site);
        // Pages must be as they are, to be appended to.
        options.compress &= !is_dev;
        let (root, files) = open_root_with(&site.root, options, caches)?;
        let log = logs.open(site)?;
        let source = source(site, &files)?;
        Ok(OpenedSite { root, files, source, log })
    }

    /// The files that it opens again by their names.
    pub(in crate::commands) fn by_name(&self) -> &[PathBuf] {
        &self.source.by_name
    }
}
