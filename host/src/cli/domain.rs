//! `innkeeper example.org`: a name in the place of the directory is the site's host. It is served over
//! https at the usual ports, with a certificate that is ordered of Let's Encrypt. Root becomes another
//! user for that.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::acme::Name;
use crate::unprivileged::is_root;

/// What stands for such a name: each unless it is typed.
const MEANS: &[(&str, &str)] = &[
    ("listen", "--listen=[::]:80"),
    ("listen_tls", "--listen-tls=[::]:443"),
    ("redirect_to_https", "--redirect-to-https"),
    ("acme_accept_terms", "--acme-accept-terms"),
];

/// As whom such a site is served where root serves it: the user of web servers.
const USER: &str = "--user=www-data";

/// Whether root started this process: it may be another user when settings are read again.
static BY_ROOT: LazyLock<bool> = LazyLock::new(is_root);

/// What the line means, if its directory is a name: one that has a dot, and is no file here.
pub(super) fn expand(typed: &[OsString], matches: &ArgMatches) -> Option<Vec<OsString>> {
    // Flags stand behind the command whose they are.
    let (matches, first) = match matches.subcommand() {
        None => (matches, 1),
        Some(("acme", matches)) => (matches, 2),
        Some(_) => return None,
    };
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if !is_typed("root") {
        return None;
    }
    let root = matches.get_one::<PathBuf>("root")?;
    let text = root.to_str()?;
    let name = text.parse::<Name>().ok()?;
    if name.address().is_some() || !text.contains('.') || root.exists() {
        return None;
    }
    let at = typed.iter().rposition(|argument| argument.as_os_str() == root.as_os_str())?;
    let mut means = typed.to_vec();
    means[at] = format!("--acme={name}").into();
    let behind = MEANS.iter().filter(|(id, _)| !is_typed(id)).map(|(_, flag)| (*flag).into());
    let is_set = is_typed("user") || std::env::var_os("INNKEEPER_USER").is_some();
    let user = (*BY_ROOT && !is_set).then(|| USER.into());
    // Behind a `--` there are no flags.
    means.splice(first..first, behind.chain(user));
    means.retain(|argument| argument.as_os_str() != "--");
    Some(means)
}
