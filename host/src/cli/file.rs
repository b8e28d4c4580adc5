//! The configuration file: a tree of tables, each of whose keys is a setting.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};

use super::error::Mistake;
use super::key::{self, Key, Part, SITE, flag, key, settings};
use super::lines::Lines;
use crate::named_file;
use crate::text::one_line;

/// Bytes of a configuration file.
const FILE_BYTES: u64 = 1 << 20;

/// Names that are not quite right, but near: less than this they have nothing in common
/// (Jaro-Winkler similarity, from 0 to 1). What clap takes for flags.
const SIMILAR: f64 = 0.7;

/// A configuration file that was read.
pub(super) struct ConfigFile {
    path: PathBuf,
    lines: Lines,
    tree: Table,
}

impl ConfigFile {
    /// Reads the file. The error is a sentence that names it.
    pub(super) fn read(path: PathBuf) -> Result<ConfigFile, Mistake> {
        let shown = path.display();
        let text = named_file::read_text(&path, FILE_BYTES)
            .map_err(|error| format!("cannot read the configuration file {shown}: {error}"))?;
        let tree = text.parse().map_err(|error: toml::de::Error| {
            let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
            let (line, why) = (before.matches('\n').count() + 1, one_line(error.message()));
            // TOML allows no table of a site before the first site.
            let first_site = text.find("\n[[site]]").unwrap_or(text.len());
            let is_early = why.contains("duplicate key") && text[..first_site].contains("\n[site.");
            let advice = match is_early {
                true => {
                    "; a table [site.…] stands before the first [[site]]: move it beneath its site"
                }
                false => "",
            };
            format!("{shown} is not valid TOML: line {line}: {why}{advice}")
        })?;
        Ok(ConfigFile { path, lines: Lines::of(&text), tree })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of sites.
    pub(super) fn sites(&self) -> usize {
        match self.tree.get(SITE) {
            Some(Value::Array(sites)) if sites.iter().all(Value::is_table) => sites.len(),
            _ => 0,
        }
    }

    /// A part of it.
    pub(super) fn part(&self, part: Part) -> Option<&Table> {
        match part {
            Part::Outside => Some(&self.tree),
            Part::Site(number) => self.tree.get(SITE)?.as_array()?.get(number)?.as_table(),
        }
    }

    /// What a part of it says of a setting.
    pub(super) fn get(&self, part: Part, key: &Key) -> Option<&Value> {
        let tables = self.part(part)?;
        match &key.table {
            None => tables.get(&key.name).filter(|value| !is_table(value)),
            Some(table) => tables.get(table)?.as_table()?.get(&key.name),
        }
    }

    /// The lines on which the values of a setting begin.
    pub(super) fn lines(&self, part: Part, key: &Key) -> &[u32] {
        self.lines.of_values(part, key)
    }

    /// The lines of the rules in a part of it, if it has any.
    pub(super) fn rule_lines(&self, part: Part) -> Option<Vec<&[u32]>> {
        let name = "rules";
        let rules = self.part(part)?.get(name)?.as_table()?;
        let key = |rule: &String| Key { table: Some(name.to_owned()), name: rule.clone() };
        Some(rules.keys().map(|rule| self.lines(part, &key(rule))).collect())
    }

    /// Its name with the line of a setting, for a sentence.
    pub(super) fn place(&self, part: Part, key: &Key) -> String {
        let line = self.lines(part, key).first().copied().or_else(|| self.lines.of_part(part));
        let path = self.path.display();
        line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
    }

    /// A sentence for each table and key that is none of this command.
    pub(super) fn unknown(&self, command: &Command) -> Vec<Mistake> {
        let keys: Vec<_> = settings(command).map(|setting| (key(setting), flag(setting))).collect();
        let has_table = |name: &str| keys.iter().any(|(key, _)| key.table.as_deref() == Some(name));
        let mut problems = Vec::new();
        let mut check = |table: Option<&str>, name: &str| {
            let is_known = |(key, _): &(Key, _)| key.table.as_deref() == table && key.name == name;
            if !keys.iter().any(is_known) {
                problems.push(no_setting(table, name, &keys));
            }
        };
        let mut unknown_tables = Vec::new();
        for (name, value) in self.tree.iter().filter(|(name, _)| *name != SITE) {
            match value {
                Value::Table(table) if has_table(name) => {
                    table.keys().for_each(|key| check(Some(name), key));
                }
                _ if has_table(name) => unknown_tables
                    .push(format!("`{name}` is a table: write [{name}], and its settings beneath")),
                value if is_table(value) => unknown_tables.push(no_table(name, &keys)),
                _ => check(None, name),
            }
        }
        problems.extend(unknown_tables);
        let shown = self.path.display();
        problems.into_iter().map(|problem| format!("{shown}: {problem}").into()).collect()
    }
}

/// Whether it is a table, or several of the same name.
pub(super) fn is_table(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(values) => values.first().is_some_and(Value::is_table),
        _ => false,
    }
}

