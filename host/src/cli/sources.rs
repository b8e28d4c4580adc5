//! Where settings come from: the command line, the environment, the configuration file, defaults.
//!
//! Values of the environment and the file are put before what was typed, as flags, where
//! nothing was typed; so each value is read and refused in one place, by its flag.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};

use super::arguments::Arguments;
use super::configured::{Given, has_configuration, settings_of};
use super::domain;
use super::effective::{self, EffectiveSetting, Origin};
use super::environment::{self, Environment};
use super::error::{ConfigError, Mistake};
use super::file::{self, ConfigFile};
use super::key::{Part, key, variable};
use super::modifiers;
use super::outside::Outside;
use super::root::{self, RootChoice};
use super::settings::rules::RuleOrigin;
use super::sites::{self, EffectiveSite};
use super::stray;
use super::typed::{as_typed, retyped, try_alone};

/// What the command line, the environment and the file say.
#[derive(Debug)]
pub struct Configuration {
    /// The sites in the file, where a server is to be started.
    pub sites: Vec<EffectiveSite>,
    /// What to do, with values for all settings.
    pub arguments: Arguments,
    /// The settings of a server, where one is to be started.
    pub effective: Vec<EffectiveSetting>,
}

impl Configuration {
    /// The settings of the process that were otherwise before: they apply from the next start on.
    pub fn differing(&self, before: &[EffectiveSetting]) -> Vec<String> {
        let of_site = sites::of_site_keys();
        let pairs = self.effective.iter().zip(before);
        let differing =
            pairs.filter(|(own, before)| own.value != before.value && !of_site.contains(&own.key));
        differing.map(|(own, _)| own.key.to_string()).collect()
    }

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
    if let Some(means) = domain::expand(typed, &all_matches) {
        return read(&means, environment);
    }
    let arguments = |matches: &ArgMatches| {
        Arguments::from_arg_matches(matches).map_err(|error| error.format(&mut command.clone()))
    };
    let dev = command.find_subcommand("dev").expect("there is a command of that name");
    // What stands before the flags, and whose flags they are.
    let program = typed.first().cloned().unwrap_or_else(|| "innkeeper".into());
    let serves = matches!(all_matches.subcommand_name(), None | Some("dev" | "acme"));
    let named = all_matches.subcommand();
    let named = named.map(|(name, matches)| (name, command.find_subcommand(name), matches));
    let (begin, own, matches) = match named {
        None => (vec![program.clone()], &command, &all_matches),
        Some((name, Some(own), matches)) if has_configuration(own) => {
            (vec![program.clone(), name.into()], own, matches)
        }
        Some(_) => {
            let (effective, sites) = (Vec::new(), Vec::new());
            return Ok(Configuration { arguments: arguments(&all_matches)?, effective, sites });
        }
    };
    let named = matches.get_one::<PathBuf>("config").cloned();
    let file = named.or_else(|| environment.config().map(PathBuf::from));
    let file = file.map(ConfigFile::read).transpose();
    let file = file.map_err(|problem| ConfigError::Source(vec![problem]))?;
    // One file is for all: `dev` has all settings of a server, and some more.
    let mut problems = environment.unknown(dev);
    problems.extend(file.iter().flat_map(|file| file.unknown(dev)));
    problems.extend(file.iter().flat_map(|file| sites::misplaced(file, dev)));
    let part = match (&file, serves) {
        (Some(file), false) => match site_of(file, matches) {
            Ok(part) => part,
            Err(mut mistakes) => {
                problems.append(&mut mistakes);
                None
            }
        },
        (None, false) if matches.try_get_one::<String>("site").ok().flatten().is_some() => {
            problems.push("--site is one of a file with sites: name the file with --config".into());
            None
        }
        _ => None,
    };
    let are_sites = file.as_ref().is_some_and(|file| file.sites() > 0);
    let has_sites = serves && are_sites;
    let of_site = sites::of_site();
    let mut outside = Outside::default();
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
            of_sources(setting, environment, file.as_ref(), part)
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
            Ok(flags) => {
                if has_sites
                    && of_site.contains(setting.get_id().as_str())
                    && origin != Origin::Default
                {
                    let flags = match is_typed {
                        true => retyped(&command, matches, argument),
                        false => flags.clone(),
                    };
                    outside.flags.push((setting.get_id().to_string(), flags, origin.clone()));
                }
                all.extend(flags);
            }
            Err(problem) => problems.push(blame(&origin, setting, problem)),
        }
        origins.push((setting, origin));
    }
    // With sites each one is looked at.
    let outside_sites: Vec<_> = origins
        .iter()
        .filter(|(setting, _)| !(are_sites && of_site.contains(setting.get_id().as_str())))
        .cloned()
        .collect();
    problems.extend(modifiers::unused(&outside_sites));
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
    let found = (serves && !is_named && !has_sites).then(root::find);
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
    if let Some(file) = &file {
        // Also where the environment names it.
        arguments.settings_mut().config.get_or_insert_with(|| file.path().to_owned());
    }
    let rules_from = rule_origins(&effective, file.as_ref(), part);
    if let Some(rules) = arguments.rules_mut() {
        rules.origins.clone_from(&rules_from);
    }
    let mut effective_sites = Vec::new();
    if let (true, Some(file)) = (has_sites, &file) {
        outside.rules = rules_from;
        let sites = sites::read(file, &outside).map_err(ConfigError::Source)?;
        let settings = arguments.settings_mut();
        (settings.sites, effective_sites) = sites.into_iter().unzip();
        let is_set = |name: &str| {
            let is_it = |setting: &&EffectiveSetting| setting.key.to_string() == name;
            effective.iter().find(is_it).is_some_and(|setting| setting.origin != Origin::Default)
        };
        // As with a certificate outside: the default address speaks TLS.
        if settings.has_certificate() && !is_set("listen") {
            settings.listen.clear();
            effective
                .iter_mut()
                .filter(|setting| setting.key.to_string() == "listen")
                .for_each(|setting| setting.value = None);
        }
    }
    Ok(Configuration { arguments, effective, sites: effective_sites })
}

