//! Settings that only modify another one: alone they do nothing, which is told.

use clap::Arg;

use super::effective::Origin;
use super::error::Mistake;
use super::key::{flag, key};

/// Settings by their flags, and those of which one has to be there.
const MODIFIERS: [(&str, &[&str]); 17] = [
    ("max-listing-entries", &["listing"]),
    // A file of rules may close the site.
    ("maintenance-retry-after", &["maintenance", "rules"]),
    ("maintenance-pass", &["maintenance", "rules"]),
    ("maintenance-cookie", &["maintenance", "rules"]),
    ("public-https-port", &["redirect-to-https"]),
    // With the terms accepted, certificates are for the hosts of sites, too.
    ("acme-staging", ACME),
    ("acme-directory", ACME),
    ("acme-email", ACME),
    ("acme-challenge", ACME),
    ("acme-profile", ACME),
    ("acme-key-type", ACME),
    ("acme-state", ACME),
    ("acme-ca-file", ACME),
    ("acme-eab-kid", ACME),
    ("acme-eab-key-file", ACME),
    // Of a socket in the file system.
    ("socket-mode", &["listen"]),
    ("socket-owner", &["listen"]),
];

/// Either of these has certificates ordered.
const ACME: &[&str] = &["acme", "acme-accept-terms"];

/// A sentence for each setting that is there without the one that it modifies.
pub(super) fn unused(settings: &[(&Arg, Origin)]) -> Vec<Mistake> {
    let told = without_modified(settings).map(|(setting, origin, modified)| {
        let (named, other) = match origin {
            Origin::Environment(name) => (name.clone(), flags(modified)),
            Origin::File(path) => {
                (format!("{}: {}", path.display(), key(setting)), keys(modified, settings))
            }
            Origin::CommandLine | Origin::Default => {
                (format!("--{}", flag(setting)), flags(modified))
            }
        };
        format!("{named} does nothing without {other}: add that, or leave it out").into()
    });
    told.collect()
}

/// The settings that are there without the one that each modifies. That one may be switched off:
/// `maintenance = false` is how the others are kept for the next time.
pub(super) fn without_modified<'s, 'c>(
    settings: &'s [(&'c Arg, Origin)],
) -> impl Iterator<Item = (&'c Arg, &'s Origin, &'static [&'static str])> {
    let origin = |name: &str| settings.iter().find(|(setting, _)| flag(setting) == name);
    let is_there =
        move |name: &&str| origin(name).is_some_and(|(_, origin)| *origin != Origin::Default);
    let unused = MODIFIERS
        .iter()
        .filter(move |(name, modified)| is_there(name) && !modified.iter().any(is_there));
    unused.filter_map(move |(name, modified)| {
        let (setting, origin) = origin(name)?;
        Some((*setting, origin, *modified))
    })
}

fn flags(names: &[&str]) -> String {
    names.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(" or ")
}

fn keys(names: &[&str], settings: &[(&Arg, Origin)]) -> String {
    let keys = names.iter().filter_map(|name| {
        let (setting, _) = settings.iter().find(|(setting, _)| flag(setting) == *name)?;
        Some(key(setting).described())
    });
    keys.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{MODIFIERS, unused};
    use crate::cli::Arguments;
    use crate::cli::effective::Origin;
    use crate::cli::key::{flag, settings};

    #[test]
    fn each_is_a_setting() {
        let command = Arguments::command();
        for (name, modified) in MODIFIERS {
            for name in [name].iter().chain(modified) {
                assert!(settings(&command).any(|setting| flag(setting) == *name), "{name}");
            }
        }
    }

    #[test]
    fn setting_without_the_one_that_it_modifies_is_told() {
        let command = Arguments::command();
        let check = |given: &[(&str, Origin)], told: Option<&str>| {
            let origin = |name| given.iter().find(|(given, _)| *given == name);
            let origin = |name| origin(name).map_or(Origin::Default, |(_, origin)| origin.clone());
            let all = settings(&command).map(|setting| (setting, origin(flag(setting))));
            let unused = unused(&all.collect::<Vec<_>>());
            let unused: String = unused.iter().map(ToString::to_string).collect();
            match told {
                Some(told) => assert_eq!(unused, told, "{given:?}"),
                None => assert_eq!(unused, "", "{given:?}"),
            }
        };
        let file = || Origin::File("a.toml".into());
        let variable = || Origin::Environment("INNKEEPER_MAINTENANCE_COOKIE".to_owned());
        check(
            &[("maintenance-pass", Origin::CommandLine)],
            Some(
                "--maintenance-pass does nothing without --maintenance or --rules: add that, or \
                 leave it out",
            ),
        );
        check(&[("maintenance-pass", Origin::CommandLine), ("maintenance", file())], None);
        check(&[("maintenance-pass", file()), ("rules", Origin::CommandLine)], None);
        check(
            &[("max-listing-entries", file())],
            Some(
                "a.toml: [files] max-listing-entries does nothing without `listing` in [files]: \
                 add that, or leave it out",
            ),
        );
        check(
            &[("maintenance-cookie", variable())],
            Some(
                "INNKEEPER_MAINTENANCE_COOKIE does nothing without --maintenance or --rules: add \
                 that, or leave it out",
            ),
        );
        check(
            &[("acme-email", Origin::CommandLine)],
            Some(
                "--acme-email does nothing without --acme or --acme-accept-terms: add that, or \
                 leave it out",
            ),
        );
        check(&[("acme-email", file()), ("acme-accept-terms", file())], None);
        check(&[], None);
    }
}
