//! The command line: what was typed, what the environment says and what the
//! configuration file says become [`Arguments`].
//!
//! - [`serve`]: the settings of a server.
//!   - [`clients`]: those about who asks.
//! - [`sources`]: which of the three says what.
//! - `values`: reads what stands behind a flag.

pub mod clients;
pub mod serve;
pub mod sources;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use serve::{CodeCache, DiagnosticFormat, LogFormat, Settings, SiteArguments};
pub use sources::EffectiveSetting;

use crate::admin::listener::AdminAddress;
use crate::diagnostics::complain;
use crate::guest::GuestLimits;
use crate::guest::runtime::compile::CompileLimits;
use values::{admin_address, compile_time, deadline, field, project_name, size};

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "innkeeper",
    version,
    about = "Serves a directory over HTTP. A WebAssembly guest decides how each request is answered.",
    after_help = "Each flag is also an environment variable (INNKEEPER_ACCESS_LOG) and a key of the file \
        that --config names (access-log). --help tells more, and more flags.",
    after_long_help = "Without --guest the built-in policy decides: `/` and paths that end in `/` are \
        index pages, other paths are files, names that begin with a dot are private.\n\n\
        Each flag is also an environment variable (INNKEEPER_ACCESS_LOG=json; several values are \
        parted by `;`) and a key of the file that --config names (access-log = \"json\").",
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

/// What can be done besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a policy to begin with, with its tests, cases and build
    New(NewArguments),
    /// Run cases against a guest, without a server
    Test(TestArguments),
    /// Tell what a guest is, what it costs and whether it is fit to serve
    Check(CheckArguments),
    /// Compile a guest ahead of the start that needs it
    Compile(CompileArguments),
    /// Show how one request is answered, and why
    Explain(ExplainArguments),
    /// Serve while a guest is written: build, check, swap, and load pages anew
    Dev(Box<DevArguments>),
    /// Ask a server's administration whether it is well
    Health {
        /// Where it is, as --admin has it
        #[arg(value_name = "ADDR:PORT|unix:PATH", env = "INNKEEPER_ADMIN", value_parser = admin_address)]
        admin: AdminAddress,
    },
    /// Write what a shell needs to complete this command line
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual page
    Man,
}

/// What a guest may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of a guest")]
pub struct GuestArguments {
    /// How long one decision may take, from 1ms to 1min
    #[arg(long, hide_short_help = true, value_name = "TIME", default_value = "100ms", value_parser = deadline)]
    pub guest_deadline: Duration,

    /// Bytes of memory of one instance, from 64KiB to 4GiB
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "64MiB", value_parser = size::<{ 64 << 10 }, { 4 << 30 }>)]
    pub guest_memory: ByteSize,

    /// Bytes of stack of one instance, from 64KiB to 1MiB
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "512KiB", value_parser = size::<{ 64 << 10 }, { 1 << 20 }>)]
    pub guest_stack: ByteSize,

    /// Elements of each of its tables
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub guest_table_elements: u32,

    /// Core instances that a component may be made of
    #[arg(long, hide_short_help = true, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub guest_core_instances: u32,

    /// Bytes of memory that compiling one may take, from 64MiB to 64GiB
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "1GiB", value_parser = size::<{ 64 << 20 }, { 64 << 30 }>)]
    pub compile_memory: ByteSize,

    /// Time of a processor that compiling one may take for each MiB of it, from 1s to 1h
    ///
    /// One that is smaller has as much.
    #[arg(long, hide_short_help = true, value_name = "TIME", default_value = "10s", value_parser = compile_time)]
    pub compile_time: Duration,
}

/// `innkeeper test`
#[derive(Debug, Args)]
pub struct TestArguments {
    /// The guest
    pub guest: PathBuf,

    /// Files of cases, as `guest/cases.toml` of the sources is one
    #[arg(required = true)]
    pub cases: Vec<PathBuf>,

    /// How to tell the outcome
    #[arg(long, value_enum, default_value_t = OutcomeFormat::Text)]
    pub format: OutcomeFormat,

    /// Limits of the guest
    #[command(flatten)]
    pub guests: GuestArguments,
}

/// `innkeeper check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// Cases that it must pass; may be given several times
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,

    /// Limits of the guest
    #[command(flatten)]
    pub guests: GuestArguments,
}

/// `innkeeper new`
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Its name, and that of its folder: letters, digits and dashes
    #[arg(value_parser = project_name)]
    pub name: String,

    /// The language that it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
}

/// A language that a policy can begin in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust
    Rust,
    /// JavaScript
    Js,
    /// Python
    Python,
    /// C
    C,
}

/// `innkeeper dev`
#[derive(Debug, Args)]
pub struct DevArguments {
    /// How the guest is built, for a shell: 'cargo build --target wasm32-unknown-unknown'
    ///
    /// It is run at the start, and whenever a source changes.
    #[arg(long, value_name = "COMMAND")]
    pub build: Option<String>,

    /// What the guest is built from, a folder or a file [default: src, if there is one]
    ///
    /// May be given several times.
    #[arg(long, value_name = "PATH")]
    pub source: Vec<PathBuf>,

