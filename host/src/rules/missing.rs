//! Pages that rules name, and that the root does not have.

use std::collections::HashMap;

use innkeeper_guest::Page;
use innkeeper_guest::rules::{Table, named_pages};

use super::describe::shown;
use super::site_root::SiteRoot;

/// Different pages that are looked for: each is a file to open, and a table may name thousands.
const PAGES: usize = 1_000;

/// A page of a rule that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPage {
    /// Where the rule stands, as in `rules.toml:7`.
    pub rule: String,
    /// The path of the page below the root.
    pub page: String,
}

/// The pages that are not there. It may wait for the disk.
pub(super) fn missing(table: &Table, root: &SiteRoot) -> Vec<MissingPage> {
    let reader = root.reader();
    let is_there = |candidate: &Page| match candidate {
        Page::File(path) => reader.has(path),
        Page::Index(path) => reader.has_index(path),
    };
    let mut known: HashMap<String, bool> = HashMap::new();
    let mut missing = Vec::new();
    for named in named_pages(table) {
        let is_known = known.get(&named.path).copied();
        if is_known.is_none() && known.len() == PAGES {
            continue;
        }
        let found = is_known.unwrap_or_else(|| named.candidates.iter().any(is_there));
        if !found {
            missing.push(MissingPage { rule: shown(table, named.place), page: named.path.clone() });
        }
        known.insert(named.path, found);
    }
    missing
}

impl MissingPage {
    /// The finding as one line: `rules.toml:7: …`.
    pub fn text(&self) -> String {
        let MissingPage { rule, page } = self;
        format!("{rule}: the page {page} is not in the root; make it, or name another")
    }
}
