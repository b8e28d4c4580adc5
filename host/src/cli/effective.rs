//! The effective configuration: each setting, its value, and where that comes from, written as a
//! configuration file.

use std::any::TypeId;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};
use toml::Value;

use super::key::{Key, SITE, is_switch, is_switch_off};
use crate::clients::RateLimit;
use crate::text::escaped;

/// Where remarks begin at the latest, in characters: one long value must not push all remarks
/// off the screen.
const REMARK_COLUMN: usize = 44;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// This configuration file.
    File(PathBuf),
    /// Nothing sets it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::CommandLine => f.write_str("command line"),
            Origin::Environment(name) => write!(f, "environment: {name}"),
            Origin::File(path) => write!(f, "{}", escaped(&path.display().to_string())),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A setting with the value that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveSetting {
    /// Its place in the configuration file.
    pub key: Key,
    /// Its value as the file would have it. `None`: it is not set.
    pub value: Option<Value>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Writes settings as a configuration file, with a comment for the origin of each value. Secrets are left out.
pub fn write(settings: &[EffectiveSetting]) -> String {
    write_tables(settings, |table| format!("[{table}]"))
}

/// Writes the settings of a site behind those of all.
pub fn write_site(settings: &[EffectiveSetting]) -> String {
    let text = write_tables(settings, |table| format!("[{SITE}.{table}]"));
    format!("\n[[{SITE}]]\n{text}")
}

fn write_tables(settings: &[EffectiveSetting], heading: impl Fn(&str) -> String) -> String {
    let mut tables: Vec<Option<&str>> = vec![None];
    for setting in settings {
        let table = setting.key.table.as_deref();
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    let line = |setting: &EffectiveSetting| match &setting.value {
        Some(value) if is_secret(&setting.key, value) => {
            (format!("# {} = …", setting.key.name), setting.origin.to_string())
        }
        Some(value) => (format!("{} = {value}", setting.key.name), setting.origin.to_string()),
        None => (format!("# {} =", setting.key.name), "not set".to_owned()),
    };
    let widths = settings.iter().map(|setting| line(setting).0.chars().count());
    let width = widths.max().unwrap_or_default().min(REMARK_COLUMN);
    let mut text = String::new();
    for table in tables {
        if let Some(table) = table {
            text.push_str(&format!("\n{}\n", heading(table)));
        }
        for setting in settings.iter().filter(|setting| setting.key.table.as_deref() == table) {
            let (setting, remark) = line(setting);
            text.push_str(&format!("{setting:<width$}  # {remark}\n"));
        }
    }
    text
}

/// Whether a value lets its reader in, or helps to guess what does: such a value is left out.
fn is_secret(key: &Key, value: &Value) -> bool {
    match (key.table.as_deref(), key.name.as_str()) {
        (Some("rules"), "maintenance-cookie") => true,
        // The hashes of users that stand in the rule itself.
        (Some("rules"), "basic-auth") => value.to_string().contains("$pbkdf2"),
        _ => false,
    }
}

/// The value of a setting as the file would have it.
pub(super) fn value(matches: &ArgMatches, setting: &Arg) -> Option<Value> {
    let id = setting.get_id().as_str();
    if is_switch(setting) {
        return Some(Value::Boolean(matches.get_flag(id) != is_switch_off(setting)));
    }
    let values = matches.get_raw(id)?;
    let mut values = values.map(|value| {
        let text = value.to_string_lossy();
        match text.parse() {
            Ok(number) if is_number(setting) => Value::Integer(number),
            _ => Value::String(text.into_owned()),
        }
    });
    match setting.get_action() {
        ArgAction::Append => Some(Value::Array(values.collect())),
        _ => values.next(),
    }
}

/// Whether a setting is a number, and not a text that may look like one.
fn is_number(setting: &Arg) -> bool {
    let parsed = setting.get_value_parser().type_id();
    [
        TypeId::of::<u16>(),
        TypeId::of::<NonZeroU16>(),
        TypeId::of::<u32>(),
        TypeId::of::<NonZeroU32>(),
        TypeId::of::<NonZeroUsize>(),
        TypeId::of::<RateLimit>(),
    ]
    .into_iter()
    .any(|number| parsed == number)
}

#[cfg(test)]
mod tests {
    use super::{EffectiveSetting, Key, Origin, Value, write};

    #[test]
    fn secrets_are_left_out() {
        let setting = |name: &str, value: Value| EffectiveSetting {
            key: Key { table: Some("rules".to_owned()), name: name.to_owned() },
            value: Some(value),
            origin: Origin::CommandLine,
        };
        let users = "{ users = [\"bob:$pbkdf2-sha256$i=1$c2FsdA$S3CRET\"] }";
        let text = write(&[
            setting("maintenance-cookie", Value::from("preview=S3CRET")),
            setting("basic-auth", Value::from(vec![users])),
        ]);
        assert!(!text.contains("S3CRET") && text.contains("maintenance-cookie = …"), "{text}");
        assert_eq!(
            text.parse::<toml::Table>().expect("TOML")["rules"],
            Value::from(toml::Table::new())
        );
        let text = write(&[setting("basic-auth", Value::from(vec!["/a/*=passwords"]))]);
        assert!(text.contains("/a/*=passwords"), "{text}");
    }
}