    /// How to serve
    #[command(flatten)]
    pub serve: Settings,
}

/// `innkeeper compile`
#[derive(Debug, Args)]
pub struct CompileArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// Where compiled guests are kept [default: ~/.cache/innkeeper]
    ///
    /// Nobody else may be able to write there. XDG_CACHE_HOME and systemd's CACHE_DIRECTORY
    /// change the default.
    #[arg(long, value_name = "DIR", env = "INNKEEPER_CODE_CACHE", value_parser = OsStringValueParser::new().map(CodeCache::from))]
    pub code_cache: Option<CodeCache>,

    /// Limits of the guest: what is compiled serves a server with the same
    #[command(flatten)]
    pub guests: GuestArguments,
}

impl CompileArguments {
    /// The folder that compiled guests are kept in.
    pub fn code_cache(&self) -> Option<PathBuf> {
        CodeCache::folder(self.code_cache.as_ref())
    }
}

/// `innkeeper explain`
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct ExplainArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// The request line, as in 'GET /a%20b HTTP/1.1'
    #[arg(required = true)]
    pub line: String,

    /// A header field of the request; may be given several times. Without a Host
    /// there is `Host: localhost`
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    pub fields: Vec<(String, String)>,

    /// The directory that would be served
    #[arg(long, value_name = "DIR", default_value = "html")]
    pub root: PathBuf,

    /// What of it is served, and how
    #[command(flatten)]
    pub site: SiteArguments,

    /// Limits of the guest
    #[command(flatten)]
    pub guests: GuestArguments,
}

/// How the outcome of cases is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutcomeFormat {
    /// The cases that failed, and a count
    Text,
    /// All of it, for programs
    Json,
}

impl Arguments {
    /// Reads the command line, the environment and the configuration file, and tells
    /// what is in force where a server is started. What is wrong is said on standard
    /// error, and ends the process with exit code 2.
    pub fn read() -> (Arguments, Vec<EffectiveSetting>) {
        let typed: Vec<_> = std::env::args_os().collect();
        sources::read(&typed, |name| std::env::var_os(name)).unwrap_or_else(|fault| match fault {
            sources::ConfigError::Cli(error) => error.exit(),
            sources::ConfigError::Source(problem) => {
                complain(format_args!("error: {problem}"));
                std::process::exit(2)
            }
        })
    }
}

impl GuestArguments {
    /// What compiling a guest may use.
    pub fn compile_limits(&self) -> CompileLimits {
        CompileLimits { memory_bytes: self.compile_memory.as_u64(), time: self.compile_time }
    }

    /// What a guest may use.
    pub fn limits(&self) -> GuestLimits {
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        GuestLimits {
            deadline: self.guest_deadline,
            memory_bytes: bytes(self.guest_memory),
            stack_bytes: bytes(self.guest_stack),
            table_elements: usize::try_from(self.guest_table_elements).unwrap_or(usize::MAX),
            core_instances: self.guest_core_instances,
            ..GuestLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command, LogFormat, Settings};
    use crate::admin::listener::AdminAddress;
    use crate::guest::release::active::Fallback;
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
        assert_eq!(settings.root, Path::new("html"));
        assert_eq!(settings.listen, ["127.0.0.1:7890".parse().expect("an address")]);
        assert_eq!((settings.guest, settings.verbose), (None, false));
        assert_eq!(settings.access_log, LogFormat::Combined);
    }

    #[test]
    fn several_addresses() {
        let settings = serving(&["--listen", "0.0.0.0:80", "--listen", "[::]:80", "site"]);
        let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["0.0.0.0:80", "[::]:80"]);
        assert_eq!(settings.root, Path::new("site"));
    }

    #[test]
    fn limits_are_read_with_their_units() {
        let settings = serving(&["--guest-deadline", "2s", "--guest-memory", "1GiB"]);
        let limits = settings.guest_limits();
        assert_eq!((limits.deadline, limits.memory_bytes), (Duration::from_secs(2), 1 << 30));
        let defaults = crate::guest::GuestLimits::default();
        assert_eq!(format!("{:?}", serving(&[]).guest_limits()), format!("{defaults:?}"));
        assert_eq!(
            serving(&["--on-guest-failure", "fallback"]).on_guest_failure,
            Fallback::Previous
        );
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
            ("--rollback-after", "0", "0 is not in 1..=1000"),
            ("--rollback-after", "1001", "1001 is not in 1..=1000"),
            ("--workers", "0", "write a number from 1 to 1024"),
            ("--workers", "2000", "write a number from 1 to 1024"),
            ("--admin", "localhost:7891", TCP),
            ("--admin", "unix:", "write the path of the socket behind unix:"),
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
        let admin = |typed| serving(&["--admin", typed]).admin;
        let address = "127.0.0.1:1".parse().expect("an address");
        assert_eq!(admin("127.0.0.1:1"), Some(AdminAddress::Tcp(address)));
        assert_eq!(admin("http://127.0.0.1:1/"), Some(AdminAddress::Tcp(address)));
        assert_eq!(admin("unix:a/b"), Some(AdminAddress::Unix("a/b".into())));
        assert_eq!(serving(&[]).admin, None);
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
