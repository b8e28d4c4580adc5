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
        (settings.root, settings.root_choice) = (root, RootChoice::Found);
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
mod tests {
    use super::{ConfigError, Configuration, Mistake, RootChoice, read, root};
    use crate::cli::effective::{EffectiveSetting, Origin, write};
    use crate::cli::environment::Environment;
    use crate::cli::settings::cache::CodeCache;
    use std::ffi::OsString;
    use std::fs;

    /// Mistakes, a line for each.
    fn all_of(mistakes: &[Mistake]) -> String {
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    struct Sources {
        file: Option<tempfile::NamedTempFile>,
        environment: Environment,
    }

    impl Sources {
        fn new(file: Option<&str>, environment: &[(&'static str, &'static str)]) -> Sources {
            let file = file.map(|text| {
                let file = tempfile::NamedTempFile::new().expect("a file");
                fs::write(&file, text).expect("written");
                file
            });
            let variables = environment.iter().map(|(name, value)| (name.into(), value.into()));
            Sources { file, environment: variables.collect() }
        }

        fn read(&self, typed: &[&str]) -> Result<Configuration, String> {
            let mut all: Vec<OsString> = vec!["innkeeper".into()];
            all.extend(typed.iter().map(Into::into));
            if let Some(file) = &self.file {
                all.extend(["--config".into(), file.path().into()]);
            }
            read(&all, &self.environment).map_err(|error| match error {
                ConfigError::Cli(error) => error.to_string(),
                ConfigError::Source(mistakes) => all_of(&mistakes),
            })
        }
    }

    #[test]
    fn the_command_line_comes_before_the_environment_before_the_file_before_the_default() {
        let file = "workers = 1\nlisten = ['[::1]:1', '[::1]:2']\n[cache]\nfile-valid = '0s'\n\
                    [guest]\nwatch = false\n[files]\ncompress = true";
        let environment = [
            ("INNKEEPER_WORKERS", "2"),
            ("INNKEEPER_LISTEN", "127.0.0.2:1; 127.0.0.2:2"),
            ("INNKEEPER_GUEST", ""),
            ("INNKEEPER_COMPRESS", "false"),
        ];
        let sources = Sources::new(Some(file), &environment);
        let Configuration { arguments, effective, .. } =
            sources.read(&["--workers", "3"]).expect("settings");
        let settings = arguments.serve;
        assert_eq!(settings.workers.map(usize::from), Some(3));
        assert_eq!(settings.listen.len(), 2);
        assert!(settings.listen().iter().all(|address| address.socket.is_ipv4()));
        assert!(settings.cache.file_valid.is_zero() && settings.guest.no_watch);
        assert_eq!((settings.guest.file, settings.root), (None, root::find()));
        assert_eq!(settings.root_choice, RootChoice::Found);
        let origin = |name: &str| {
            let setting = effective.iter().find(|setting| setting.key.to_string() == name);
            setting.map(|setting| setting.origin.clone()).expect("a setting")
        };
        let path = sources.file.as_ref().expect("a file").path();
        assert_eq!(origin("workers"), Origin::CommandLine);
        assert_eq!(origin("listen"), Origin::Environment("INNKEEPER_LISTEN".to_owned()));
        assert_eq!(origin("[cache] file-valid"), Origin::File(path.to_owned()));
        assert_eq!(origin("root"), Origin::Default);
        assert!(settings.files.no_compress);
        let compress = "INNKEEPER_COMPRESS".to_owned();
        assert_eq!(origin("[files] compress"), Origin::Environment(compress));
    }

    #[test]
    fn a_root_with_the_name_of_a_command_is_a_folder() {
        for name in ["man", "dev", "help"] {
            let sources = Sources::new(None, &[("INNKEEPER_ROOT", name)]);
            let arguments = sources.read(&[]).expect("settings").arguments;
            assert!(arguments.command.is_none(), "{name}");
            assert_eq!(arguments.serve.root, std::path::Path::new(".").join(name));
        }
    }

    #[test]
    fn what_is_in_force_is_written_as_a_file_that_says_the_same() {
        let sources =
            Sources::new(None, &[("INNKEEPER_ROOT", "-site"), ("INNKEEPER_VERBOSE", "1")]);
        let typed = ["--cache-control", "*.css=max-age=60, public", "--workers", "2"];
        let effective = sources.read(&typed).expect("settings").effective;
        let written = write(&effective);
        assert!(written.contains("root = \"./-site\""), "{written}");
        assert!(written.contains("# environment: INNKEEPER_ROOT"), "{written}");
        assert!(
            written.contains("\n[guest]\n# file =") && written.contains("# not set"),
            "{written}"
        );
        let again = Sources::new(Some(&written), &[]);
        let again = again.read(&[]).expect("settings").effective;
        let values = |effective: &[EffectiveSetting]| {
            let values =
                effective.iter().map(|setting| (setting.key.clone(), setting.value.clone()));
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
            let before = sources.read(&typed).expect("settings");
            let written = write(&before.effective);
            assert!(written.contains("\nworkers = 7 ") && !written.contains('\u{1b}'), "{written}");
            assert!(written.contains("rate-limit = 5 "), "{written}");
            let again = Sources::new(Some(&written), &[]).read(&[]).expect("settings");
            assert_eq!(again.arguments.serve.root, before.arguments.serve.root, "{written}");
        }
    }

    #[test]
    fn empty_list_is_said_to_be_empty_where_a_default_would_count() {
        for text in [
            "listen = []",
            "root = []",
            "workers = []",
            "[log]\nverbose = []",
            "[log]\naccess = []",
        ] {
            let error = Sources::new(Some(text), &[]).read(&[]).expect_err(text);
            assert!(error.contains("the list is empty"), "{text}: {error}");
        }
        Sources::new(Some("[guest]\ncases = []\n[sandbox]\nallow-read = []"), &[])
            .read(&[])
            .expect("settings");
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
            "[log]\nacess = 'off'",
            &["there is no setting `acess` in [log]", "`access` in [log]?"],
        );
        file("access-log = 'off'", &["there is no setting `access-log`; did you mean `access` in"]);
        file("no-compress = true", &["did you mean `compress` in [files]?"]);
        file("config = 'a'", &["there is no setting `config`"]);
        file("zzz = 1", &["`innkeeper --print-config` shows all of them"]);
        file("[ssl]\na = 1", &["there is no table [ssl]; the tables are [admin], [cache], [dev]"]);
        file("[tls]\na = 1", &["there is no setting `a` in [tls]"]);
        file("[[site]]\na = 1", &["there is no table [site]"]);
        file("guest = 'a'", &["`guest` is a table: write [guest], and its settings beneath"]);
        file("[root]\na = 1", &["there is no table [root]"]);
        file("workers = 0\n[log]\nformat = 'x'", &["workers: invalid value \"0\": write a number"]);
        file("workers = 0\n[log]\nformat = 'x'", &["[log] format: ", "one of text, json"]);
        file("workers = [1, 2]", &["workers: ", "multiple times"]);
        file("workers = 1.5", &["workers: ", "a float is not understood here"]);
        file("[log]\nverbose = 'yes'", &["[log] verbose: write true or false"]);
        file("\nworkers =", &["is not valid TOML: line 2: "]);
        check(None, &[("INNKEEPER_WORKERS", "x")], &["INNKEEPER_WORKERS: ", "write a number"]);
        check(None, &[("INNKEEPER_ACCESS_LOG", "x")], &["INNKEEPER_ACCESS_LOG: ", "combined"]);
        let newline = &["INNKEEPER_WORKERS: invalid value \"x\\ny\": write a number"];
        check(None, &[("INNKEEPER_WORKERS", "x\ny")], newline);
        check(None, &[("INNKEEPER_CONFIG", "/no/such.toml")], &["cannot read", "/no/such.toml"]);
    }

