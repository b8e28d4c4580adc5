//! Which source counts, and which is blamed.

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
    assert!(settings.site.cache.file_valid.is_zero() && settings.site.guest.no_watch);
    assert_eq!((settings.site.guest.file, settings.site.root), (None, root::find()));
    assert_eq!(settings.site.root_choice, RootChoice::Found);
    let origin = |name: &str| {
        let setting = effective.iter().find(|setting| setting.key.to_string() == name);
        setting.map(|setting| setting.origin.clone()).expect("a setting")
    };
    let path = sources.file.as_ref().expect("a file").path();
    assert_eq!(origin("workers"), Origin::CommandLine);
    assert_eq!(origin("listen"), Origin::Environment("INNKEEPER_LISTEN".to_owned()));
    assert_eq!(origin("[cache] file-valid"), Origin::File(path.to_owned()));
    assert_eq!(origin("root"), Origin::Default);
    assert!(settings.site.files.no_compress);
    let compress = "INNKEEPER_COMPRESS".to_owned();
    assert_eq!(origin("[files] compress"), Origin::Environment(compress));
}

#[test]
fn a_root_with_the_name_of_a_command_is_a_folder() {
    for name in ["man", "dev", "help"] {
        let sources = Sources::new(None, &[("INNKEEPER_ROOT", name)]);
        let arguments = sources.read(&[]).expect("settings").arguments;
        assert!(arguments.command.is_none(), "{name}");
        assert_eq!(arguments.serve.site.root, std::path::Path::new(".").join(name));
    }
}

#[test]
fn switch_with_an_optional_value_is_1_or_0_in_the_environment() {
    for (value, rules) in [("1", 1), ("0", 0), ("true", 1), ("false", 0), ("app.html", 1)] {
        for name in ["INNKEEPER_SPA", "INNKEEPER_MAINTENANCE"] {
            let settings = Sources::new(None, &[(name, value)]).read(&[]).expect("settings");
            let rules_settings = &settings.arguments.serve.site.rules;
            let all = [&rules_settings.spa, &rules_settings.maintenance];
            let count: usize = all.into_iter().flatten().map(|part| part.rules()).sum();
            assert_eq!(count, rules, "{name}={value}");
        }
    }
    for name in ["INNKEEPER_CLEAN_URLS", "INNKEEPER_SECURITY_HEADERS"] {
        for value in ["1", "0"] {
            assert!(Sources::new(None, &[(name, value)]).read(&[]).is_ok(), "{name}={value}");
        }
    }
}

#[test]
fn fields_of_the_log_are_a_list() {
    for fields in ["['client', 'host']", "'client,host'", "['client,host']"] {
        let file = format!("[log]\naccess = 'json'\naccess-fields = {fields}");
        let settings = Sources::new(Some(&file), &[]).read(&[]).expect("settings");
        assert_eq!(settings.arguments.serve.site.log.access_fields.len(), 2, "{fields}");
    }
}

#[test]
fn what_is_in_force_is_written_as_a_file_that_says_the_same() {
    let sources = Sources::new(None, &[("INNKEEPER_ROOT", "-site"), ("INNKEEPER_VERBOSE", "1")]);
    let typed = ["--cache-control", "*.css=max-age=60, public", "--workers", "2"];
    let effective = sources.read(&typed).expect("settings").effective;
    let written = write(&effective);
    assert!(written.contains("root = \"./-site\""), "{written}");
    assert!(written.contains("# environment: INNKEEPER_ROOT"), "{written}");
    assert!(written.contains("\n[guest]\n# file =") && written.contains("# not set"), "{written}");
    let again = Sources::new(Some(&written), &[]);
    let again = again.read(&[]).expect("settings").effective;
    let values = |effective: &[EffectiveSetting]| {
        let values = effective.iter().map(|setting| (setting.key.clone(), setting.value.clone()));
        values.collect::<Vec<_>>()
    };
    assert_eq!(values(&effective), values(&again));
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    for root in ["007", "7", "0x10", "1e3", "true", "2026-01-01", "-1", "1_000", "inf", "\u{1b}"] {
        let sources = Sources::new(None, &[("INNKEEPER_ROOT", root)]);
        let typed = ["--workers", "07", "--rate-limit", "5", "--decision-cache-size", "0"];
        let before = sources.read(&typed).expect("settings");
        let written = write(&before.effective);
        assert!(written.contains("\nworkers = 7 ") && !written.contains('\u{1b}'), "{written}");
        assert!(written.contains("rate-limit = 5 "), "{written}");
        let again = Sources::new(Some(&written), &[]).read(&[]).expect("settings");
        assert_eq!(again.arguments.serve.site.root, before.arguments.serve.site.root, "{written}");
    }
}

#[test]
fn empty_list_is_said_to_be_empty_where_a_default_would_count() {
    for text in
        ["listen = []", "root = []", "workers = []", "[log]\nverbose = []", "[log]\naccess = []"]
    {
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
    file("[log]\nacess = 'off'", &["there is no setting `acess` in [log]", "`access` in [log]?"]);
    file("access-log = 'off'", &["there is no setting `access-log`; did you mean `access` in"]);
    file("no-compress = true", &["did you mean `compress` in [files]?"]);
    file("config = 'a'", &["there is no setting `config`"]);
    file("zzz = 1", &["`innkeeper --print-config` shows all of them"]);
    file("[ssl]\na = 1", &["there is no table [ssl]; the tables are [acme], [admin], [cache]"]);
    file("[tls]\na = 1", &["there is no setting `a` in [tls]"]);
    file("[[cache]]\na = 1", &["`cache` is a table: write [cache]"]);
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
    assert!(error.ends_with("write INNKEEPER_COMPRESS=false"), "{error}");
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
