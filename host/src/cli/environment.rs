//! The environment: variables that are settings, and those that look like some and are none.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

use super::error::Mistake;
use super::key::{PREFIX, settings, variable};

/// Parts several values of one variable. No value contains it: they are addresses, paths and
/// Cache-Control.
const SEPARATOR: char = ';';

/// Variables that others set, behind the prefix: Kubernetes describes a service that is called
/// innkeeper by the first two, and the project's own tests and build have the rest.
const OF_OTHERS: [&str; 5] = ["SERVICE_", "PORT", "TEST_", "DEFAULT_GUEST", "RULES_GUEST"];

/// The variables whose names begin with `INNKEEPER_`.
#[derive(Debug, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Environment {
        std::env::vars_os().collect()
    }

    /// The value of a variable. An empty one is not set: that is how it is switched off where
    /// it cannot be unset.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The file that the environment names.
    pub(super) fn config(&self) -> Option<&OsStr> {
        self.get(&format!("{PREFIX}CONFIG"))
    }

    /// The variables that are no settings of this command, each with a hint.
    pub(super) fn unknown(&self, command: &Command) -> Vec<String> {
        let known: Vec<_> = settings(command).map(variable).collect();
        let is_known = |name: &str| {
            let name_only = name.strip_prefix(PREFIX).unwrap_or(name);
            name_only == "CONFIG"
                || OF_OTHERS.iter().any(|of_others| name_only.starts_with(of_others))
                || known.iter().any(|known| known == name)
        };
        let names = self.0.keys().filter_map(|name| name.to_str());
        let unknown = names.filter(|name| !is_known(name));
        unknown
            .map(|name| {
                let likeness = |known: &&String| strsim::jaro_winkler(known, name);
                let nearest =
                    known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
                let advice = nearest.map(|nearest| format!("; did you mean {nearest}?"));
                format!("{name} is not a setting{}", advice.unwrap_or_default())
            })
            .collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Environment {
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        Environment(variables.into_iter().filter(|(name, _)| is_ours(name)).collect())
    }
}

/// What a variable says of a setting: single values, as if they had been typed.
pub(super) fn values(setting: &Arg, value: &OsStr) -> Vec<Result<OsString, Mistake>> {
    match (setting.get_action(), value.to_str()) {
        (ArgAction::Append, Some(values)) => {
            // A rule may contain the other.
            let is_rule = setting.get_help_heading() == Some("Rules");
            let separator = if is_rule { '\n' } else { SEPARATOR };
            values.split(separator).map(|value| Ok(value.trim().into())).collect()
        }
        _ => vec![Ok(value.to_owned())],
    }
}