    #[test]
    fn variables_that_are_no_settings_are_refused() {
        let of_others = [
            ("INNKEEPER_CODE_CACHE", "off"),
            ("INNKEEPER_BUILD", "true"),
            ("INNKEEPER_CONFIG", ""),
            ("INNKEEPER_ACCESLOG", ""),
            ("INNKEEPER_VERSION", "0.1.0"),
            ("INNKEEPER_SERVICE_HOST", "10.0.0.1"),
            ("INNKEEPER_SERVICE_PORT_HTTP", "80"),
            ("INNKEEPER_PORT", "tcp://10.0.0.1:7890"),
            ("INNKEEPER_PORT_7890_TCP_ADDR", "10.0.0.1"),
            // Of a service that is called innkeeper-admin.
            ("INNKEEPER_ADMIN_SERVICE_HOST", "10.0.0.1"),
            ("INNKEEPER_ADMIN_PORT", "tcp://10.0.0.1:80"),
            ("INNKEEPER_ADMIN_PORT_80_TCP_PROTO", "tcp"),
            ("PATH", "/bin"),
        ];
        let read = Sources::new(None, &of_others).read(&[]).expect("settings");
        assert_eq!(read.arguments.serve.cache.code, Some(CodeCache::Off));
        assert_eq!(read.arguments.serve.port, None);
        let port = Sources::new(None, &[("INNKEEPER_PORT", "8080")]).read(&[]).expect("settings");
        assert_eq!(port.arguments.serve.listen()[0].to_string(), "http://127.0.0.1:8080");
        let unknown = [("INNKEEPER_ACESS_LOG", "off"), ("INNKEEPER_NO_COMPRESS", "1")];
        let error = Sources::new(None, &unknown).read(&[]).expect_err("mistakes");
        let told = "INNKEEPER_ACESS_LOG is not a setting; did you mean INNKEEPER_ACCESS_LOG?";
        assert_eq!(error.lines().next(), Some(told));
        assert!(error.ends_with("mean INNKEEPER_COMPRESS?"), "{error}");
    }

    #[test]
    fn serve_is_no_command() {
        let sources = Sources::new(None, &[]);
        for (typed, line) in [
            (&["serve"][..], "write: innkeeper, or innkeeper path/to/site"),
            (&["serve", "my site"], "write: innkeeper 'my site'"),
            (&["run", "--listing"], "write: innkeeper --listing"),
            (&["start", "site", "8000"], "write: innkeeper site --port 8000"),
        ] {
            let mut all: Vec<OsString> = vec!["innkeeper".into()];
            all.extend(typed.iter().map(Into::into));
            let error = match read(&all, &sources.environment) {
                Err(ConfigError::Source(mistakes)) => all_of(&mistakes),
                other => panic!("{other:?}"),
            };
            assert!(error.contains("innkeeper serves without one"), "{error}");
            assert!(error.contains(line), "{error}");
        }
    }
}
