//! What can be set of a server. Each setting is a flag, an environment variable and a
//! key of the configuration file; `sources` brings the three together.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tracing::Level;

use super::GuestArguments;
use super::clients::ClientArguments;
use super::values::{MAX_WORKERS, address, admin_address, file_cache_valid, size, workers};
use crate::admin::listener::AdminAddress;
use crate::files::cache_control::Rule;
use crate::files::{Links, Options, Resolver};
use crate::guest::GuestLimits;
use crate::guest::release::active::{FailurePolicy, Fallback};

const GUEST: &str = "Guest";
const SITE: &str = "Site";
const LOGS: &str = "Logs";
const ADMIN: &str = "Administration";

/// The port of the notes that the project began with, for this machine alone.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7890);

/// How to serve.
#[derive(Debug, Args)]
pub struct Settings {
    /// The directory to serve
    #[arg(default_value = "html")]
    pub root: PathBuf,

    /// An address to listen on
    ///
    /// May be given several times. Port 0 is any free port. Addresses of IPv6 go in brackets: `[::1]:7890`. Sockets
    /// that systemd hands over are used instead.
    #[arg(long, value_name = "ADDR:PORT", default_values_t = [DEFAULT_ADDRESS], value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Threads that serve [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = workers)]
    pub workers: Option<NonZeroUsize>,

    /// Read settings from this file
    ///
    /// Flags and environment come before it. A file in TOML. Its keys are the names of the flags: access-log = "json"
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Tell what is in force, and end
    ///
    /// With where each value comes from; the output is a file for --config.
    #[arg(long)]
    pub print_config: bool,

    /// Do not give up what serving does not need once everything is open
    ///
    /// Otherwise the process can open nothing but what is in the directory, the compiled
    /// guests, and by name its guest, cases and log; and it can neither connect anywhere nor
    /// run a program, as far as the kernel knows Landlock and seccomp.
    #[arg(long, hide_short_help = true)]
    pub no_sandbox: bool,

    /// Report each system call that the sandbox refuses
    ///
    /// On standard error, each call once, by its name. To find out which one is missing where
    /// something fails with "Operation not permitted" or "Function not implemented".
    #[arg(long, hide_short_help = true)]
    pub sandbox_report: bool,

    /// What else may be read beneath, once locked down
    ///
    /// The guest, its cases and the log need not be named: they are opened by their names
    /// wherever they are. May be given several times.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub allow_read: Vec<PathBuf>,

    /// The guest that decides [default: the built-in one]
    ///
    /// A WebAssembly component for the world in wit/policy.wit, or a core module built
    /// for it. When the file changes, and its new content passes its check, that serves.
    #[arg(long, value_name = "FILE", help_heading = GUEST)]
    pub guest: Option<PathBuf>,

    /// Cases that a guest must pass before it serves
    ///
    /// May be given several times.
    #[arg(long, value_name = "FILE", help_heading = GUEST)]
    pub cases: Vec<PathBuf>,

    /// Read the guest's file again only on SIGHUP
    #[arg(long, help_heading = GUEST)]
    pub no_watch: bool,

    /// What responds to a request on which the guest fails
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Fallback::Error, hide_short_help = true, help_heading = GUEST)]
    pub on_guest_failure: Fallback,

    /// Return to the guest that served before when so many of the last 1000 decisions
    /// failed [default: never]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000), hide_short_help = true, help_heading = GUEST)]
    pub rollback_after: Option<u32>,

    /// Bytes of decisions that each worker remembers; 0: none
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = size::<0, { 1 << 30 }>, hide_short_help = true, help_heading = GUEST)]
    pub decision_cache_size: ByteSize,

    /// Where compiled guests are kept; off: nowhere [default: ~/.cache/innkeeper]
    ///
    /// They are not compiled again at the next start. Nobody else may be able to write
    /// there. XDG_CACHE_HOME and systemd's CACHE_DIRECTORY change the default.
    #[arg(long, value_name = "DIR|off", value_parser = OsStringValueParser::new().map(CodeCache::from), hide_short_help = true, help_heading = GUEST)]
    pub code_cache: Option<CodeCache>,

    /// Limits of guests
    #[command(flatten)]
    pub guests: GuestArguments,

    /// What of the directory is served, and how
    #[command(flatten)]
    pub site: SiteArguments,

    /// Who the clients are, and what one of them may have
    #[command(flatten)]
    pub clients: ClientArguments,

    /// What to write for each request
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Combined, help_heading = LOGS)]
    pub access_log: LogFormat,

    /// Where to write it [default: standard output]
    ///
    /// The file is opened anew on SIGUSR1, for who moves it away.
    #[arg(long, value_name = "FILE", help_heading = LOGS)]
    pub access_log_file: Option<PathBuf>,

    /// Show each request's head as it came in, on standard error
    ///
    /// And more of what the server does.
    #[arg(short, long, help_heading = LOGS)]
    pub verbose: bool,

    /// How much to tell on standard error [default: info]
    ///
    /// RUST_LOG, if it is set, says it for each part of the program.
    #[arg(long, value_name = "LEVEL", value_enum, hide_short_help = true, help_heading = LOGS)]
    pub log_level: Option<LogLevel>,

    /// The form of what is told on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = DiagnosticFormat::Text, hide_short_help = true, help_heading = LOGS)]
    pub log_format: DiagnosticFormat,

    /// Where to listen for who runs the server
    ///
    /// There are its health, metrics, status, and another guest can be handed over. An address, or unix:PATH for a socket that only this user may open
    /// [default: nowhere].
    #[arg(long, value_name = "ADDR:PORT|unix:PATH", value_parser = admin_address, help_heading = ADMIN)]
    pub admin: Option<AdminAddress>,

    /// The file with the token that changing the guest needs
    ///
    /// At least 16 characters, on one line. Without it nothing can be changed where --admin
    /// is an address; a socket asks for none then.
    #[arg(long, value_name = "FILE", help_heading = ADMIN)]
    pub admin_token_file: Option<PathBuf>,
}

