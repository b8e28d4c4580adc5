//! The command line: what was typed becomes [`Settings`].

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::site::freshness::Rule;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "innkeeper",
    version,
    about = "Serves a directory over HTTP. A WebAssembly guest decides how each request is answered.",
    after_help = "Without --guest the built-in policy decides: `/` and paths that end in `/` are \
        index pages, other paths are files, names that begin with a dot are private."
)]
pub struct Settings {
    /// The directory to serve
    #[arg(default_value = "html")]
    pub root: PathBuf,

    /// An address to listen on; may be given several times. Port 0 is any free
    /// port. Addresses of IPv6 go in brackets: [::1]:7890
    #[arg(long, value_name = "ADDR:PORT", default_values_t = [DEFAULT_ADDRESS], value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// The guest that decides: a WebAssembly component for the world in
    /// wit/policy.wit, or a core module built for it
    #[arg(long, value_name = "FILE")]
    pub guest: Option<PathBuf>,

    /// Threads that serve [default: one for each core]
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,

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

    /// What to write to standard output for each request
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Combined)]
    pub access_log: LogFormat,

    /// Show each request's head as it came in, and more of what the server does
    #[arg(short, long)]
    pub verbose: bool,
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

impl Settings {
    /// Reads the command line. What is wrong with it is said on standard error,
    /// and ends the process with exit code 2.
    pub fn from_command_line() -> Settings {
        Settings::parse()
    }

    /// How many threads serve: what was asked for, or one for each core that
    /// this process may use.
    pub fn worker_count(&self) -> NonZeroUsize {
        self.workers
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

/// Reads an address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let example = match text.rsplit_once(':').map_or(text, |(_, port)| port).parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}, 0.0.0.0:{port} or [::1]:{port}"),
            Err(_) => "127.0.0.1:7890, 0.0.0.0:7890 or [::1]:7890".to_owned(),
        };
        format!("not an IP address and a port; write {example}")
    })
}

#[cfg(test)]
mod tests {
    use super::{LogFormat, Settings, address};
    use clap::{CommandFactory, Parser};
    use std::path::Path;

    #[test]
    fn the_definition_is_sound() {
        Settings::command().debug_assert();
    }

    #[test]
    fn nothing_typed_serves_the_site_on_this_machine() {
        let settings = Settings::parse_from(["innkeeper"]);
        assert_eq!(settings.root, Path::new("html"));
        assert_eq!(settings.listen, ["127.0.0.1:7890".parse().expect("an address")]);
        assert_eq!((settings.guest, settings.verbose), (None, false));
        assert_eq!(settings.access_log, LogFormat::Combined);
    }

    #[test]
    fn several_addresses() {
        let typed = ["innkeeper", "--listen", "0.0.0.0:80", "--listen", "[::]:80", "site"];
        let settings = Settings::parse_from(typed);
        let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["0.0.0.0:80", "[::]:80"]);
        assert_eq!(settings.root, Path::new("site"));
    }

    #[test]
    fn a_wrong_address_is_told_the_right_one() {
        for (text, example) in [
            ("localhost:8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("8080", "127.0.0.1:8080"),
            ("127.0.0.1", "127.0.0.1:7890"),
            ("::1:x", "[::1]:7890"),
            ("1.2.3.4:99999", "127.0.0.1:7890"),
        ] {
            let error = address(text).expect_err("no address");
            assert!(error.contains(example), "{text:?}: {error}");
        }
    }
}