fn no_table(name: &str, keys: &[(Key, &str)]) -> String {
    // The heading of its settings in the help.
    if name == "server" {
        return "there is no table [server]; its settings stand at the top of the file, in no table"
            .to_owned();
    }
    if ["sites", "host", "hosts", "vhost", "virtualhost", "virtual-host"].contains(&name) {
        return format!(
            "there is no table [{name}]; write [[{SITE}]] for each site, with its hosts and its root"
        );
    }
    let mut tables: Vec<_> = keys.iter().filter_map(|(key, _)| key.table.clone()).collect();
    tables.sort();
    tables.dedup();
    let tables: Vec<_> = tables.iter().map(|table| format!("[{table}]")).collect();
    format!("there is no table [{name}]; the tables are {}", tables.join(", "))
}

fn no_setting(table: Option<&str>, name: &str, keys: &[(Key, &str)]) -> String {
    let place = table.map(|table| format!(" in [{table}]")).unwrap_or_default();
    if table.is_none() && ["hosts", "default"].contains(&name) {
        return format!("`{name}` is of one of several sites: write it beneath [[{SITE}]]");
    }
    // Keys of the same table, and flags wherever their keys are.
    let likeness = |(key, flag): &(Key, &str)| {
        let same_table = key.table.as_deref() == table;
        let by_key = strsim::jaro_winkler(&key.name, name);
        let by_flag = strsim::jaro_winkler(flag, name);
        let elsewhere = if key.name == name { 1.0 } else { 0.0 };
        if same_table { by_key.max(by_flag) } else { by_flag.max(elsewhere) }
    };
    let advice = match nearest(keys.iter().map(|known| (likeness(known), &known.0))) {
        Some(nearest) => format!("did you mean {}?", nearest.described()),
        None => "`innkeeper --print-config` shows all of them".to_owned(),
    };
    format!("there is no setting `{name}`{place}; {advice}")
}

/// The one that was meant, if one is near.
pub(super) fn nearest<T>(known: impl Iterator<Item = (f64, T)>) -> Option<T> {
    let near = known.filter(|(likeness, _)| *likeness > SIMILAR);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, nearest)| nearest)
}

/// What the file says of a setting: single values, as if they had been typed.
pub(super) fn values(setting: &Arg, value: &Value) -> Vec<Result<OsString, Mistake>> {
    let single = |value: &Value| match value {
        Value::String(text) => Ok(text.into()),
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Boolean(truth) => Ok(truth.to_string().into()),
        // A rule.
        Value::Table(_) if key::is_rule(setting) => Ok(value.to_string().into()),
        other => Err(format!("a {} is not understood here", other.type_str()).into()),
    };
    match value {
        // Without any the default would count, which the file seems to switch off.
        Value::Array(values) if values.is_empty() && !may_be_empty(setting) => {
            vec![Err("the list is empty; leave the setting out for its default".into())]
        }
        Value::Array(values) if values.len() > 1 && key::is_switch(setting) => {
            vec![Err("write true or false".into())]
        }
        Value::Array(values) => values.iter().map(single).collect(),
        value => vec![single(value)],
    }
}

/// Whether a setting may have any number of values, also none.
fn may_be_empty(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::Append) && setting.get_default_values().is_empty()
}
