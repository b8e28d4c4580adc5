//! Sites in a configuration file: what they take from outside, and which mistakes are told.

mod mistakes;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::of_site;
use crate::cli::effective::{write, write_site};
use crate::cli::environment::Environment;
use crate::cli::key::{key, settings};
use crate::cli::settings::SiteSettings;
use crate::cli::sources::read;
use crate::cli::{Arguments, ConfigError, Configuration};
use crate::clients::RateLimit;
use crate::guest::DecisionLimits;

/// Reads a file, with variables and flags. What is wrong has a line for each mistake.
fn read_with(
    text: &str,
    variables: &[(&str, &str)],
    typed: &[&str],
) -> Result<Configuration, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&file, text).expect("written");
    let mut all: Vec<OsString> = vec!["innkeeper".into()];
    all.extend(typed.iter().map(Into::into));
    all.extend(["--config".into(), file.path().into()]);
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let environment: Environment = variables.collect();
    read(&all, &environment).map_err(|error| match error {
        ConfigError::Cli(error) => error.to_string(),
        ConfigError::Source(mistakes) => {
            let path = file.path().display().to_string();
            let all: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            all.join("\n").replace(&path, "a.toml")
        }
    })
}

/// The settings that belong to a site, as keys in `[[site]]`. All others belong to the process.
const OF_SITE: &[&str] = &[
    "[cache] file-valid",
    "[files] cache-control",
    "[files] compress",
    "[files] listing",
    "[files] max-listing-entries",
    "[files] max-ranges",
    "[files] mime",
    "[files] symlinks",
    "[guest] cases",
    "[guest] data",
    "[guest] deadline",
    "[guest] file",
    "[guest] memory",
    "[guest] on-failure",
    "[guest] rollback-after",
    "[guest] watch",
    "[limits] rate-limit",
    "[log] access",
    "[log] access-fields",
    "[log] access-file",
    "[log] request-id",
    "[rules] allow-from",
    "[rules] allow-method",
    "[rules] allow-referer",
    "[rules] basic-auth",
    "[rules] clean-urls",
    "[rules] cors",
    "[rules] country-field",
    "[rules] deny-from",
    "[rules] file",
    "[rules] header",
    "[rules] maintenance",
    "[rules] maintenance-cookie",
    "[rules] maintenance-pass",
    "[rules] maintenance-retry-after",
    "[rules] redirect",
    "[rules] security-headers",
    "[rules] site",
    "[rules] spa",
    "[tls] certificate",
    "[tls] hsts",
    "[tls] key",
    "[tls] public-https-port",
    "[tls] redirect-to-https",
    "root",
];

/// The tables that have settings of sites. A new setting in one of them is to be thought about.
const OF_PROCESS: &[&str] = &[
    "[cache] code",
    "[cache] compressed-size",
    "[cache] decision-size",
    "[cache] file-size",
    "[cache] listing-size",
    "[guest] client-bucket-key",
    "[guest] compile-memory",
    "[guest] compile-time",
    "[guest] configure-time",
    "[guest] core-instances",
    "[guest] isolation",
    "[guest] stack",
    "[guest] table-elements",
    "[limits] body-timeout",
    "[limits] defer-accept",
    "[limits] first-byte-timeout",
    "[limits] header-timeout",
    "[limits] keepalive-requests",
    "[limits] keepalive-timeout",
    "[limits] lingering-time",
    "[limits] lingering-timeout",
    "[limits] max-body-size",
    "[limits] max-connections",
    "[limits] max-connections-per-client",
    "[limits] max-empty-lines",
    "[limits] max-header-fields",
    "[limits] max-header-size",
    "[limits] max-request-line-size",
    "[limits] response-file-memory",
    "[limits] response-reply-memory",
    "[limits] send-timeout",
    "[limits] stop-keepalive-timeout",
    "[limits] stop-lingering-time",
    "[limits] stop-timeout",
    "[log] format",
    "[log] level",
    "[log] verbose",
    "[tls] client-auth",
    "[tls] client-ca",
    "[tls] handshake-timeout",
    "[tls] max-handshake-size",
    "[tls] max-handshakes",
    "[tls] self-signed",
    "[tls] unknown-name",
];

