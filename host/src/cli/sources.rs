//! Where settings come from: the command line, before the environment, before the
//! configuration file, before the defaults.
//!
//! What the environment and the file say is put before what was typed, as flags, where
//! nothing was typed; so each value is read and refused in one place, by its flag.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

use super::Arguments;
use crate::named_file;
use crate::text::{escaped, one_line};

/// What the names of environment variables begin with.
const PREFIX: &str = "INNKEEPER_";

/// Parts several values of one environment variable. None of them has it in it: they
/// are addresses, paths and what Cache-Control says.
const SEPARATOR: char = ';';

/// Bytes of a configuration file.
const FILE_BYTES: u64 = 1 << 20;

/// Flags that are no settings.
const NO_SETTINGS: [&str; 4] = ["help", "version", "config", "print_config"];

/// Names that are not quite right, but near: less than this they have nothing in common
/// (Jaro-Winkler similarity, from 0 to 1). What clap takes for flags.
const SIMILAR: f64 = 0.7;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was typed.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// This configuration file.
    File(PathBuf),
    /// Nobody said anything.
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

/// A setting that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveSetting {
    /// Its name in the configuration file.
    pub name: String,
    /// Its value as the file would have it. `None` if there is none.
    pub value: Option<Value>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Why settings cannot be read.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line is wrong, or asks for help.
    Cli(clap::Error),
    /// The environment or the file is wrong. A sentence.
    Source(String),
}

/// Reads what was typed, the environment, and the file that one of them names.
pub fn read(
    typed: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<(Arguments, Vec<EffectiveSetting>), ConfigError> {
    let command = Arguments::command();
    let all_matches = command.clone().try_get_matches_from(typed).map_err(ConfigError::Cli)?;
    let arguments = |matches: &ArgMatches| {
        Arguments::from_arg_matches(matches)
            .map_err(|error| ConfigError::Cli(error.format(&mut command.clone())))
    };
    // What stands before the flags, and whose flags they are.
    let program = typed.first().cloned().unwrap_or_else(|| "innkeeper".into());
    let (begin, serving, matches) = match all_matches.subcommand() {
        None => (vec![program], &command, &all_matches),
        Some((name @ "dev", matches)) => {
            let dev = command.find_subcommand(name).expect("it was found in what was typed");
            (vec![program, name.into()], dev, matches)
        }
        Some(_) => return Ok((arguments(&all_matches)?, Vec::new())),
    };
    // What is empty was switched off by who could not unset it.
    let environment =
        |setting: &str| environment(&variable(setting)).filter(|value| !value.is_empty());
    let named = matches.get_one::<PathBuf>("config").cloned();
    let file = match named.or_else(|| environment("config").map(PathBuf::from)) {
        None => None,
        Some(path) => Some((read_file(&path, serving).map_err(ConfigError::Source)?, path)),
    };
    let mut all = begin.clone();
    let mut origins = Vec::new();
    for setting in settings(serving) {
        let id = setting.get_id().as_str();
        let (given, origin) = if matches.value_source(id) == Some(ValueSource::CommandLine) {
            (Vec::new(), Origin::CommandLine)
        } else if let Some(value) = environment(id) {
            (from_environment(setting, &value), Origin::Environment(variable(id)))
        } else if let Some((table, path)) = &file
            && let Some(value) = table.get(&key(setting))
        {
            (from_file(setting, value), Origin::File(path.clone()))
        } else {
            (Vec::new(), Origin::Default)
        };
        let flags = given
            .into_iter()
            .filter_map(|value| flag(&command, setting, value).transpose())
            .collect::<Result<Vec<_>, _>>()
            .and_then(|flags| try_out(&command, &begin, &flags).map(|()| flags))
            .map_err(|problem| ConfigError::Source(blame(&origin, setting, &problem)))?;
        all.extend(flags);
        origins.push(origin);
    }
    all.extend(typed.iter().skip(begin.len()).cloned());
    let all_matches = command.clone().try_get_matches_from(all).map_err(ConfigError::Cli)?;
    let matches = match all_matches.subcommand() {
        Some((_, matches)) if begin.len() > 1 => matches,
        _ => &all_matches,
    };
    let effective = settings(serving)
        .zip(origins)
        .map(|(setting, origin)| EffectiveSetting {
            name: key(setting),
            value: effective_value(matches, setting),
            origin,
        })
        .collect();
    Ok((arguments(&all_matches)?, effective))
}

fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !NO_SETTINGS.contains(&arg.get_id().as_str()))
}

