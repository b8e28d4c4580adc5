//! The sites of a configuration file: each has the settings in its table `[[site]]`, and for the
//! others what is set outside: by a flag, a variable, or the file.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use toml::Value;

use super::effective::{self, EffectiveSetting, Origin};
use super::error::{Mistake, reason};
use super::file::{self, ConfigFile, is_table, nearest};
use super::foreign_key;
use super::key::{self, Key, Part, SITE, flag, key, settings};
use super::modifiers;
use super::outside::Outside;
use super::read_sites::{ReadSite, ReadSites};
use super::settings::rules::RuleOrigin;
use super::settings::site::Reading;
use super::settings::{SiteIdentity, SiteSettings};
use super::site_identity::{KEYS, identities};
use super::typed::as_typed;

/// A site, and what its table says.
#[derive(Debug)]
pub struct EffectiveSite {
    /// Whose it is.
    pub identity: SiteIdentity,
    /// The settings that its table states.
    pub settings: Vec<EffectiveSetting>,
}

impl EffectiveSite {
    /// All that its table states, or would have to for the same site.
    pub fn effective(&self) -> Vec<EffectiveSetting> {
        let SiteIdentity { name, hosts, is_default } = &self.identity;
        let origin = self.settings.first().map_or(Origin::Default, |first| first.origin.clone());
        let own = |name: &str, value: Value| EffectiveSetting {
            key: Key { table: None, name: name.to_owned() },
            value: Some(value),
            origin: origin.clone(),
        };
        // One that would be its name anyway need not pass as a given one.
        let is_given_name = hosts.first().is_none_or(|first| first.to_string() != *name);
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let all = [
            (!hosts.is_empty()).then(|| own("hosts", hosts.into())),
            is_given_name.then(|| own("name", name.clone().into())),
            is_default.then(|| own("default", true.into())),
        ];
        all.into_iter().flatten().chain(self.settings.iter().cloned()).collect()
    }
}

/// The settings of a site as a command line.
fn command() -> Command {
    SiteSettings::augment_args(Command::new(SITE).no_binary_name(true))
}

/// The names inside of all settings that belong to a site.
pub(super) fn of_site() -> BTreeSet<String> {
    settings(&command()).map(|setting| setting.get_id().to_string()).collect()
}

/// The keys of all settings that belong to a site.
pub(super) fn of_site_keys() -> BTreeSet<Key> {
    settings(&command()).map(key).collect()
}

/// A sentence for each key of a site that is none, or one of the process. `server` has all
/// settings.
pub(super) fn misplaced(file: &ConfigFile, server: &Command) -> Vec<Mistake> {
    let shown = file.path().display();
    match file.part(Part::Outside).and_then(|all| all.get(SITE)) {
        Some(Value::Table(_)) => {
            return vec![
                format!("{shown}: [{SITE}] is for one of several: write [[{SITE}]]").into(),
            ];
        }
        Some(value) if !is_table(value) => {
            let told = format!(
                "{shown}: `{SITE}` is an array of tables: write [[{SITE}]], and its settings beneath"
            );
            return vec![told.into()];
        }
        _ => {}
    }
    let belongs = of_site();
    let all: Vec<_> = settings(server)
        .map(|setting| (key(setting), flag(setting), belongs.contains(setting.get_id().as_str())))
        .collect();
    let mut problems = Vec::new();
    for number in 0..file.sites() {
        let part = Part::Site(number);
        let problem = |key: &Key| {
            let is_own = key.table.is_none() && KEYS.contains(&&*key.name);
            let known = all.iter().find(|(known, _, _)| known == key);
            let problem = match known {
                _ if is_own => return None,
                Some((_, _, true)) => return None,
                Some((known, flag, false)) => of_process(key, known, flag),
                None => no_setting(key, &all),
            };
            Some((key.clone(), problem))
        };
        let mut found = Vec::new();
        for (name, value) in file.part(part).into_iter().flatten() {
            let is_known_table = all.iter().any(|(key, _, _)| key.table.as_ref() == Some(name));
            match value {
                Value::Table(table) if is_known_table => {
                    let in_table =
                        |key: &String| Key { table: Some(name.clone()), name: key.clone() };
                    found.extend(table.keys().filter_map(|key| problem(&in_table(key))));
                }
                _ => {
                    let key = Key { table: None, name: name.clone() };
                    if is_known_table || is_table(value) {
                        let problem = no_table(name, is_known_table, &all);
                        found.push((key, problem));
                    } else {
                        found.extend(problem(&key));
                    }
                }
            }
        }
        problems.extend(
            found.into_iter().map(|(key, problem)| {
                Mistake::from(format!("{}: {problem}", file.place(part, &key)))
            }),
        );
    }
    problems
}