#[test]
fn each_setting_belongs_to_a_site_or_to_the_process() {
    let command = Arguments::command();
    let belongs = of_site();
    let tables: BTreeSet<_> = OF_SITE.iter().filter_map(|key| key.split_once(' ')).collect();
    let tables: BTreeSet<_> = tables.into_iter().map(|(table, _)| table).collect();
    let (mut of_site, mut of_process) = (BTreeSet::new(), BTreeSet::new());
    for setting in settings(&command) {
        let shown = key(setting).to_string();
        let is_in_their_table =
            shown.split_once(' ').is_some_and(|(table, _)| tables.contains(table));
        if belongs.contains(setting.get_id().as_str()) {
            of_site.insert(shown);
        } else if is_in_their_table {
            of_process.insert(shown);
        }
    }
    assert_eq!(of_site, OF_SITE.iter().map(|&key| key.to_owned()).collect());
    assert_eq!(of_process, OF_PROCESS.iter().map(|&key| key.to_owned()).collect());
}

#[test]
fn site_has_its_own_settings_and_those_outside() {
    let text = "root = 'outside'\n[files]\nlisting = true\ncache-control = ['*.css=no-store']\n\
                [rules]\nredirect = '/o /p'\n[log]\naccess = 'json'\n\
                [[site]]\nhosts = ['a.example', 'A2.example.:']\n";
    let error = read_with(text, &[], &[]).expect_err("a colon");
    assert!(error.contains("a.toml:10: \"A2.example.:\" is more than a host"), "{error}");
    let text = text.replace(".:", ".")
        + "[[site]]\nname = 'b'\ndefault = true\nroot = 'own'\n\
        [site.files]\nlisting = false\ncache-control = []\n[site.log]\naccess = 'off'\n\
        [site.rules]\nheader = ['/*: A: b',\n'/*: C: d']\n";
    let variables = [("INNKEEPER_MIME", "a=text/a"), ("INNKEEPER_ROOT", "variable")];
    let read = read_with(&text, &variables, &["--request-id", "X-Id"]).expect("settings");
    let [one, other] = &read.arguments.serve.sites[..] else { panic!("two sites") };
    let hosts: Vec<_> = one.identity.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["a.example", "a2.example"]);
    assert_eq!((one.identity.name.as_str(), one.identity.is_default), ("a.example", false));
    assert_eq!(
        (one.root.as_path(), other.root.as_path()),
        (Path::new("variable"), Path::new("own"))
    );
    assert_eq!((one.files.listing, other.files.listing), (true, false));
    assert_eq!((one.files.cache_control.len(), other.files.cache_control.len()), (1, 0));
    assert_eq!((one.files.mime.len(), other.files.mime.len()), (1, 1));
    assert_eq!(
        (one.log.access_format().is_some(), other.log.access_format().is_some()),
        (true, false)
    );
    assert_eq!(one.log.request_id, other.log.request_id);
    assert!(one.log.request_id.is_some());
    assert_eq!((other.identity.name.as_str(), other.identity.is_default), ("b", true));
    // Rules are told by their lines, wherever they stand.
    let lines = |site: &SiteSettings| {
        site.rules.named().iter().map(|named| named.line()).collect::<Vec<_>>()
    };
    assert_eq!((lines(one), lines(other)), (vec![6], vec![6, 21, 22]));
}

#[test]
fn what_is_printed_is_the_same_sites() {
    let text = "[[site]]\nhosts = ['*.B\u{fc}cher.example', '::1']\nroot = 'a'\n[site.rules]\n\
                redirect = [{ from = '/a', to = '/b' }]\n[[site]]\ndefault = true\nroot = '-b'\n";
    let written = |read: &Configuration| {
        let sites = read.sites.iter().map(|site| write_site(&site.effective()));
        write(&read.effective) + &sites.collect::<String>()
    };
    let read = read_with(text, &[], &[]).expect("settings");
    let printed = written(&read);
    assert!(printed.contains("hosts = [\"*.xn--bcher-kva.example\", \"[::1]\"]"), "{printed}");
    let again = read_with(&printed, &[], &[]).expect("settings");
    let sites = |mut read: Configuration| {
        let sites = &mut read.arguments.serve.sites;
        // Their lines are others.
        sites.iter_mut().for_each(|site| site.rules.origins.clear());
        format!("{sites:?}")
    };
    assert_eq!(sites(again), sites(read));
}

