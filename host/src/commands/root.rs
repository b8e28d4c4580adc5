//! The directory to serve, as a user who has just begun sees it: which one it is, whether it is
//! one that nobody meant, and whether it has a page.

use std::path::Path;

use anyhow::bail;

use crate::cli::SiteSettings;
use crate::files::INDEX_NAMES;

/// Refuses the current directory where nobody named it and it is `/` or the user's own: all that
/// has no dot before its name would be public.
pub(super) fn is_meant(site: &SiteSettings) -> anyhow::Result<()> {
    if !site.root_choice.is_current(&site.root) {
        return Ok(());
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let current = real(&site.root);
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
pub(super) fn described(site: &SiteSettings) -> String {
    let root = &site.root;
    if site.root_choice.is_current(root) {
        let absolute = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        format!("{} (the current directory: none is named, and it has no html)", absolute.display())
    } else {
        root.display().to_string()
    }
}

/// Whether `/` is a 404: the root has no index page, no list of it is made, and neither a guest
/// nor rules of the operator say something else.
pub(super) fn lacks_page(site: &SiteSettings) -> bool {
    let has = |name: &str| site.root.join(name).exists();
    let is_decided = site.guest.file.is_some()
        || site.rules.stated().next().is_some()
        || !site.rules.no_site_rules && has("_redirects");
    !(site.files.listing || is_decided || INDEX_NAMES.iter().any(|name| has(name)))
}
