//! The command line: what was typed becomes [`Arguments`]. `values` reads what stands
//! behind a flag.

mod values;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::guest::GuestLimits;
use crate::guest::serving::{Answer, OnFailure};
use crate::site::freshness::Rule;
use crate::site::{Links, Options, Resolver};
use values::{MAX_WORKERS, address, deadline, field, recheck, size, workers};

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "innkeeper",
    version,
    about = "Serves a directory over HTTP. A WebAssembly guest decides how each request is answered.",
    after_help = "Without --guest the built-in policy decides: `/` and paths that end in `/` are \
        index pages, other paths are files, names that begin with a dot are private.",
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
    /// Run cases against a guest, without a server
    Test(TestArguments),
    /// Tell what a guest is, what it costs and whether it is fit to serve
    Check(CheckArguments),
    /// Show how one request is answered, and why
    Explain(ExplainArguments),
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Settings {
    /// The directory to serve
    #[arg(default_value = "html")]
    pub root: PathBuf,

    /// An address to listen on; may be given several times. Port 0 is any free
    /// port. Addresses of IPv6 go in brackets: [::1]:7890
    #[arg(long, value_name = "ADDR:PORT", default_values_t = [DEFAULT_ADDRESS], value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// The guest that decides: a WebAssembly component for the world in
    /// wit/policy.wit, or a core module built for it. When the file changes, and
    /// its new content passes its check, that serves
    #[arg(long, value_name = "FILE")]
    pub guest: Option<PathBuf>,

    /// Cases that a guest must pass before it serves; may be given several times
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,

    /// Read the guest's file again only on SIGHUP
    #[arg(long)]
    pub no_watch: bool,

    /// Who answers a request on which the guest fails. `previous` is the guest that
    /// served before; it may allow what the new one denies
    #[arg(long, value_name = "WHO", value_enum, default_value_t = OnTrap::Error)]
    pub on_trap: OnTrap,

    /// Return to the guest that served before when so many of the last 1000
    /// decisions failed [default: never]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rollback_after: Option<u32>,

    /// Bytes of decisions that each worker remembers; 0: none
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = size::<0, { 1 << 30 }>)]
    pub decision_memory: ByteSize,

    /// Where compiled guests are kept, so that they are not compiled again at the next
    /// start; off: nowhere. Nobody else may be able to write there
    /// [default: ~/.cache/innkeeper, or what XDG_CACHE_HOME or systemd say]
    #[arg(long, value_name = "DIR|off", value_parser = OsStringValueParser::new().map(CodeCache::from))]
    pub code_cache: Option<CodeCache>,

    /// Limits of guests
    #[command(flatten)]
    pub guests: GuestArguments,

    /// Threads that serve [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = workers)]
    pub workers: Option<NonZeroUsize>,

    /// What of the directory is served, and how
    #[command(flatten)]
    pub site: SiteArguments,

    /// What to write to standard output for each request
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Combined)]
    pub access_log: LogFormat,

    /// Show each request's head as it came in, and more of what the server does
    #[arg(short, long)]
    pub verbose: bool,
}

/// What of a directory is served, and how.
#[derive(Debug, Args)]
pub struct SiteArguments {
    /// List directories that have no index page: as a page, or as JSON for who
    /// accepts only that
    #[arg(long)]
    pub listing: bool,

    /// What Cache-Control says of files that match a pattern; the first that
    /// matches counts: 'assets/**=public, max-age=31536000, immutable'
    #[arg(long, value_name = "PATTERN=VALUE", value_parser = Rule::parse)]
    pub cache_control: Vec<Rule>,

    /// Follow no symbolic links, not even those that stay inside the directory
    #[arg(long)]
    pub no_symlinks: bool,

    /// Send text without a ready-made .br, .zst or .gz beside it as it is, instead
    /// of compressing it
    #[arg(long)]
    pub no_compress: bool,

    /// How long a worker that has more than 500 requests a second may send a file
    /// without looking whether it has changed, up to 1s; 0s: it always looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = recheck)]
    pub recheck: Duration,
}

/// What a guest may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of a guest")]
pub struct GuestArguments {
    /// How long one decision may take, from 1ms to 1min
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = deadline)]
    pub guest_deadline: Duration,

    /// Bytes of memory of one instance, from 64KiB to 4GiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<{ 64 << 10 }, { 4 << 30 }>)]
    pub guest_memory: ByteSize,

    /// Bytes of stack of one instance, from 64KiB to 1MiB
    #[arg(long, value_name = "SIZE", default_value = "512KiB", value_parser = size::<{ 64 << 10 }, { 1 << 20 }>)]
    pub guest_stack: ByteSize,

    /// Elements of each of its tables
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub guest_table: u32,

    /// Core instances that a component may be made of
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub guest_instances: u32,
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

