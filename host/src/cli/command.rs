//! The arguments of each command.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use innkeeper_cases::{Fact, FactError, Facts};
use innkeeper_guest::basic_auth::users::{ITERATIONS, USUAL_ITERATIONS};

use super::configured::Configured;
use super::root;
use super::settings::Settings;
use super::settings::cache::CodeCache;
use super::settings::files::FileSettings;
use super::settings::guest::GuestLimitSettings;
use super::settings::rules::RulesSettings;
use super::values::{fact, field, project_name};

/// Rules in place of a guest.
#[derive(Debug, Args)]
pub struct RuleArguments {
    /// The directory whose _redirects and _headers count
    #[arg(long, value_name = "DIR", help_heading = "Rules")]
    pub root: Option<PathBuf>,

    /// The rules
    #[command(flatten)]
    pub rules: RulesSettings,
}

/// `innkeeper test`
#[derive(Debug, Args)]
pub struct TestArguments {
    /// The guest; files of cases alone where rules decide, or the guest of a configuration
    pub guest: Option<PathBuf>,

    /// Files of cases, such as guest/cases.toml of the sources. A file of rules may hold its own
    pub cases: Vec<PathBuf>,

    /// Data that the guest is configured with
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Format of the outcome
    #[arg(long, value_enum, default_value_t = OutcomeFormat::Text)]
    pub format: OutcomeFormat,

    /// The configuration of a server
    #[command(flatten)]
    pub configured: Configured,

    /// Rules in place of a guest
    #[command(flatten)]
    pub rules: RuleArguments,

    /// Where compiled guests are kept
    #[command(flatten)]
    pub code: CodeCacheArguments,

    /// What the guest may use
    #[command(flatten)]
    pub limits: GuestLimitSettings,
}

/// `innkeeper check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// Data that the guest is configured with
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Cases that it must pass; may be given several times
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,

    /// The configuration of a server
    #[command(flatten)]
    pub configured: Configured,

    /// Rules in place of a guest
    #[command(flatten)]
    pub rules: RuleArguments,

    /// Where compiled guests are kept
    #[command(flatten)]
    pub code: CodeCacheArguments,

    /// What the guest may use
    #[command(flatten)]
    pub limits: GuestLimitSettings,
}

/// `innkeeper new`
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Name of the project and of its directory: letters, digits and dashes
    #[arg(value_parser = project_name)]
    pub name: String,

    /// Programming language of the guest
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,

    /// What the policy does
    #[arg(long, value_enum, default_value_t = Template::Plain)]
    pub template: Template,

    /// Make a guest in Rust that decides by these rules
    ///
    /// The file must have cases: they are written along, and prove the guest. It is built on the
    /// library in the sources of innkeeper.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["lang", "template"])]
    pub from_rules: Option<PathBuf>,
}

/// What the policy of a project does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// It decides by the request alone
    Plain,
    /// It redirects by a table, which is its data: what --data names
    Data,
}

/// A language that a project can be created in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust
    Rust,
    /// JavaScript
    Js,
    /// TypeScript
    Ts,
    /// Python
    Python,
    /// C
    C,
    /// Go
    Go,
}

/// `innkeeper password`
#[derive(Debug, Args)]
pub struct PasswordArguments {
    /// Name of the user [default: asks for it]
    pub name: Option<String>,

    /// Rounds of stretching: more cost each guess more, and each request
    #[arg(long, value_name = "COUNT", default_value_t = USUAL_ITERATIONS, value_parser = clap::value_parser!(u32).range(i64::from(*ITERATIONS.start())..=i64::from(*ITERATIONS.end())))]
    pub iterations: u32,
}

/// `innkeeper dev`
#[derive(Debug, Args)]
pub struct DevArguments {
    /// Shell command that builds the guest: 'cargo build --target wasm32-unknown-unknown'
    ///
    /// It runs at the start, and whenever a source changes.
    #[arg(long, value_name = "COMMAND", help_heading = "Dev")]
    pub build: Option<String>,

    /// A directory or file that the guest is built from [default: src, if it exists]
    ///
    /// May be given several times.
    #[arg(long, value_name = "PATH", help_heading = "Dev")]
    pub source: Vec<PathBuf>,

    /// How to serve
    #[command(flatten)]
    pub serve: Settings,
}

/// `innkeeper acme`
#[derive(Debug, Args)]
pub struct AcmeArguments {
    /// Order of the authority for trying, and keep nothing
    #[arg(long, required = true, help_heading = "ACME")]
    pub dry_run: bool,

    /// What would be served: the names, how they are proved, and where
    #[command(flatten)]
    pub serve: Settings,
}

