//! The command line: a command, or the settings of a server.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use super::command::{
    AcmeArguments, BakeArguments, CheckArguments, CompileArguments, DevArguments, ExplainArguments,
    NewArguments, PasswordArguments, TestArguments,
};
use super::configured::Given;
use super::settings::Settings;
use super::settings::rules::RulesSettings;
use super::values::admin_address;
use crate::transport::ListenAddress;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "innkeeper",
    version,
    about = "Serves a directory over HTTP. A WebAssembly guest decides the response to each request.",
    after_help = "Each flag is also an environment variable and a key of the configuration file: \
        --log-format is INNKEEPER_LOG_FORMAT, and `format` in the table [log]. --help explains \
        that, and lists all flags.",
    after_long_help = "Without --guest the built-in policy decides: `/` and paths that end in `/` are \
        index pages, other paths are files, and names that begin with a dot are private.\n\n\
        Each flag is also an environment variable and a key of the file that --config names. \
        --log-format json is INNKEEPER_LOG_FORMAT=json, and format = \"json\" in the table [log]: \
        the heading of a flag is its table, and the key is the flag without the word of the table. \
        The flag that is that word alone is its main setting: --guest is `file` in [guest], --admin \
        is `listen` in [admin]. --no-x sets x to false: INNKEEPER_COMPRESS=false, compress = false; \
        --no-sandbox is `enabled` in [sandbox]. Several values of a variable are separated by `;`.",
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: Settings,
}

impl Arguments {
    /// The settings of the server that is to be started. They are the defaults where the command
    /// starts none.
    pub fn settings(&self) -> &Settings {
        match &self.command {
            Some(Command::Dev(arguments)) => &arguments.serve,
            Some(Command::Acme(arguments)) => &arguments.serve,
            _ => &self.serve,
        }
    }

    /// The same, to note which root was found.
    pub(super) fn settings_mut(&mut self) -> &mut Settings {
        match &mut self.command {
            Some(Command::Dev(arguments)) => &mut arguments.serve,
            Some(Command::Acme(arguments)) => &mut arguments.serve,
            _ => &mut self.serve,
        }
    }

    /// The rules, to note where they come from.
    pub(super) fn rules_mut(&mut self) -> Option<&mut RulesSettings> {
        match &mut self.command {
            None => Some(&mut self.serve.site.rules),
            Some(Command::Dev(arguments)) => Some(&mut arguments.serve.site.rules),
            Some(Command::Acme(arguments)) => Some(&mut arguments.serve.site.rules),
            Some(Command::Test(arguments)) => Some(&mut arguments.rules.rules),
            Some(Command::Check(arguments)) => Some(&mut arguments.rules.rules),
            Some(Command::Compile(arguments)) => Some(&mut arguments.rules.rules),
            Some(Command::Bake(arguments)) => Some(&mut arguments.rules.rules),
            Some(Command::Explain(arguments)) => Some(&mut arguments.rules),
            Some(_) => None,
        }
    }

    /// Takes settings of a server that are no flags of the command.
    pub(super) fn configure(&mut self, given: Given) {
        let configured = match &mut self.command {
            Some(Command::Test(arguments)) => &mut arguments.configured,
            Some(Command::Check(arguments)) => &mut arguments.configured,
            Some(Command::Compile(arguments)) => &mut arguments.configured,
            Some(Command::Bake(arguments)) => &mut arguments.configured,
            Some(Command::Explain(arguments)) => &mut arguments.configured,
            _ => return,
        };
        configured.given = given;
    }
}

/// How certificates are tried.
const ACME_HELP: &str = "\
For each name, and each way to prove it, a certificate is ordered of the authority for trying: \
Let's Encrypt's staging, or that of --acme-directory. Nothing of it is kept. The exit code is 0 if \
each name is proved in one way at least.

  innkeeper acme --dry-run example.org          the site of `innkeeper example.org`
  innkeeper acme --dry-run --config site.toml   the names of a configuration

It listens where the server would. If that server runs already it answers the authority for the \
names that it orders itself, by the folder that both name with --acme-state (or have by default): \
then run the trial as root, or as the server's user.";

