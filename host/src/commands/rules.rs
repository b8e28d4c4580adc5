//! The rules that a command line and its settings state, as a source of guests.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::bail;

use super::open_root::open_root;
use crate::cli::SiteSettings;
use crate::cli::settings::rules::RulesSettings;
use crate::files::{CacheSizes, Files};
use crate::rules::describe::{describe, shown};
use crate::rules::{KeptFiles, RuleFiles, SiteRoot};
use crate::text::{escaped, one_line};

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

/// The rules that would be obeyed, as comments of the configuration file; empty without any.
pub(super) fn in_words(site: &SiteSettings) -> String {
    if site.guest.file.is_some() {
        return String::new();
    }
    let (options, workers) = (site.files.options(), NonZeroUsize::MIN);
    let root = open_root(&site.root, options, CacheSizes::default(), workers).ok();
    let root = root.as_ref().map(|(_, files)| (site.root.as_path(), &**files));
    let gathered = match files(&site.rules, root).read() {
        Ok(gathered) => gathered,
        Err(error) => {
            return format!(
                "\n# The rules{} are not accepted: {}\n",
                of(site),
                one_line(&error.to_string())
            );
        }
    };
    let all = describe(&gathered.table);
    if all.is_empty() {
        return String::new();
    }
    let all = all.into_iter().map(|(place, says)| {
        let place = shown(&gathered.table, place);
        format!("# {}: {}\n", escaped(&place), escaped(&says))
    });
    let all = all.collect::<String>();
    format!("\n# The rules{}, in the order in which they are looked at:\n{all}", of(site))
}

/// Whose they are, where there are several.
fn of(site: &SiteSettings) -> String {
    match site.identity.name.as_str() {
        "" => String::new(),
        name => format!(" of {name}"),
    }
}

/// Where the rules come from. Without a root no site is asked for rules of its own.
pub(super) fn files(settings: &RulesSettings, root: Option<(&Path, &Files)>) -> RuleFiles {
    let root = root.map(|(path, files)| match settings.no_site_rules {
        false => SiteRoot::new(path, files.reader()),
        true => SiteRoot::without_rules(path, files.reader()),
    });
    RuleFiles {
        given: settings.named(),
        passing: settings.passing(),
        files: settings.files.clone(),
        root,
        kept: KeptFiles::default(),
    }
}