/// `innkeeper compile`
#[derive(Debug, Args)]
pub struct CompileArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// Data that the guest is configured with
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Where compiled guests are kept
    #[command(flatten)]
    pub code: CodeCacheArguments,

    /// The configuration of a server
    #[command(flatten)]
    pub configured: Configured,

    /// Rules in place of a guest
    #[command(flatten)]
    pub rules: RuleArguments,

    /// What the guest may use: the result is for a server with the same limits
    #[command(flatten)]
    pub limits: GuestLimitSettings,
}

/// Where a command keeps compiled guests, for a server or another command.
#[derive(Debug, Args)]
pub struct CodeCacheArguments {
    /// Directory of compiled guests; off: none is kept [default: ~/.cache/innkeeper]
    ///
    /// No other user may be able to write there. XDG_CACHE_HOME and systemd's CACHE_DIRECTORY
    /// change the default.
    #[arg(long, value_name = "DIR|off", value_parser = OsStringValueParser::new().map(CodeCache::from))]
    pub code_cache: Option<CodeCache>,
}

impl CodeCacheArguments {
    /// The directory, if there is one.
    pub fn directory(&self) -> Option<PathBuf> {
        CodeCache::directory(self.code_cache.as_ref())
    }

    /// Whether it was named, and has to be usable.
    pub fn is_named(&self) -> bool {
        self.code_cache.is_some()
    }
}

/// `innkeeper bake`
#[derive(Debug, Args)]
pub struct BakeArguments {
    /// The guest; left out where rules decide
    pub guest: Option<PathBuf>,

    /// Data that it is configured with
    pub data: Option<PathBuf>,

    /// Where the guest that holds its data is written
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// The configuration of a server
    #[command(flatten)]
    pub configured: Configured,

    /// Rules in place of a guest
    #[command(flatten)]
    pub rules: RuleArguments,

    /// Where compiled guests are kept
    #[command(flatten)]
    pub code: CodeCacheArguments,

    /// What the guest may use
    #[command(flatten)]
    pub limits: GuestLimitSettings,
}

/// `innkeeper explain`
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct ExplainArguments {
    /// The guest [default: the built-in one]
    pub guest: Option<PathBuf>,

    /// The request line, as in 'GET /a%20b HTTP/1.1'; a path or a URL alone is one of GET
    #[arg(required = true)]
    pub line: String,

    /// Data that the guest is configured with
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// A header field of the request; may be given several times. Without a Host
    /// there is `Host: localhost`
    #[arg(short = 'H', long = "field", value_name = "NAME: VALUE", value_parser = field)]
    pub fields: Vec<(String, String)>,

    /// The request comes over TLS
    #[arg(long)]
    pub https: bool,

    /// The request comes by HTTP/2
    #[arg(long)]
    pub http2: bool,

    /// A fact of the request, as in client-name=alice; may be given several times
    ///
    /// wit/policy.wit explains them: client-address, scheme, protocol, tls-version,
    /// tls-server-name, client-certificate, client-name, time/N and client-bucket/N. One of TLS
    /// makes the request one over TLS. Without a time/N, as in time/60=1735689600, the time is the
    /// present one. A client-bucket/N is 0 if it is not given.
    #[arg(long = "fact", value_name = "NAME=VALUE", value_parser = fact)]
    pub facts: Vec<(Fact, String)>,

    /// The directory that would be served [default: html, or else the current directory]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// The configuration of a server
    #[command(flatten)]
    pub configured: Configured,

    /// Rules in place of a guest
    #[command(flatten)]
    pub rules: RulesSettings,

    /// Which of its files are served, and how
    #[command(flatten)]
    pub files: FileSettings,

    /// Where compiled guests are kept
    #[command(flatten)]
    pub code: CodeCacheArguments,

    /// What the guest may use
    #[command(flatten)]
    pub limits: GuestLimitSettings,
}

impl ExplainArguments {
    /// The directory that would be served.
    pub fn root(&self) -> PathBuf {
        self.root.clone().unwrap_or_else(root::find)
    }

    /// The facts of the request, unless they contradict each other.
    pub fn request_facts(&self) -> Result<Facts, FactError> {
        self.facts_over(self.https)
    }

    /// The same of a request that comes over TLS.
    pub fn secured_facts(&self) -> Result<Facts, FactError> {
        self.facts_over(true)
    }

    fn facts_over(&self, https: bool) -> Result<Facts, FactError> {
        let mut facts = Facts::default();
        let secured = https.then_some((Fact::TlsVersion, "1.3"));
        let http2 = self.http2.then_some((Fact::Protocol, "h2"));
        let stated = self.facts.iter().map(|(fact, value)| (*fact, value.as_str()));
        for (fact, value) in secured.into_iter().chain(http2).chain(stated) {
            facts.state(fact, value)?;
        }
        Ok(facts)
    }
}

/// The format of the outcome of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutcomeFormat {
    /// The cases that failed, and a count
    Text,
    /// All cases, for programs
    Json,
}
