//! The environment: variables that are settings, and those that look like some and are none.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

use super::error::Mistake;
use super::key::{PREFIX, is_rule, settings, variable};

/// Parts several values of one variable. No value contains it: they are addresses, paths and
/// Cache-Control.
const SEPARATOR: char = ';';

/// Variables of others, behind the prefix: the project's own tests and build have these, and
/// images note their version in the last one.
const OF_OTHERS: [&str; 4] = ["TEST_", "DEFAULT_GUEST", "RULES_GUEST", "VERSION"];

/// What the value of a variable begins with where Kubernetes describes a service by it.
const URLS_OF_OTHERS: [&str; 3] = ["tcp://", "udp://", "sctp://"];

/// Whether Kubernetes describes a service by this variable, whose name begins as ours do: that is
/// called innkeeper, or innkeeper-admin. The name stands behind the prefix.
fn describes_service(name: &str, value: &OsStr) -> bool {
    let begins = |url: &&str| value.as_encoded_bytes().starts_with(url.as_bytes());
    let is_url = URLS_OF_OTHERS.iter().any(begins);
    let name = format!("_{name}");
    let of_port =
        || name.split("_PORT_").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_url || name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || of_port()
}

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

    /// A sentence for each variable that is no setting of this command: what it was to do is not
    /// done.
    pub(super) fn unknown(&self, command: &Command) -> Vec<Mistake> {
        let known: Vec<_> = settings(command).map(variable).collect();
        let is_known = |name: &str| {
            let name_only = name.strip_prefix(PREFIX).unwrap_or(name);
            name_only == "CONFIG"
                || OF_OTHERS.iter().any(|of_others| name_only.starts_with(of_others))
                || known.iter().any(|known| known == name)
        };
        // An empty one is switched off.
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        let names = set.filter_map(|(name, _)| name.to_str());
        let unknown = names.filter(|name| !is_known(name));
        unknown
            .map(|name| {
                let switch = name.strip_prefix(PREFIX).and_then(|name| name.strip_prefix("NO_"));
                let switch = switch.map(|name| [PREFIX, name].concat());
                if let Some(switch) = switch.filter(|switch| known.contains(switch)) {
                    return format!("{name} is not a setting; write {switch}=false").into();
                }
                let likeness = |known: &&String| strsim::jaro_winkler(known, name);
                let nearest =
                    known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
                let advice = nearest.map(|nearest| format!("; did you mean {nearest}?"));
                format!("{name} is not a setting{}", advice.unwrap_or_default()).into()
            })
            .collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Environment {
        let is_ours = |name: &OsStr, value: &OsStr| {
            let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            name.is_some_and(|name| !describes_service(name, value))
        };
        Environment(variables.into_iter().filter(|(name, value)| is_ours(name, value)).collect())
    }
}

/// What a variable says of a setting: single values, as if they had been typed.
pub(super) fn values(setting: &Arg, value: &OsStr) -> Vec<Result<OsString, Mistake>> {
    // A switch that may also have a value: without one it is on.
    let values = setting.get_num_args();
    let is_switch = values.is_some_and(|number| number.min_values() == 0 && number.takes_values());
    match (setting.get_action(), value.to_str()) {
        (_, Some("1")) if is_switch => vec![Ok("true".into())],
        (_, Some("0")) if is_switch => vec![Ok("false".into())],
        (ArgAction::Append, Some(values)) => {
            // A rule may contain the other.
            let separator = if is_rule(setting) { '\n' } else { SEPARATOR };
            values.split(separator).map(|value| Ok(value.trim().into())).collect()
        }
        _ => vec![Ok(value.to_owned())],
    }
}