/// What of a directory is served, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = SITE)]
pub struct SiteArguments {
    /// List directories that have no index page
    ///
    /// As a page, or as JSON for who prefers that (Accept). Names that no URL can ask for are
    /// left out.
    #[arg(long)]
    pub listing: bool,

    /// What Cache-Control says of files that match a pattern
    ///
    /// The first that matches counts: 'assets/**=public, max-age=31536000, immutable'. A pattern with a `/` is for
    /// the path below the root, any other for the file's name, wherever it is; `*` stands for anything but `/`,
    /// `**` for any folders, `?` for a character, `[ab]` for one of these.
    #[arg(long, value_name = "PATTERN=VALUE", value_parser = Rule::parse)]
    pub cache_control: Vec<Rule>,

    /// Follow no symbolic links
    ///
    /// Otherwise those are followed that stay inside the directory; absolute ones if they begin with its path, as
    /// it was given or as it is without links.
    #[arg(long)]
    pub no_symlinks: bool,

    /// Do not compress text on the fly
    ///
    /// Ready-made .br, .zst and .gz beside a file are still sent.
    #[arg(long)]
    pub no_compress: bool,

    /// How long a busy worker may send a file without looking whether it has changed
    ///
    /// Up to 1s; 0s: it always looks, for about twice the CPU time. Busy is a worker with more
    /// than 500 requests a second. What clients may keep for more than a minute is always looked at.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = file_cache_valid, hide_short_help = true)]
    pub file_cache_valid: Duration,
}

/// Where compiled guests are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCache {
    /// Nowhere.
    Off,
    /// In this folder.
    In(PathBuf),
}

impl CodeCache {
    /// The folder: the one that was named, the one that systemd made
    /// (`CacheDirectory=`), or the user's (XDG Base Directory Specification 0.8).
    pub(super) fn folder(named: Option<&CodeCache>) -> Option<PathBuf> {
        // What is empty was switched off by who could not unset it.
        let named = named.filter(|named| **named != CodeCache::In(PathBuf::new()));
        match named {
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
}

impl From<OsString> for CodeCache {
    fn from(typed: OsString) -> CodeCache {
        if typed == "off" { CodeCache::Off } else { CodeCache::In(typed.into()) }
    }
}

/// The form of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line a request, as Apache httpd and nginx write it
    Combined,
    /// One JSON object a line, with the decision and the times
    Json,
    /// Nothing
    Off,
}

/// The form of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiagnosticFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed
    Error,
    /// And what may be wrong
    Warn,
    /// And what happens to the server
    Info,
    /// And what happens to requests
    Debug,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Level {
        match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
        }
    }
}

impl Settings {
    /// How many threads serve: what was asked for, or one for each core that
    /// this process may use.
    pub fn worker_count(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(|| cores().min(MAX_WORKERS))
    }

    /// How much is told on standard error, where RUST_LOG says nothing.
    pub fn level(&self) -> Level {
        let level = if self.verbose { LogLevel::Debug } else { LogLevel::Info };
        self.log_level.unwrap_or(level).into()
    }

    /// What a guest may use, and what is kept of its decisions.
    pub fn guest_limits(&self) -> GuestLimits {
        GuestLimits {
            decision_cache_bytes: self.decision_cache_size.as_u64(),
            ..self.guests.limits()
        }
    }

    /// The folder that compiled guests are kept in.
    pub fn code_cache(&self) -> Option<PathBuf> {
        CodeCache::folder(self.code_cache.as_ref())
    }

    /// What is done about a guest that fails on requests.
    pub fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy {
            fallback: self.on_guest_failure,
            roll_back_after: self.rollback_after.and_then(NonZeroU32::new),
            keep_previous: self.admin.is_some(),
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
            cache_control: self.cache_control.clone(),
            cache_valid: self.file_cache_valid,
        }
    }
}
