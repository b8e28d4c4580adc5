//! Files that the server itself uses and that lie beneath a root: they are told of, as they are
//! missing there for clients.

use std::path::PathBuf;

use anyhow::bail;

use crate::cli::Settings;
use crate::files::{OwnFile, OwnFiles, root_paths};

/// Those of these files that lie beneath a root, each with that root.
pub(super) fn beneath_roots(settings: &Settings, own: &OwnFiles) -> Vec<(OwnFile, PathBuf)> {
    let mut found = Vec::new();
    for site in settings.sites() {
        let mut beneath: Vec<_> =
            own.below(&root_paths(&site.root)).into_iter().map(|(own, _)| own).collect();
        // It may have several paths.
        beneath.dedup();
        // What is not there cannot be served; a log is made.
        beneath.retain(|own| own.is_log || own.path.exists());
        found.extend(beneath.into_iter().map(|own| (own.clone(), site.root.clone())));
    }
    found
}

/// Warns of these.
pub(super) fn warn(beneath_roots: &[(OwnFile, PathBuf)]) {
    for (OwnFile { flag, path, .. }, root) in beneath_roots {
        let (path, root) = (path.display(), root.display());
        tracing::warn!(
            setting = flag,
            %path,
            %root,
            "file of the server lies beneath the root: it is not served; move it out"
        );
    }
}

/// The same as lines of `--check`.
pub(super) fn described(settings: &Settings) -> Vec<String> {
    let own = OwnFiles::resolve(settings.own_files());
    let all = beneath_roots(settings, &own).into_iter();
    let line = |(OwnFile { flag, path, .. }, root): (OwnFile, PathBuf)| {
        let (path, root) = (path.display(), root.display());
        format!("{path} ({flag}) lies beneath the root {root}: it is not served; move it out")
    };
    all.map(line).collect()
}

/// Refuses a directory of compiled guests that is named and lies beneath a root, or is one.
pub(super) fn code_cache_is_elsewhere(settings: &Settings) -> anyhow::Result<()> {
    let (Some(_), Some(path)) = (&settings.cache.code, settings.code_directory()) else {
        return Ok(());
    };
    let real = path.canonicalize().ok();
    let own = OwnFile { flag: "--code-cache", path: path.clone(), is_log: false };
    let own = OwnFiles::resolve(vec![own]);
    for site in settings.sites() {
        let root = &site.root;
        let paths = root_paths(root);
        let is_root = real.as_ref().is_some_and(|real| paths.contains(real));
        if is_root || !own.below(&paths).is_empty() {
            bail!(
                "--code-cache {} lies beneath the root {}, where clients and whoever writes the \
                 site are; name a directory elsewhere, or write: --code-cache off",
                path.display(),
                root.display()
            );
        }
    }
    Ok(())
}