#[test]
fn limits_of_a_site_count_before_those_outside() {
    let text = "[guest]\ndeadline = '1s'\n[limits]\nrate-limit = 5\n[[site]]\n\
                hosts = ['a.example']\nroot = 'a'\n[[site]]\nhosts = ['b.example']\nroot = 'b'\n\
                [site.guest]\nmemory = '1GiB'\n[site.limits]\nrate-limit = 'off'\n\
                [[site]]\nhosts = ['c.example']\nroot = 'c'\n[site.limits]\nrate-limit = 5";
    let read = read_with(text, &[], &[]).expect("settings");
    let written = write_site(&read.sites[2].effective());
    assert!(written.contains("[site.limits]\nrate-limit = 5 "), "{written}");
    let settings = read.arguments.serve;
    let limits = |site: &SiteSettings| {
        let DecisionLimits { deadline, memory_bytes } = site.guest.limits.limits();
        (deadline.as_millis(), memory_bytes >> 20, site.limits.own_rate())
    };
    let five = RateLimit::PerSecond(5.try_into().expect("is not zero"));
    // One that says the same as outside counts by itself.
    let expected =
        [(1_000, 64, None), (1_000, 1_024, Some(RateLimit::Off)), (1_000, 64, Some(five))];
    assert_eq!(settings.sites.iter().map(limits).collect::<Vec<_>>(), expected);
    assert_eq!(settings.rate_limit(), five);
    // Instances have room for each.
    let most = settings.guest_limits().decision;
    assert_eq!((most.deadline.as_millis(), most.memory_bytes >> 20), (1_000, 1_024));
    let error = read_with(&text.replace("'off'", "0"), &[], &[]).expect_err("no rate");
    assert!(
        error.contains("`rate-limit` in [site.limits]: invalid value \"0\": write a number"),
        "{error}"
    );
    assert!(error.ends_with("or off for no limit"), "{error}");
}

#[test]
fn flag_that_no_site_takes_is_refused() {
    let text = "[[site]]\nhosts = ['a.example']\nroot = 'a'\n[[site]]\nhosts = ['b.example']\n";
    let both = format!("{text}root = 'b'\n[site.files]\nlisting = true\n");
    let error = read_with(&both, &[], &["site"]).expect_err("no site takes it");
    assert_eq!(error, "ROOT does nothing: each site has its own `root` in [[site]]; leave it out");
    // A variable may be the container's.
    read_with(&both, &[("INNKEEPER_ROOT", "site")], &["--listing"]).expect("settings");
    read_with(text, &[], &["site", "--listing"]).expect("settings");
    let max = [&both, "max-listing-entries = 5\n"].concat();
    let outside = format!("[files]\nmax-listing-entries = 7\n{max}");
    read_with(&outside, &[], &[]).expect("one site lists");
}

#[test]
fn default_address_speaks_tls_where_a_site_has_a_certificate() {
    let text = "[[site]]\nhosts = ['a.example']\nroot = 'a'\n[site.tls]\ncertificate = 'a.pem'\n";
    let listen = |text: &str| {
        let read = read_with(text, &[], &[]).expect("settings");
        read.arguments.serve.listen().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listen(text), ["https://127.0.0.1:7890"]);
    assert_eq!(listen(&format!("listen = '[::1]:80'\n{text}")), ["http://[::1]:80"]);
}

#[test]
fn command_about_one_site_takes_its_settings() {
    let text = "[guest]\nfile = 'outside.wasm'\n[[site]]\nhosts = ['a.example']\nroot = 'a'\n\
                [[site]]\nhosts = ['b.example', '*.b.example']\nname = 'b'\nroot = 'b'\n\
                [site.guest]\nfile = 'b.wasm'\ncases = ['b.toml']\n";
    let guest = |typed: &[&str]| {
        let read = read_with(text, &[], typed)?;
        match read.arguments.command {
            Some(crate::cli::Command::Check(check)) => Ok(check.configured.given.guest),
            Some(crate::cli::Command::Explain(explain)) => Ok(explain.root),
            other => panic!("{other:?}"),
        }
    };
    let check = |typed: &[&str], expected: Result<&str, &str>| {
        let found = guest(typed);
        let found = found.as_ref().map(|path| path.as_ref().and_then(|path| path.to_str()));
        assert_eq!(found, expected.map(Some).map_err(str::to_owned).as_ref().copied(), "{typed:?}");
    };
    check(&["check", "--site", "b"], Ok("b.wasm"));
    check(&["check", "--site", "a.example"], Ok("outside.wasm"));
    check(&["check"], Err("a.toml has several sites: name one with --site: a.example, b"));
    check(
        &["check", "--site", "c"],
        Err("--site c: there is no such site in a.toml; there are a.example, b"),
    );
    check(&["explain", "http://a.EXAMPLE.:80/x"], Ok("a"));
    check(&["explain", "/x", "-H", "Host: c.b.example:8080"], Ok("b"));
    check(&["explain", "/x", "--site", "b"], Ok("b"));
    check(
        &["explain", "/x"],
        Err("no site has the host localhost, and none is the default: it gets 421 (Misdirected \
             Request); name one with -H 'Host: \u{2026}' or --site"),
    );
}
