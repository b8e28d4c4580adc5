//! Where settings come from: the command line, the environment, the configuration file, defaults.
//!
//! Values of the environment and the file are put before what was typed, as flags, where
//! nothing was typed; so each value is read and refused in one place, by its flag.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::arguments::Arguments;
use super::configured::{Given, has_configuration, settings_of};
use super::effective::{self, EffectiveSetting, Origin};
use super::environment::{self, Environment};
use super::error::{ConfigError, Mistake, reason};
use super::file::{self, ConfigFile};
use super::key::{is_switch, is_switch_off, key, variable};
use super::modifiers;
use super::root::{self, RootChoice};
use super::settings::rules::RuleOrigin;
use super::stray;

/// What the command line, the environment and the file say.
#[derive(Debug)]
pub struct Configuration {
    /// What to do, with values for all settings.
    pub arguments: Arguments,
    /// The settings of a server, where one is to be started.
    pub effective: Vec<EffectiveSetting>,
}

impl Configuration {
    /// Reads the command line, the environment and the configuration file of this process.
    pub fn of_process() -> Result<Configuration, ConfigError> {
        let typed: Vec<_> = std::env::args_os().collect();
        read(&typed, &Environment::of_process())
    }
}

/// Reads the command line, the environment, and the file that one of them names.
pub fn read(typed: &[OsString], environment: &Environment) -> Result<Configuration, ConfigError> {
    let command = Arguments::command();
    if let Some(problem) = stray::no_command(typed) {
        return Err(ConfigError::Source(vec![problem.into()]));
    }
    let matches = command.clone().try_get_matches_from(typed);
    let all_matches = matches.map_err(|error| stray::explain(&command, typed, error))?;
    let arguments = |matches: &ArgMatches| {
        Arguments::from_arg_matches(matches).map_err(|error| error.format(&mut command.clone()))
    };
    let dev = command.find_subcommand("dev").expect("there is a command of that name");
    // What stands before the flags, and whose flags they are.
    let program = typed.first().cloned().unwrap_or_else(|| "innkeeper".into());
    let serves = matches!(all_matches.subcommand_name(), None | Some("dev"));
    let named = all_matches.subcommand();
    let named = named.map(|(name, matches)| (name, command.find_subcommand(name), matches));
    let (begin, own, matches) = match named {
        None => (vec![program.clone()], &command, &all_matches),
        Some((name, Some(own), matches)) if has_configuration(own) => {
            (vec![program.clone(), name.into()], own, matches)
        }
        Some(_) => {
            let effective = Vec::new();
            return Ok(Configuration { arguments: arguments(&all_matches)?, effective });
        }
    };
    let named = matches.get_one::<PathBuf>("config").cloned();
    let file = named.or_else(|| environment.config().map(PathBuf::from));
    let file = file.map(ConfigFile::read).transpose();
    let file = file.map_err(|problem| ConfigError::Source(vec![problem]))?;
    // One file is for all: `dev` has all settings of a server, and some more.
    let mut problems = environment.unknown(dev);
    problems.extend(file.iter().flat_map(|file| file.unknown(dev)));
    let mut all = begin.clone();
    let (mut origins, mut given) = (Vec::new(), Given::default());
    for (argument, setting) in settings_of(own, dev) {
        // Which files were typed, the command knows.
        let is_file = argument.get_long().is_none() && setting.get_long().is_some();
        let source = matches.value_source(argument.get_id().as_str());
        let is_typed = !is_file && source == Some(ValueSource::CommandLine);
        let (values, origin) = if is_typed {
            (Vec::new(), Origin::CommandLine)
        } else {
            of_sources(setting, environment, file.as_ref())
        };
        let values = values.into_iter().collect::<Result<Vec<_>, _>>();
        let flags = values.and_then(|values| {
            let typed = |argument| {
                let typed = values.iter().map(|value| as_typed(&command, argument, value));
                typed.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
            };
            if !values.is_empty() {
                try_alone(&command, &[program.clone(), "dev".into()], &typed(setting)?)?;
            }
            if is_file {
                given.add(setting.get_id().as_str(), &values);
                return Ok(Vec::new());
            }
            typed(argument)
        });
        match flags {
            Ok(flags) => all.extend(flags),
            Err(problem) => problems.push(blame(&origin, setting, problem)),
        }
        origins.push((setting, origin));
    }
    problems.extend(modifiers::unused(&origins));
    if !problems.is_empty() {
        return Err(ConfigError::Source(problems));
    }
    all.extend(typed.iter().skip(begin.len()).cloned());
    let all_matches = command.clone().try_get_matches_from(all)?;
    let matches = match all_matches.subcommand() {
        Some((_, matches)) if begin.len() > 1 => matches,
        _ => &all_matches,
    };
    let mut of_root = origins.iter().filter(|(setting, _)| setting.get_id() == "root");
    let is_named = of_root.any(|(_, origin)| *origin != Origin::Default);
    let found = (serves && !is_named).then(root::find);
    let mut effective: Vec<_> = origins
        .into_iter()
        .map(|(setting, origin)| EffectiveSetting {
            key: key(setting),
            value: effective::value(matches, setting),
            origin,
        })
        .collect();
    let mut arguments = arguments(&all_matches)?;
    if let Some(root) = found {
        let is_root = |setting: &&mut EffectiveSetting| setting.key.to_string() == "root";
        if let Some(setting) = effective.iter_mut().find(is_root) {
            setting.value = Some(root.to_string_lossy().into_owned().into());
        }
        let settings = arguments.settings_mut();
        (settings.site.root, settings.site.root_choice) = (root, RootChoice::Found);
    }
    arguments.configure(given);
    if let Some(rules) = arguments.rules_mut() {
        rules.origins = rule_origins(&effective, file.as_ref());
    }
    Ok(Configuration { arguments, effective })
}

