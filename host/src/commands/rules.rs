//! The rules that a command line and its settings state, as a source of guests.

use std::path::Path;

use anyhow::bail;

use crate::cli::settings::rules::RulesSettings;
use crate::files::Files;
use crate::rules::{RuleFiles, Site};

/// Refuses rules beside a guest: one of both decides.
pub(super) fn excludes_guest(
    guest: Option<&Path>,
    data: Option<&Path>,
    rules: &RulesSettings,
) -> anyhow::Result<()> {
    let (Some(guest), Some(stated)) = (guest, rules.stated().next()) else { return Ok(()) };
    let with = data.map(|data| format!(" with --data {}", data.display())).unwrap_or_default();
    bail!(
        "--guest {}{with} and {stated} exclude each other: a guest decides by itself; leave out \
         one of them, or have `innkeeper new --from-rules` make a guest of the rules and go on from \
         there",
        guest.display()
    )
}

/// Where the rules come from. Without a root no site is asked for rules of its own.
pub(super) fn files(settings: &RulesSettings, root: Option<(&Path, &Files)>) -> RuleFiles {
    let site = root
        .filter(|_| !settings.no_site_rules)
        .map(|(path, files)| Site { path: path.to_owned(), reader: files.reader() });
    RuleFiles {
        given: settings.named(),
        passing: settings.passing(),
        files: settings.files.clone(),
        site,
        root: root.map(|(path, _)| path.to_owned()),
    }
}
