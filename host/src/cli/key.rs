//! The names of a setting: a flag, an environment variable, and a key of the file.
//!
//! One rule makes the three:
//!
//! - A flag stands in `--help` beneath a heading, and that is its table in the file. Flags
//!   without a heading are keys before the first table.
//! - The key is the flag without the word of the table: `--log-format` is `format` in `[log]`,
//!   `--on-guest-failure` is `on-failure` in `[guest]`. A flag that has no other word is the
//!   main setting of the table: `--guest` is `file`, `--admin` is `listen`, `--acme` is `names`.
//! - The variable is the flag in capitals, behind `INNKEEPER_`: `INNKEEPER_LOG_FORMAT`.
//! - A switch `--no-x` is the setting `x`, and sets it to `false`: `compress = false`,
//!   `INNKEEPER_COMPRESS=false`. `--no-sandbox` is `enabled` in `[sandbox]`, `--no-http2` in
//!   `[http2]`.

use std::fmt;

use clap::{Arg, ArgAction, Command};

/// What the names of environment variables begin with.
pub(super) const PREFIX: &str = "INNKEEPER_";

/// Flags that are no settings.
const NO_SETTINGS: [&str; 5] = ["help", "version", "config", "check", "print_config"];

/// The array of tables that has the sites.
pub(super) const SITE: &str = "site";

/// A part of the file that has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What stands in no `[[site]]`.
    Outside,
    /// One of the tables `[[site]]`, by its number.
    Site(usize),
}

/// The key of a setting in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The table it stands in. `None`: before the first one.
    pub table: Option<String>,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for Key {
    /// As in `[log] format`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "[{table}] {}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Key {
    /// Its name and its place, for a sentence.
    pub(super) fn described(&self) -> String {
        match &self.table {
            Some(table) => format!("`{}` in [{table}]", self.name),
            None => format!("`{}` before the first table", self.name),
        }
    }

    /// The same in `[[site]]`.
    pub(super) fn described_in_site(&self) -> String {
        match &self.table {
            Some(table) => format!("`{}` in [{SITE}.{table}]", self.name),
            None => format!("`{}` in [[{SITE}]]", self.name),
        }
    }
}

/// The settings among the arguments of a command.
pub(super) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !NO_SETTINGS.contains(&arg.get_id().as_str()))
}

/// The key of a setting.
pub(super) fn key(setting: &Arg) -> Key {
    let table = setting.get_help_heading().map(str::to_ascii_lowercase);
    let words: Vec<_> =
        flag(setting).split('-').filter(|word| table.as_deref() != Some(word)).collect();
    let name = match (words.is_empty(), table.as_deref()) {
        (false, _) => words.join("-"),
        (true, Some("admin")) => "listen".to_owned(),
        (true, Some("acme")) => "names".to_owned(),
        (true, Some("sandbox" | "http2")) => "enabled".to_owned(),
        (true, _) => "file".to_owned(),
    };
    Key { table, name }
}

/// The environment variable of a setting.
pub(super) fn variable(setting: &Arg) -> String {
    PREFIX.to_owned() + &flag(setting).replace('-', "_").to_ascii_uppercase()
}

/// The flag of a setting without its dashes, and without the `no-` of a switch. Of the root,
/// which has no flag, its name.
pub(super) fn flag(setting: &Arg) -> &str {
    let long = setting.get_long().unwrap_or(setting.get_id().as_str());
    if is_switch_off(setting) { long.trim_start_matches("no-") } else { long }
}

/// Whether a setting is a rule: its text may be a table, and hold what parts others.
pub(super) fn is_rule(setting: &Arg) -> bool {
    setting.get_help_heading() == Some("Rules")
}

/// Whether a setting is on or off.
pub(super) fn is_switch(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::SetTrue)
}

/// Whether a setting is on unless its flag is given.
pub(super) fn is_switch_off(setting: &Arg) -> bool {
    is_switch(setting) && setting.get_long().is_some_and(|long| long.starts_with("no-"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{flag, key, settings, variable};
    use crate::cli::Arguments;
    use clap::CommandFactory;

    #[test]
    fn each_setting_has_one_name_of_each_kind() {
        let command = Arguments::command();
        let dev = command.find_subcommand("dev").expect("a command");
        let all: Vec<_> = settings(dev).collect();
        let keys: BTreeSet<_> = all.iter().map(|setting| key(setting)).collect();
        let variables: BTreeSet<_> = all.iter().map(|setting| variable(setting)).collect();
        assert_eq!((keys.len(), variables.len()), (all.len(), all.len()));
        for (named, table, name, called) in [
            ("root", None, "root", "INNKEEPER_ROOT"),
            ("log-format", Some("log"), "format", "INNKEEPER_LOG_FORMAT"),
            ("access-log", Some("log"), "access", "INNKEEPER_ACCESS_LOG"),
            ("guest", Some("guest"), "file", "INNKEEPER_GUEST"),
            ("on-guest-failure", Some("guest"), "on-failure", "INNKEEPER_ON_GUEST_FAILURE"),
            ("watch", Some("guest"), "watch", "INNKEEPER_WATCH"),
            (
                "decision-cache-size",
                Some("cache"),
                "decision-size",
                "INNKEEPER_DECISION_CACHE_SIZE",
            ),
            ("code-cache", Some("cache"), "code", "INNKEEPER_CODE_CACHE"),
            ("trusted-proxy", Some("proxy"), "trusted", "INNKEEPER_TRUSTED_PROXY"),
            ("admin", Some("admin"), "listen", "INNKEEPER_ADMIN"),
            ("sandbox", Some("sandbox"), "enabled", "INNKEEPER_SANDBOX"),
            ("rate-limit", Some("limits"), "rate-limit", "INNKEEPER_RATE_LIMIT"),
            ("listen-tls", None, "listen-tls", "INNKEEPER_LISTEN_TLS"),
            ("tls-certificate", Some("tls"), "certificate", "INNKEEPER_TLS_CERTIFICATE"),
            ("max-tls-handshakes", Some("tls"), "max-handshakes", "INNKEEPER_MAX_TLS_HANDSHAKES"),
            ("self-signed", Some("tls"), "self-signed", "INNKEEPER_SELF_SIGNED"),
            ("http2", Some("http2"), "enabled", "INNKEEPER_HTTP2"),
            ("http2-max-streams", Some("http2"), "max-streams", "INNKEEPER_HTTP2_MAX_STREAMS"),
            ("build", Some("dev"), "build", "INNKEEPER_BUILD"),
        ] {
            let setting = all.iter().find(|setting| flag(setting) == named).expect(named);
            let key = key(setting);
            assert_eq!((key.table.as_deref(), key.name.as_str()), (table, name));
            assert_eq!(variable(setting), called);
        }
    }

    /// They would be no names of tables.
    #[test]
    fn headings_are_single_words() {
        let command = Arguments::command();
        for setting in settings(&command) {
            let heading = setting.get_help_heading().unwrap_or_default();
            assert!(heading.chars().all(|c| c.is_ascii_alphanumeric()), "{heading}");
        }
    }
}
