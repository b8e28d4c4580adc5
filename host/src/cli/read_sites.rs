//! Sites as this process has read them before: where one of a thousand is new, a reload reads that one.
//!
//! A site is known by all that it was read from: the text of its table, the lines of its rules, and
//! what is set outside.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;

use super::effective::EffectiveSetting;
use super::file::ConfigFile;
use super::key::Part;
use super::settings::SiteSettings;
use super::sites::Outside;
use crate::lock::lock;

/// A site that was read.
#[derive(Clone)]
pub(super) struct ReadSite {
    pub(super) settings: SiteSettings,
    pub(super) effective: Vec<EffectiveSetting>,
    /// The names of the settings that its table states.
    pub(super) stated: Vec<String>,
}

/// Those of one configuration, by what each was read from.
pub(super) struct ReadSites {
    outside: String,
    sites: HashMap<String, ReadSite>,
}

/// The latest that had no mistake.
static LATEST: Mutex<Option<ReadSites>> = Mutex::new(None);

impl ReadSites {
    /// Those that were read before with the same outside, to be replaced by others.
    pub(super) fn before(file: &ConfigFile, outside: &Outside) -> (ReadSites, ReadSites) {
        let outside = format!("{:?} {outside:?}", file.path());
        let latest = lock(&LATEST).take().filter(|latest| latest.outside == outside);
        let none = || ReadSites { outside: outside.clone(), sites: HashMap::new() };
        (latest.unwrap_or_else(none), none())
    }

    /// What a site is read from.
    pub(super) fn text(file: &ConfigFile, number: usize) -> String {
        let part = Part::Site(number);
        let mut text = format!("{:?}", file.part(part));
        // Only rules are told of by their lines later on.
        if let Some(lines) = file.rule_lines(part) {
            // Writing to a text cannot fail.
            let _ = write!(text, "{lines:?}");
        }
        text
    }

    pub(super) fn get(&self, text: &str) -> Option<&ReadSite> {
        self.sites.get(text)
    }

    /// Notes a site.
    pub(super) fn add(&mut self, text: String, site: ReadSite) {
        self.sites.insert(text, site);
    }

    /// Keeps them for the next time.
    pub(super) fn keep(self) {
        *lock(&LATEST) = Some(self);
    }
}