/// What can be done besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a project for a new guest, with tests, cases and a build
    New(NewArguments),
    /// Run cases against a guest, without a server
    Test(TestArguments),
    /// Describe a guest, measure it, and validate it
    Check(CheckArguments),
    /// Compile a guest before the start that needs it
    Compile(CompileArguments),
    /// Make one guest of a guest and its data
    Bake(BakeArguments),
    /// Show the response to one request, and its reasons
    Explain(ExplainArguments),
    /// Make the line of a user for --basic-auth: asks for the password
    Password(PasswordArguments),
    /// Serve while a guest is edited: build, validate, replace, and reload pages
    Dev(Box<DevArguments>),
    /// Try whether an authority would have certificates for the names of a server
    #[command(after_help = ACME_HELP, after_long_help = ACME_HELP)]
    Acme(Box<AcmeArguments>),
    /// Ask the administration of a server for its health
    Health {
        /// The address of the administration, as in --admin
        #[arg(value_name = "ADDR:PORT|unix:PATH", env = "INNKEEPER_ADMIN", value_parser = admin_address)]
        admin: ListenAddress,
    },
    /// Print a script that completes this command line in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a page of the manual, for man
    Man {
        /// The command whose page it is [default: that of the program]
        command: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command};
    use crate::cli::settings::Settings;
    use crate::cli::settings::request_log::AccessLog;
    use crate::files::CacheSizes;
    use crate::guest::GuestLimits;
    use crate::http::Scheme;
    use crate::in_flight;
    use crate::release::active::Fallback;
    use crate::server::{Address, MAX_CONNECTIONS};
    use crate::transport::{self, ListenAddress};
    use crate::{http1, http2, tls};
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};
    use std::path::Path;
    use std::time::Duration;

    fn serving(typed: &[&str]) -> Settings {
        Arguments::parse_from([&["innkeeper"], typed].concat()).serve
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn nothing_typed_serves_the_site_on_this_machine() {
        let settings = serving(&[]);
        assert_eq!(settings.site.root, Path::new("html"));
        let address = "127.0.0.1:7890".parse().expect("an address");
        assert_eq!(settings.listen(), [Address { scheme: Scheme::Http, socket: address }]);
        assert_eq!((settings.site.guest.file, settings.log.verbose), (None, false));
        assert_eq!(settings.site.log.access, AccessLog::Combined);
    }

    #[test]
    fn several_addresses() {
        let settings = serving(&["--listen", "0.0.0.0:80", "--listen", "[::]:80", "site"]);
        let listen: Vec<_> = settings.listen().iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["http://0.0.0.0:80", "http://[::]:80"]);
        assert_eq!(settings.site.root, Path::new("site"));
    }

    #[test]
    fn default_address_is_for_tls_where_there_is_a_certificate() {
        let listen =
            |typed: &[&str]| serving(typed).listen().iter().map(ToString::to_string).collect();
        let check = |typed: &[&str], expected: &[&str]| {
            let listen: Vec<String> = listen(typed);
            assert_eq!(listen, expected, "{typed:?}");
        };
        check(&[], &["http://127.0.0.1:7890"]);
        check(&["--self-signed"], &["https://127.0.0.1:7890"]);
        check(&["--tls-certificate", "a.pem"], &["https://127.0.0.1:7890"]);
        check(&["--listen-tls", "[::1]:443"], &["https://[::1]:443"]);
        check(&["--self-signed", "--listen", "[::1]:80"], &["http://[::1]:80"]);
        check(
            &["--listen-tls", "[::1]:443", "--listen", "[::1]:80", "--listen", "0.0.0.0:80"],
            &["http://[::1]:80", "http://0.0.0.0:80", "https://[::1]:443"],
        );
    }

    #[test]
    fn limits_are_read_with_their_units() {
        let settings = serving(&["--guest-deadline", "2s", "--guest-memory", "1GiB"]);
        let limits = settings.guest_limits().decision;
        assert_eq!((limits.deadline, limits.memory_bytes), (Duration::from_secs(2), 1 << 30));
        let fallback = serving(&["--on-guest-failure", "fallback"]).site.guest.on_failure;
        assert_eq!(fallback, Fallback::Previous);
        let limits = serving(&["--keepalive-timeout", "5s", "--max-header-fields", "16"]);
        let (idle, fields) = (limits.limits.transport().idle, limits.limits.request().fields);
        assert_eq!((idle, fields), (Duration::from_secs(5), 16));
    }

    #[test]
    fn defaults_are_those_of_the_limits() {
        let settings = serving(&[]);
        let guest = (settings.guest_limits(), GuestLimits::default());
        assert_eq!(format!("{:?}", guest.0), format!("{:?}", guest.1));
        assert_eq!(settings.limits.http1(), http1::Limits::default());
        assert_eq!(settings.limits.transport(), transport::Limits::default());
        assert_eq!(settings.tls.limits(), tls::Limits::default());
        let http2 = (settings.http2().limits, http2::Limits::default());
        assert_eq!(format!("{:?}", http2.0), format!("{:?}", http2.1));
        assert_eq!(settings.cache.sizes(), CacheSizes::default());
        assert_eq!(settings.limits.max_connections, MAX_CONNECTIONS);
        let responses =
            (settings.limits.response_file_memory, settings.limits.response_reply_memory);
        assert_eq!(responses.0.as_u64(), in_flight::MAX_FILE_BYTES);
        assert_eq!(responses.1.as_u64(), in_flight::MAX_REPLY_BYTES);
    }

    #[test]
    fn limits_out_of_bounds_are_refused() {
        const SIZES: &str = "allowed are 64.0 KiB to 4.0 GiB";
        const TCP: &str = "not an IP address and a port; write 127.0.0.1:7891, 0.0.0.0:7891";
        for (flag, value, told) in [
            ("--guest-deadline", "0ms", "allowed are 1ms to 1m"),
            ("--guest-deadline", "2min", "allowed are 1ms to 1m"),
            ("--guest-deadline", "soon", "write a time as in 50ms or 1s, from 1ms to 1m"),
            ("--guest-memory", "1KiB", SIZES),
            ("--guest-memory", "5GiB", SIZES),
            ("--guest-memory", "lots", "write a size as in 64MiB or 512KiB, from 64.0 KiB"),
            ("--guest-stack", "2MiB", "allowed are 64.0 KiB to 1.0 MiB"),
            ("--file-cache-valid", "2s", "allowed are 0s to 1s"),
            ("--guest-table-elements", "0", "0 is not in 1..="),
            ("--guest-core-instances", "0", "0 is not in 1..="),
            ("--rollback-after", "0", "write a number from 1 to 1000"),
            ("--rollback-after", "1001", "write a number from 1 to 1000"),
            ("--max-header-fields", "101", "101 is not in 1..=100"),
            ("--max-connections", "0", "write a number from 1 to 500000"),
            ("--send-timeout", "0s", "allowed are 1s to 1h"),
            ("--workers", "0", "write a number from 1 to 1024"),
            ("--workers", "2000", "write a number from 1 to 1024"),
            ("--admin", "localhost:7891", TCP),
            ("--admin", "unix:", "write the path of the socket behind unix:"),
            ("--listen", "unix:", "write the path of the socket behind unix:"),
            ("--listen-tls", "unix:a", "has no TLS: write --listen unix:PATH"),
        ] {
            let error = Arguments::try_parse_from(["innkeeper", flag, value]).expect_err(flag);
            assert_eq!(error.kind(), ErrorKind::ValueValidation, "{error}");
            let error = error.to_string();
            let blamed = format!("invalid value '{value}' for '{flag} <");
            assert!(error.contains(&blamed) && error.contains(told), "{error}");
        }
    }

    #[test]
    fn the_administration_has_an_address_or_a_socket() {
        let admin = |typed| serving(&["--admin", typed]).admin.listen;
        let address = "127.0.0.1:1".parse().expect("an address");
        assert_eq!(admin("127.0.0.1:1"), Some(ListenAddress::Tcp(address)));
        assert_eq!(admin("http://127.0.0.1:1/"), Some(ListenAddress::Tcp(address)));
        assert_eq!(admin("unix:a/b"), Some(ListenAddress::Unix("a/b".into())));
        assert_eq!(serving(&[]).admin.listen, None);
    }

    #[test]
    fn a_guest_may_be_left_out_of_an_explanation() {
        let explain = |typed: &[&str]| {
            let typed = [&["innkeeper", "explain"], typed].concat();
            match Arguments::parse_from(typed).command {
                Some(Command::Explain(arguments)) => arguments,
                other => panic!("{other:?}"),
            }
        };
        let without = explain(&["GET / HTTP/1.1", "-H", "Accept: a:b"]);
        assert_eq!((without.guest, without.line.as_str()), (None, "GET / HTTP/1.1"));
        assert_eq!(without.fields, [("Accept".to_owned(), "a:b".to_owned())]);
        let with = explain(&["policy.wasm", "GET / HTTP/1.1"]);
        assert_eq!(with.guest.as_deref(), Some(Path::new("policy.wasm")));
        assert_eq!(with.line, "GET / HTTP/1.1");
    }
}