/// The name of a setting in the configuration file.
fn key(setting: &Arg) -> String {
    setting.get_long().unwrap_or(setting.get_id().as_str()).to_owned()
}

fn variable(id: &str) -> String {
    PREFIX.to_owned() + &id.to_ascii_uppercase()
}

/// Whether a setting may have any number of values, also none.
fn may_be_none(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::Append) && setting.get_default_values().is_empty()
}

/// Whether a setting is a number, and not a text that may look like one.
fn is_number(setting: &Arg) -> bool {
    let parsed = setting.get_value_parser().type_id();
    [TypeId::of::<u32>(), TypeId::of::<NonZeroU32>(), TypeId::of::<NonZeroUsize>()]
        .into_iter()
        .any(|number| parsed == number)
}

fn is_switch(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::SetTrue)
}

/// Reads the configuration file. The error is a sentence that names it.
fn read_file(path: &Path, command: &Command) -> Result<Table, String> {
    let shown = path.display();
    let text = named_file::read_text(path, FILE_BYTES)
        .map_err(|error| format!("cannot read the settings in {shown}: {error}"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let (line, why) = (before.matches('\n').count() + 1, one_line(error.message()));
        format!("{shown} is no TOML: line {line}: {why}")
    })?;
    for name in table.keys() {
        if settings(command).any(|setting| key(setting) == *name) {
            continue;
        }
        let nearest = settings(command)
            .map(|setting| (strsim::jaro_winkler(&key(setting), name), key(setting)))
            .filter(|(similarity, _)| *similarity > SIMILAR)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        let advice = match nearest {
            Some((_, nearest)) => format!("did you mean `{nearest}`?"),
            None => "`innkeeper --help` tells all of them, without their dashes".to_owned(),
        };
        return Err(format!("{shown}: there is no setting `{name}`; {advice}"));
    }
    Ok(table)
}

/// What one source says of a setting: single values, of which a switch has one.
fn from_environment(setting: &Arg, value: &OsStr) -> Vec<Result<OsString, String>> {
    match (setting.get_action(), value.to_str()) {
        (ArgAction::Append, Some(values)) => {
            values.split(SEPARATOR).map(|value| Ok(value.trim().into())).collect()
        }
        _ => vec![Ok(value.to_owned())],
    }
}

fn from_file(setting: &Arg, value: &Value) -> Vec<Result<OsString, String>> {
    let single = |value: &Value| match value {
        Value::String(text) => Ok(text.into()),
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Boolean(truth) => Ok(truth.to_string().into()),
        other => Err(format!("a {} is not understood here", other.type_str())),
    };
    match value {
        // Without any the default would count, which the file seems to switch off.
        Value::Array(values) if values.is_empty() && !may_be_none(setting) => {
            vec![Err("the list is empty; leave the setting out for its default".to_owned())]
        }
        Value::Array(values) => values.iter().map(single).collect(),
        value => vec![single(value)],
    }
}

/// A value as if it had been typed. A switch that is off is not typed at all.
fn flag(
    command: &Command,
    setting: &Arg,
    value: Result<OsString, String>,
) -> Result<Option<OsString>, String> {
    let value = value?;
    let Some(long) = setting.get_long() else {
        // A path that looks like a flag or a command is none.
        let is_dashed = value.as_encoded_bytes().starts_with(b"-");
        let is_command = value == "help" || command.find_subcommand(&value).is_some();
        let path = if is_dashed || is_command { Path::new(".").join(value).into() } else { value };
        return Ok(Some(path));
    };
    let mut flag = OsString::from(format!("--{long}"));
    if is_switch(setting) {
        return match value.to_str() {
            Some("true" | "1") => Ok(Some(flag)),
            Some("false" | "0") => Ok(None),
            _ => Err("write true or false".to_owned()),
        };
    }
    flag.push("=");
    flag.push(value);
    Ok(Some(flag))
}

