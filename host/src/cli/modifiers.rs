//! Settings that only modify another one: alone they do nothing, which is told.

use clap::Arg;

use super::effective::Origin;
use super::error::Mistake;
use super::key::{flag, key};

/// Settings by their flags, and those of which one has to be there.
const MODIFIERS: [(&str, &[&str]); 6] = [
    ("max-listing-entries", &["listing"]),
    // A file of rules may close the site.
    ("maintenance-retry-after", &["maintenance", "rules"]),
    ("maintenance-pass", &["maintenance", "rules"]),
    ("maintenance-cookie", &["maintenance", "rules"]),
    ("public-https-port", &["redirect-to-https"]),
    ("tls-unknown-name", &["tls-certificate", "self-signed"]),
];

/// A sentence for each setting that is there without the one that it modifies. That one may be
/// switched off: `maintenance = false` is how the others are kept for the next time.
pub(super) fn unused(settings: &[(&Arg, Origin)]) -> Vec<Mistake> {
    let origin = |name: &str| settings.iter().find(|(setting, _)| flag(setting) == name);
    let is_there = |name: &&str| origin(name).is_some_and(|(_, origin)| *origin != Origin::Default);
    let unused = MODIFIERS
        .iter()
        .filter(|(name, modified)| is_there(name) && !modified.iter().any(is_there));
    let told = unused.filter_map(|(name, modified)| {
        let (setting, origin) = origin(name)?;
        let (named, other) = match origin {
            Origin::Environment(name) => (name.clone(), flags(modified)),
            Origin::File(path) => {
                (format!("{}: {}", path.display(), key(setting)), keys(modified, settings))
            }
            Origin::CommandLine | Origin::Default => (format!("--{name}"), flags(modified)),
        };
        Some(format!("{named} does nothing without {other}: add that, or leave it out").into())
    });
    told.collect()
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
    use std::ffi::OsString;
    use std::fs;

    use clap::CommandFactory;

    use super::MODIFIERS;
    use crate::cli::environment::Environment;
    use crate::cli::key::{flag, settings};
    use crate::cli::sources::read;
    use crate::cli::{Arguments, ConfigError};

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
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        let config = path.to_str().expect("a path");
        let check = |typed: &[&str], file: &str, variable: Option<&str>, told: Option<&str>| {
            fs::write(&path, file).expect("a file");
            let typed: Vec<OsString> =
                ["innkeeper", "--config", config].iter().chain(typed).map(OsString::from).collect();
            let environment: Environment = variable
                .iter()
                .map(|value| ("INNKEEPER_MAINTENANCE_COOKIE".into(), value.into()))
                .collect();
            let told_now = match read(&typed, &environment) {
                Ok(_) => String::new(),
                Err(ConfigError::Source(mistakes)) => {
                    mistakes.iter().map(ToString::to_string).collect()
                }
                Err(error) => panic!("{error:?}"),
            };
            match told {
                Some(told) => assert!(told_now.contains(told), "{typed:?} {file}: {told_now}"),
                None => assert_eq!(told_now, "", "{typed:?} {file}"),
            }
        };
        let pass = ["--maintenance-pass", "10.0.0.0/8"];
        check(
            &pass,
            "",
            None,
            Some("--maintenance-pass does nothing without --maintenance or --rules: add that"),
        );
        check(&pass, "[rules]\nmaintenance = true", None, None);
        check(&pass, "[rules]\nmaintenance = false", None, None);
        check(&pass, "[rules]\nfile = 'rules.toml'", None, None);
        check(
            &[],
            "[rules]\nmaintenance-retry-after = '1min'",
            None,
            Some(
                "a.toml: [rules] maintenance-retry-after does nothing without `maintenance` in [rules]",
            ),
        );
        check(&[], "", Some("a=b"), Some("INNKEEPER_MAINTENANCE_COOKIE does nothing without"));
        check(&["--max-listing-entries", "5"], "", None, Some("without --listing"));
        check(&["--max-listing-entries", "5"], "[files]\nlisting = false", None, None);
        check(&["--public-https-port", "8443"], "", None, Some("without --redirect-to-https"));
    }
}