/// What to do with a key of a site that is the one of the process.
fn of_process(key: &Key, known: &Key, flag: &str) -> String {
    let place = match &known.table {
        Some(table) => format!("move it to [{table}]"),
        None => "write it before the first table".to_owned(),
    };
    format!(
        "{} is a setting of the process (--{flag}), and all sites share it: {place}",
        key.described_in_site()
    )
}

fn no_setting(key: &Key, all: &[(Key, &str, bool)]) -> String {
    let likeness = |known: &Key, flag: &str| {
        let by_flag = strsim::jaro_winkler(flag, &key.name);
        let by_key = strsim::jaro_winkler(&known.name, &key.name);
        let elsewhere = if known.name == key.name { 1.0 } else { 0.0 };
        if known.table == key.table { by_key.max(by_flag) } else { by_flag.max(elsewhere) }
    };
    let own = KEYS.map(|name| Key { table: None, name: name.to_owned() });
    let known = all.iter().filter(|(_, _, is_of_site)| *is_of_site);
    let known = known.map(|(key, flag, _)| (likeness(key, flag), key));
    let known = known.chain(own.iter().map(|key| (likeness(key, &key.name), key)));
    let exact = all.iter().find(|(known, flag, is_of_site)| {
        !is_of_site && (*flag == key.name || known.table.is_none() && known.name == key.name)
    });
    if let Some((known, flag, _)) = exact {
        return of_process(key, known, flag);
    }
    let nearest = nearest(known);
    let is_elsewhere = nearest.is_some_and(|nearest| nearest.name == key.name);
    let foreign = foreign_key::instead(&key.name).filter(|_| !is_elsewhere);
    let advice = match (foreign, nearest) {
        (Some(instead), _) => instead.to_owned(),
        (None, Some(nearest)) => format!("did you mean {}?", nearest.described_in_site()),
        (None, None) => "docs/sites.md lists those of a site".to_owned(),
    };
    format!("there is no setting {}; {advice}", key.described_in_site())
}

fn no_table(name: &str, is_known: bool, all: &[(Key, &str, bool)]) -> String {
    if is_known {
        return format!("`{name}` is a table: write [{SITE}.{name}], and its settings beneath");
    }
    if let Some(instead) = foreign_key::instead(name) {
        return format!("there is no table [{SITE}.{name}]; {instead}");
    }
    let tables: BTreeSet<_> = all
        .iter()
        .filter(|(_, _, is_of_site)| *is_of_site)
        .filter_map(|(key, _, _)| key.table.as_deref())
        .map(|table| format!("[{SITE}.{table}]"))
        .collect();
    let tables = tables.into_iter().collect::<Vec<_>>().join(", ");
    format!("there is no table [{SITE}.{name}]; the tables of a site are {tables}")
}

/// Reads the sites of a file.
pub(super) fn read(
    file: &ConfigFile,
    outside: &Outside,
) -> Result<Vec<(SiteSettings, EffectiveSite)>, Vec<Mistake>> {
    let identities = identities(file)?;
    let mut command = command();
    command.build();
    // Once for all: there may be a thousand.
    let known: Vec<_> = settings(&command).map(|it| (it.clone(), key(it))).collect();
    let (mut sites, mut problems) = (Vec::new(), Vec::new());
    let mut unused: BTreeSet<&str> = typed(outside).collect();
    let (before, mut now) = ReadSites::before(file, outside);
    for (number, identity) in identities.into_iter().enumerate() {
        let mut one = Site { file, part: Part::Site(number), command: &mut command, known: &known };
        let text = ReadSites::text(file, number);
        let read = match before.get(&text) {
            Some(read) => {
                unused.retain(|name| read.stated.iter().any(|stated| stated == name));
                Ok(read.clone())
            }
            None => one.read(outside, &mut unused),
        };
        match read {
            Ok(read) => {
                now.add(text, read.clone());
                let ReadSite { mut settings, effective, .. } = read;
                settings.identity = identity.clone();
                sites.push((settings, EffectiveSite { identity, settings: effective }));
            }
            Err(mut mistakes) => problems.append(&mut mistakes),
        }
    }
    problems.extend(unused.into_iter().map(|name| {
        let named = settings(&command).find(|setting| setting.get_id() == name);
        let shown = match named.map(|setting| (setting, setting.get_long())) {
            Some((_, Some(long))) => format!("--{long}"),
            _ => name.to_ascii_uppercase(),
        };
        let key = named.map(|setting| key(setting).described_in_site()).unwrap_or_default();
        format!("{shown} does nothing: each site has its own {key}; leave it out").into()
    }));
    if !problems.is_empty() {
        before.keep();
        return Err(problems);
    }
    now.keep();
    Ok(sites)
}