/// What the environment, or else the file, says of a setting.
fn of_sources(
    setting: &Arg,
    environment: &Environment,
    file: Option<&ConfigFile>,
) -> (Vec<Result<OsString, Mistake>>, Origin) {
    let variable = variable(setting);
    if let Some(value) = environment.get(&variable) {
        return (environment::values(setting, value), Origin::Environment(variable));
    }
    match file.and_then(|file| Some((file, file.get(&key(setting))?))) {
        Some((file, value)) => (file::values(setting, value), Origin::File(file.path().to_owned())),
        None => (Vec::new(), Origin::Default),
    }
}

/// A value as if it had been typed. A switch that has its default is not typed at all.
fn as_typed(
    command: &Command,
    setting: &Arg,
    value: &OsString,
) -> Result<Option<OsString>, Mistake> {
    let Some(long) = setting.get_long() else {
        // A path that looks like a flag or a command is none.
        let value = value.clone();
        let is_dashed = value.as_encoded_bytes().starts_with(b"-");
        let is_command = value == "help" || command.find_subcommand(&value).is_some();
        let path = if is_dashed || is_command { Path::new(".").join(value).into() } else { value };
        return Ok(Some(path));
    };
    let mut flag = OsString::from(format!("--{long}"));
    if is_switch(setting) {
        let is_on = match value.to_str() {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => return Err("write true or false".into()),
        };
        return Ok((is_on != is_switch_off(setting)).then_some(flag));
    }
    flag.push("=");
    flag.push(value);
    Ok(Some(flag))
}

/// Reads these flags alone, so that the source of a mistake can be named.
fn try_alone(command: &Command, begin: &[OsString], flags: &[OsString]) -> Result<(), Mistake> {
    let all = [begin, flags].concat();
    command.clone().try_get_matches_from(all).map(drop).map_err(|error| reason(&error))
}

/// Where the values in `[rules]` come from.
fn rule_origins(effective: &[EffectiveSetting], file: Option<&ConfigFile>) -> Vec<RuleOrigin> {
    let of_rules = effective.iter().filter(|setting| setting.key.table.as_deref() == Some("rules"));
    let origin = |setting: &EffectiveSetting| {
        let (source, lines) = match &setting.origin {
            // Those are named after their flags.
            Origin::CommandLine => return None,
            Origin::Environment(name) => (name.clone(), Vec::new()),
            Origin::File(path) => {
                let lines = file.map(|file| file.lines(&setting.key)).unwrap_or_default();
                (path.display().to_string(), lines)
            }
            Origin::Default => return None,
        };
        Some(RuleOrigin { key: setting.key.name.clone(), source, lines })
    };
    of_rules.filter_map(origin).collect()
}

fn blame(origin: &Origin, setting: &Arg, mistake: Mistake) -> Mistake {
    match origin {
        Origin::Environment(name) => format!("{name}: {mistake}").into(),
        Origin::File(path) => format!("{}: {}: {mistake}", path.display(), key(setting)).into(),
        Origin::CommandLine | Origin::Default => mistake,
    }
}

#[cfg(test)]
mod tests;
