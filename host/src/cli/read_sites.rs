//! Sites as this process has read them before: where one of a thousand is new, a reload reads that one.
//!
//! A site is known by all that it was read from: the text of its table, the lines of its rules, and
//! what is set outside.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::Mutex;

use super::effective::EffectiveSetting;
use super::file::ConfigFile;
use super::key::Part;
use super::settings::SiteSettings;
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
    pub(super) fn before(file: &ConfigFile, outside: &impl Debug) -> (ReadSites, ReadSites) {
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

#[cfg(test)]
mod tests {
    use crate::cli::ConfigError;
    use crate::cli::environment::Environment;
    use crate::cli::settings::SiteSettings;
    use crate::cli::sources::read;
    use std::ffi::OsString;
    use std::fs;

    #[test]
    fn what_was_read_before_is_the_same_as_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        let read_file = |typed: &[&str]| {
            let mut all: Vec<OsString> =
                vec!["innkeeper".into(), "--config".into(), (&path).into()];
            all.extend(typed.iter().map(Into::into));
            let read = read(&all, &Environment::default()).map_err(|error| match error {
                ConfigError::Cli(error) => error.to_string(),
                ConfigError::Source(mistakes) => mistakes[0].to_string(),
            })?;
            let told = |site: &SiteSettings| {
                format!("{:?} {:?} {:?}", site.identity, site.root, site.rules)
            };
            let sites = &read.arguments.serve.sites;
            let of = |told: Vec<String>| (told, format!("{:?}", read.sites));
            Ok::<_, String>((of(sites.iter().map(told).collect()), sites.clone()))
        };
        let one = "[[site]]\nhosts = ['a.test']\nroot = 'a'\n[site.rules]\nspa = true\n";
        let two = "[[site]]\nhosts = ['b.test']\nroot = 'b'\n";
        fs::write(&path, one).expect("a file");
        let (told, before) = read_file(&[]).expect("a site");
        let (again, same) = read_file(&[]).expect("a site");
        assert_eq!(told, again);
        assert!(before[0].is_like(&same[0]));
        // Its rules stand on another line.
        fs::write(&path, format!("{two}{one}")).expect("a file");
        let (told, moved) = read_file(&[]).expect("two sites");
        assert!(told.0[1].contains("lines: [8]"), "{told:?}");
        assert!(before[0].is_like(&moved[1]));
        // Something else is set outside, and a mistake is one again.
        let (_, with_flag) = read_file(&["--listing"]).expect("two sites");
        assert!(with_flag[0].files.listing && !with_flag[0].is_like(&moved[0]));
        let mistake = || read_file(&["--root", "c"]).expect_err("each has its own root");
        assert_eq!(mistake(), mistake());
    }
}