/// The settings that are typed.
fn typed(outside: &Outside) -> impl Iterator<Item = &str> {
    let typed = outside.flags.iter().filter(|(_, _, origin)| *origin == Origin::CommandLine);
    typed.map(|(name, _, _)| name.as_str())
}

/// One site that is read.
struct Site<'a> {
    file: &'a ConfigFile,
    part: Part,
    command: &'a mut Command,
    /// The settings of a site, with their keys.
    known: &'a [(Arg, Key)],
}

impl Site<'_> {
    /// Its settings, and those that its table states. What it takes from outside is no longer
    /// among `unused`.
    fn read<'o>(
        &mut self,
        outside: &'o Outside,
        unused: &mut BTreeSet<&'o str>,
    ) -> Result<ReadSite, Vec<Mistake>> {
        let (mut all, mut own, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut origins = Vec::new();
        let known = self.known;
        for (setting, key) in known {
            let name = setting.get_id().as_str();
            if let Some(value) = self.file.get(self.part, key) {
                own.push(setting);
                origins.push((setting, Origin::File(self.file.path().to_owned())));
                match self.flags(setting, value) {
                    Ok(flags) => all.extend(flags),
                    Err(mistake) => problems.push(self.blame(setting, &mistake)),
                }
                continue;
            }
            let given = outside.flags.iter().find(|(given, _, _)| given == name);
            let origin = given.map_or(Origin::Default, |(_, _, origin)| origin.clone());
            origins.push((setting, origin));
            all.extend(given.iter().flat_map(|(_, flags, _)| flags.iter().cloned()));
            unused.remove(name);
        }
        if !origins
            .iter()
            .any(|(setting, origin)| setting.get_id() == "root" && *origin != Origin::Default)
        {
            let root = Key { table: None, name: "root".to_owned() };
            let place = self.file.place(self.part, &root);
            problems.push(
                format!("{place}: the site has no root: write root = \"path/to/site\"").into(),
            );
        }
        for (setting, _, modified) in modifiers::without_modified(&origins) {
            if own.iter().any(|own| own.get_id() == setting.get_id()) {
                let own = key(setting);
                let place = self.file.place(self.part, &own);
                let modified = modified.iter().filter_map(|name| {
                    let modified = known.iter().find(|(setting, _)| flag(setting) == *name)?;
                    Some(modified.1.described_in_site())
                });
                let modified = modified.collect::<Vec<_>>().join(" or ");
                let key = own.described_in_site();
                problems.push(
                    format!(
                        "{place}: {key} does nothing without {modified}: add that, or leave it out"
                    )
                    .into(),
                );
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let matches = self.parse(&all, &own)?;
        let effective = own.iter().map(|setting| EffectiveSetting {
            key: key(setting),
            value: effective::value(&matches, setting),
            origin: Origin::File(self.file.path().to_owned()),
        });
        let effective: Vec<_> = effective.collect();
        let mut read = SiteSettings::from_arg_matches(&matches)
            .map_err(|error| vec![self.blame_all(&reason(&error))])?;
        read.rules.origins = self.rule_origins(outside, &own);
        read.limits.has_own_rate = own.iter().any(|setting| setting.get_id() == "rate_limit");
        read.reading = Reading::new();
        let stated = own.iter().map(|setting| setting.get_id().to_string()).collect();
        Ok(ReadSite { settings: read, effective, stated })
    }

    /// What its table says of a setting, as flags.
    fn flags(&self, setting: &Arg, value: &Value) -> Result<Vec<OsString>, Mistake> {
        let values = file::values(setting, value).into_iter();
        let flags = values.map(|value| as_typed(self.command, setting, &value?));
        flags.filter_map(Result::transpose).collect()
    }

    fn parse(&mut self, flags: &[OsString], own: &[&Arg]) -> Result<ArgMatches, Vec<Mistake>> {
        let error = match self.command.try_get_matches_from_mut(flags) {
            Ok(matches) => return Ok(matches),
            Err(error) => error,
        };
        let mut problems = Vec::new();
        for setting in own {
            let value = self.file.get(self.part, &key(setting)).cloned();
            let flags = value.and_then(|value| self.flags(setting, &value).ok());
            if let Err(error) = self.command.try_get_matches_from_mut(flags.unwrap_or_default()) {
                problems.push(self.blame(setting, &reason(&error)));
            }
        }
        if problems.is_empty() {
            problems.push(self.blame_all(&reason(&error)));
        }
        Err(problems)
    }

    fn blame(&self, setting: &Arg, mistake: &Mistake) -> Mistake {
        let key = key(setting);
        let place = self.file.place(self.part, &key);
        format!("{place}: {}: {mistake}", key.described_in_site()).into()
    }

    fn blame_all(&self, mistake: &Mistake) -> Mistake {
        let none = Key { table: None, name: String::new() };
        format!("{}: {mistake}", self.file.place(self.part, &none)).into()
    }

    /// Where its rules come from: its table, or outside.
    fn rule_origins(&self, outside: &Outside, own: &[&Arg]) -> Vec<RuleOrigin> {
        let stated = own.iter().filter(|setting| key::is_rule(setting)).map(|setting| {
            let key = key(setting);
            let lines = self.file.lines(self.part, &key).to_vec();
            let source = self.file.path().display().to_string();
            RuleOrigin { key: key.name, source, lines }
        });
        let stated: Vec<_> = stated.collect();
        let is_stated = |origin: &&RuleOrigin| stated.iter().any(|own| own.key == origin.key);
        let others = outside.rules.iter().filter(|origin| !is_stated(origin)).cloned();
        others.chain(stated.clone()).collect()
    }
}

/// The table of a site, as far as a command that is about one goes by it.
pub(super) fn named(file: &ConfigFile, name: Option<&str>) -> Result<Option<Part>, Vec<Mistake>> {
    let identities = identities(file)?;
    let shown = file.path().display();
    let names: Vec<_> = identities.iter().map(|identity| identity.name.as_str()).collect();
    let listed = names.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    match (name, names.len()) {
        (Some(name), _) => match names.iter().position(|known| *known == name) {
            Some(number) => Ok(Some(Part::Site(number))),
            None if names.is_empty() => {
                Err(vec![format!("--site {name}: {shown} has no [[{SITE}]]").into()])
            }
            None => Err(vec![
                format!("--site {name}: there is no such site in {shown}; there are {listed}")
                    .into(),
            ]),
        },
        (None, 0) => Ok(None),
        (None, 1) => Ok(Some(Part::Site(0))),
        (None, _) => {
            Err(vec![format!("{shown} has several sites: name one with --site: {listed}").into()])
        }
    }
}

/// The table of the site that has a host.
pub(super) fn of_host(file: &ConfigFile, host: &str) -> Result<Option<Part>, Vec<Mistake>> {
    let identities = identities(file)?;
    let find = |is: &dyn Fn(&SiteIdentity) -> bool| identities.iter().position(is);
    let host = crate::http::host_pattern::comparable(host);
    let exact = find(&|site| {
        let is_exact = |pattern: &crate::http::HostPattern| pattern.to_string() == host;
        site.hosts.iter().any(is_exact)
    });
    let found = exact
        .or_else(|| find(&|site| site.hosts.iter().any(|pattern| pattern.matches(&host))))
        .or_else(|| find(&|site| site.is_default));
    match (found, identities.is_empty()) {
        (Some(number), _) => Ok(Some(Part::Site(number))),
        (None, true) => Ok(None),
        (None, false) => Err(vec![
            format!(
                "no site has the host {host}, and none is the default: it gets 421 (Misdirected \
                 Request); name one with -H 'Host: …' or --site"
            )
            .into(),
        ]),
    }
}

#[cfg(test)]
mod tests;