/// Reads these flags alone, so that the source of what is wrong can be named.
fn try_out(command: &Command, begin: &[OsString], flags: &[OsString]) -> Result<(), String> {
    let all = [begin, flags].concat();
    let tried = command.clone().try_get_matches_from(all);
    tried.map(drop).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        match text.lines().map(str::trim).find(|line| line.starts_with("[possible values")) {
            Some(values) => format!("{first} {values}"),
            None => first.to_owned(),
        }
    })
}

fn blame(origin: &Origin, setting: &Arg, problem: &str) -> String {
    match origin {
        Origin::Environment(name) => format!("{name}: {problem}"),
        Origin::File(path) => format!("{}: {}: {problem}", path.display(), key(setting)),
        Origin::CommandLine | Origin::Default => problem.to_owned(),
    }
}

fn effective_value(matches: &ArgMatches, setting: &Arg) -> Option<Value> {
    let id = setting.get_id().as_str();
    if is_switch(setting) {
        return Some(Value::Boolean(matches.get_flag(id)));
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

/// Writes what is in force as a configuration file, and where each value comes from.
pub fn write(effective: &[EffectiveSetting]) -> String {
    let lines = effective.iter().map(|EffectiveSetting { name, value, origin }| match value {
        Some(value) => (format!("{name} = {value}"), origin.to_string()),
        None => (format!("# {name} ="), "not set".to_owned()),
    });
    let lines: Vec<_> = lines.collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    // One long value must not push all remarks off the screen.
    let width = width.min(REMARK_COLUMN);
    lines.iter().map(|(line, remark)| format!("{line:<width$}  # {remark}\n")).collect()
}

/// Where remarks begin at the latest, in characters.
const REMARK_COLUMN: usize = 44;

#[cfg(test)]
mod tests {
    use super::{ConfigError, EffectiveSetting, Origin, read, write};
    use crate::cli::Arguments;
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::fs;

    struct Sources {
        file: Option<tempfile::NamedTempFile>,
        environment: BTreeMap<&'static str, &'static str>,
    }

    impl Sources {
        fn new(file: Option<&str>, environment: &[(&'static str, &'static str)]) -> Sources {
            let file = file.map(|text| {
                let file = tempfile::NamedTempFile::new().expect("a file");
                fs::write(&file, text).expect("written");
                file
            });
            Sources { file, environment: environment.iter().copied().collect() }
        }

        fn read(&self, typed: &[&str]) -> Result<(Arguments, Vec<EffectiveSetting>), String> {
            let mut all: Vec<OsString> = vec!["innkeeper".into()];
            all.extend(typed.iter().map(Into::into));
            if let Some(file) = &self.file {
                all.extend(["--config".into(), file.path().into()]);
            }
            let environment = |name: &str| self.environment.get(name).map(OsString::from);
            read(&all, environment).map_err(|fault| match fault {
                ConfigError::Cli(error) => error.to_string(),
                ConfigError::Source(problem) => problem,
            })
        }
    }

    #[test]
    fn the_command_line_comes_before_the_environment_before_the_file_before_the_default() {
        let file = "workers = 1\nlisten = ['[::1]:1', '[::1]:2']\nfile-cache-valid = '0s'\nno-watch = true";
        let environment = [
            ("INNKEEPER_WORKERS", "2"),
            ("INNKEEPER_LISTEN", "127.0.0.2:1; 127.0.0.2:2"),
            ("INNKEEPER_GUEST", ""),
        ];
        let sources = Sources::new(Some(file), &environment);
        let (arguments, effective) = sources.read(&["--workers", "3"]).expect("settings");
        let settings = arguments.serve;
        assert_eq!(settings.workers.map(usize::from), Some(3));
        assert_eq!(settings.listen.len(), 2);
        assert!(settings.listen.iter().all(|address| address.is_ipv4()));
        assert!(settings.site.file_cache_valid.is_zero() && settings.no_watch);
        assert_eq!((settings.guest, settings.root.to_str()), (None, Some("html")));
        let origin = |name: &str| {
            let setting = effective.iter().find(|setting| setting.name == name);
            setting.map(|setting| setting.origin.clone()).expect("a setting")
        };
        let path = sources.file.as_ref().expect("a file").path();
        assert_eq!(origin("workers"), Origin::CommandLine);
        assert_eq!(origin("listen"), Origin::Environment("INNKEEPER_LISTEN".to_owned()));
        assert_eq!(origin("file-cache-valid"), Origin::File(path.to_owned()));
        assert_eq!(origin("root"), Origin::Default);
    }

    #[test]
    fn a_root_with_the_name_of_a_command_is_a_folder() {
        for name in ["man", "dev", "help"] {
            let sources = Sources::new(None, &[("INNKEEPER_ROOT", name)]);
            let (arguments, _) = sources.read(&[]).expect("settings");
            assert!(arguments.command.is_none(), "{name}");
            assert_eq!(arguments.serve.root, std::path::Path::new(".").join(name));
        }
    }

    #[test]
    fn what_is_in_force_is_written_as_a_file_that_says_the_same() {
        let sources =
            Sources::new(None, &[("INNKEEPER_ROOT", "-site"), ("INNKEEPER_VERBOSE", "1")]);
        let typed = ["--cache-control", "*.css=max-age=60, public", "--workers", "2"];
        let (_, effective) = sources.read(&typed).expect("settings");
        let written = write(&effective);
        assert!(written.contains("root = \"./-site\""), "{written}");
        assert!(written.contains("# environment: INNKEEPER_ROOT"), "{written}");
        assert!(written.contains("# guest =") && written.contains("# not set"), "{written}");
        let again = Sources::new(Some(&written), &[]);
        let (_, again) = again.read(&[]).expect("settings");
        let values = |effective: &[EffectiveSetting]| {
            let values =
                effective.iter().map(|setting| (setting.name.clone(), setting.value.clone()));
            values.collect::<Vec<_>>()
        };
        assert_eq!(values(&effective), values(&again));
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text() {
        for root in
            ["007", "7", "0x10", "1e3", "true", "2026-01-01", "-1", "1_000", "inf", "\u{1b}"]
        {
            let sources = Sources::new(None, &[("INNKEEPER_ROOT", root)]);
            let typed = ["--workers", "07", "--rate-limit", "5", "--decision-cache-size", "0"];
            let (before, effective) = sources.read(&typed).expect("settings");
            let written = write(&effective);
            assert!(written.contains("\nworkers = 7 ") && !written.contains('\u{1b}'), "{written}");
            assert!(written.contains("rate-limit = 5 "), "{written}");
            let (again, _) = Sources::new(Some(&written), &[]).read(&[]).expect("settings");
            assert_eq!(again.serve.root, before.serve.root, "{written}");
        }
    }

    #[test]
    fn empty_list_is_said_to_be_empty_where_a_default_would_count() {
        for text in ["listen = []", "root = []", "workers = []", "verbose = []", "access-log = []"]
        {
            let error = Sources::new(Some(text), &[]).read(&[]).expect_err(text);
            assert!(error.contains("the list is empty"), "{text}: {error}");
        }
        Sources::new(Some("cases = []\nallow-read = []"), &[]).read(&[]).expect("settings");
    }

    #[test]
    fn what_is_wrong_is_blamed_on_its_source() {
        let check = |file: Option<&str>, environment: &[_], parts: &[&str]| {
            let sources = Sources::new(file, environment);
            let error = sources.read(&[]).expect_err("wrong settings");
            for part in parts {
                assert!(error.contains(part), "{error}");
            }
        };
        let file = |text, parts: &[&str]| check(Some(text), &[], parts);
        file(
            "acces-log = 'off'",
            &["there is no setting `acces-log`", "did you mean `access-log`?"],
        );
        file("config = 'a'", &["there is no setting `config`"]);
        file("zzz = 1", &["`innkeeper --help` tells all of them"]);
        file("workers = 0", &["workers: ", "write a number from 1"]);
        file("workers = [1, 2]", &["workers: ", "multiple times"]);
        file("workers = 1.5", &["workers: ", "a float is not understood here"]);
        file("verbose = 'yes'", &["verbose: write true or false"]);
        file("\nworkers =", &["is no TOML: line 2: "]);
        check(None, &[("INNKEEPER_WORKERS", "x")], &["INNKEEPER_WORKERS: ", "write a number"]);
        check(None, &[("INNKEEPER_ACCESS_LOG", "x")], &["INNKEEPER_ACCESS_LOG: ", "combined"]);
        check(None, &[("INNKEEPER_CONFIG", "/no/such.toml")], &["cannot read", "/no/such.toml"]);
    }
}
