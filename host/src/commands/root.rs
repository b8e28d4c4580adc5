//! The directory to serve, as a user who has just begun sees it: which one it is, whether it is
//! one that nobody meant, and whether it has a page.

use std::path::Path;

use anyhow::bail;

use crate::cli::Settings;
use crate::files::INDEX_NAMES;

/// Refuses the current directory where nobody named it and it is `/` or the user's own: all that
/// has no dot before its name would be public.
pub(super) fn is_meant(settings: &Settings) -> anyhow::Result<()> {
    if !settings.root_choice.is_current(&settings.root) {
        return Ok(());
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let current = real(&settings.root);
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let is = if current == Path::new("/") {
        "/"
    } else if home.is_some_and(|home| real(&home) == current) {
        "your home directory"
    } else {
        return Ok(());
    };
    bail!(
        "no directory is named, there is no html here, and the current directory is {is}, which \
         is served only if it is named; write: innkeeper path/to/site"
    )
}

/// The root, and why it is that one if it was not named.
pub(super) fn described(settings: &Settings) -> String {
    let root = &settings.root;
    if settings.root_choice.is_current(root) {
        let absolute = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        format!("{} (the current directory: none is named, and it has no html)", absolute.display())
    } else {
        root.display().to_string()
    }
}

/// Whether `/` is a 404: the root has no index page, no list of it is made, and neither a guest
/// nor rules of the operator say something else.
pub(super) fn lacks_page(settings: &Settings) -> bool {
    let has = |name: &str| settings.root.join(name).exists();
    let is_decided = settings.guest.file.is_some()
        || settings.rules.stated().next().is_some()
        || !settings.rules.no_site_rules && has("_redirects");
    !(settings.files.listing || is_decided || INDEX_NAMES.iter().any(|name| has(name)))
}