/// Who answers when the guest fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnTrap {
    /// The host, with 500
    Error,
    /// The guest that served before this one, if there is one
    Previous,
}

/// Where compiled guests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCache {
    /// Nowhere.
    Off,
    /// In this folder.
    In(PathBuf),
}

impl From<OsString> for CodeCache {
    fn from(typed: OsString) -> CodeCache {
        if typed == "off" { CodeCache::Off } else { CodeCache::In(typed.into()) }
    }
}

/// How the outcome of cases is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutcomeFormat {
    /// What does not hold, and a count
    Text,
    /// All of it, for programs
    Json,
}

/// The form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line a request, as Apache httpd and nginx write it
    Combined,
    /// Nothing
    Off,
}

/// The port of the notes that the project began with, for this machine alone.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7890);

impl Arguments {
    /// Reads the command line. What is wrong with it is said on standard error,
    /// and ends the process with exit code 2.
    pub fn from_command_line() -> Arguments {
        Arguments::parse()
    }
}

impl Settings {
    /// How many threads serve: what was asked for, or one for each core that
    /// this process may use.
    pub fn worker_count(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(|| cores().min(MAX_WORKERS))
    }

    /// What a guest may use, and what is kept of its decisions.
    pub fn guest_limits(&self) -> GuestLimits {
        GuestLimits { remembered_bytes: self.decision_memory.as_u64(), ..self.guests.limits() }
    }

    /// The folder that compiled guests are kept in: the one that was named, the one
    /// that systemd made (`CacheDirectory=`), or the user's (XDG Base Directory
    /// Specification 0.8).
    pub fn code_cache(&self) -> Option<PathBuf> {
        match &self.code_cache {
            Some(CodeCache::Off) => None,
            Some(CodeCache::In(folder)) => Some(folder.clone()),
            None => {
                let folder = |name| std::env::var_os(name).map(PathBuf::from);
                let folder = |name| folder(name).filter(|folder| folder.is_absolute());
                let caches = || {
                    folder("XDG_CACHE_HOME")
                        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
                };
                folder("CACHE_DIRECTORY")
                    .or_else(|| caches().map(|caches| caches.join("innkeeper")))
            }
        }
    }

    /// What is done about a guest that fails on requests.
    pub fn on_failure(&self) -> OnFailure {
        OnFailure {
            answer: match self.on_trap {
                OnTrap::Error => Answer::Error,
                OnTrap::Previous => Answer::Previous,
            },
            roll_back_after: self.rollback_after.and_then(NonZeroU32::new),
        }
    }
}

impl GuestArguments {
    /// What a guest may use.
    pub fn limits(&self) -> GuestLimits {
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        GuestLimits {
            deadline: self.guest_deadline,
            memory_bytes: bytes(self.guest_memory),
            stack_bytes: bytes(self.guest_stack),
            table_elements: usize::try_from(self.guest_table).unwrap_or(usize::MAX),
            core_instances: self.guest_instances,
            ..GuestLimits::default()
        }
    }
}

impl SiteArguments {
    /// How the site is served.
    pub fn options(&self) -> Options {
        Options {
            resolver: Resolver::Kernel,
            links: if self.no_symlinks { Links::Refused } else { Links::Followed },
            compress: !self.no_compress,
            list: self.listing,
            freshness: self.cache_control.clone(),
            recheck: self.recheck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command, LogFormat, OnTrap, Settings};
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
        assert_eq!(serving(&["--on-trap", "previous"]).on_trap, OnTrap::Previous);
    }

    #[test]
    fn limits_out_of_bounds_are_refused() {
        for typed in [
            ["--guest-deadline", "0ms"],
            ["--guest-deadline", "2min"],
            ["--guest-deadline", "soon"],
            ["--guest-memory", "1KiB"],
            ["--guest-memory", "5GiB"],
            ["--guest-memory", "lots"],
            ["--guest-stack", "2MiB"],
            ["--recheck", "2s"],
            ["--guest-table", "0"],
            ["--guest-instances", "0"],
            ["--rollback-after", "0"],
            ["--rollback-after", "1001"],
            ["--workers", "0"],
            ["--workers", "2000"],
        ] {
            assert!(Arguments::try_parse_from([&["innkeeper"], &typed[..]].concat()).is_err());
        }
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