/// What the environment, or else the file, says of a setting.
fn of_sources(
    setting: &Arg,
    environment: &Environment,
    file: Option<&ConfigFile>,
    site: Option<Part>,
) -> (Vec<Result<OsString, Mistake>>, Origin) {
    let stated = |part| file.and_then(|file| Some((file, file.get(part, &key(setting))?)));
    let of_file = |(file, value): (&ConfigFile, &toml::Value)| {
        (file::values(setting, value), Origin::File(file.path().to_owned()))
    };
    // What a site says of itself comes before what is said for all.
    if let Some(stated) = site.and_then(stated) {
        return of_file(stated);
    }
    let variable = variable(setting);
    if let Some(value) = environment.get(&variable) {
        return (environment::values(setting, value), Origin::Environment(variable));
    }
    stated(Part::Outside).map_or_else(|| (Vec::new(), Origin::Default), of_file)
}

/// The site that a command is about: the one that is named, or that has the host of the request.
fn site_of(file: &ConfigFile, matches: &ArgMatches) -> Result<Option<Part>, Vec<Mistake>> {
    let value = |id: &str| matches.try_get_one::<String>(id).ok().flatten();
    if let Some(name) = value("site") {
        return sites::named(file, Some(name));
    }
    let Some(line) = value("line") else { return sites::named(file, None) };
    let fields = matches.try_get_many::<(String, String)>("fields").ok().flatten();
    let fields: Vec<_> = fields.into_iter().flatten().cloned().collect();
    sites::of_host(file, &super::request_line::host(line, &fields))
}

/// Where the values in `[rules]` come from.
fn rule_origins(
    effective: &[EffectiveSetting],
    file: Option<&ConfigFile>,
    site: Option<Part>,
) -> Vec<RuleOrigin> {
    let of_rules = effective.iter().filter(|setting| setting.key.table.as_deref() == Some("rules"));
    let origin = |setting: &EffectiveSetting| {
        let (source, lines) = match &setting.origin {
            // Those are named after their flags.
            Origin::CommandLine => return None,
            Origin::Environment(name) => (name.clone(), Vec::new()),
            Origin::File(path) => {
                let own = site.and_then(|part| Some(file?.lines(part, &setting.key)));
                let own = own.filter(|lines| !lines.is_empty());
                let outside = || Some(file?.lines(Part::Outside, &setting.key));
                let lines = own.or_else(outside).unwrap_or_default();
                (path.display().to_string(), lines.to_vec())
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
