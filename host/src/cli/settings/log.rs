//! `[log]`: the diagnostics. [`request_log`](super::request_log) has the access log.

use clap::{Args, ValueEnum};
use tracing::Level;

use crate::diagnostics::Form;

/// The diagnostics.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// Print each request head as received to standard error
    ///
    /// Sets the log level to debug, too.
    #[arg(short, long)]
    pub verbose: bool,

    /// Lowest level of diagnostics on standard error [default: info]
    ///
    /// RUST_LOG, if it is set, takes precedence, and may set a level for each module.
    #[arg(
        id = "log_level",
        long = "log-level",
        value_name = "LEVEL",
        value_enum,
        hide_short_help = true
    )]
    pub level: Option<LogLevel>,

    /// Format of diagnostics
    #[arg(id = "log_format", long = "log-format", value_name = "FORMAT", value_enum, default_value_t = Form::Text, hide_short_help = true)]
    pub format: Form,
}

impl LogSettings {
    /// The lowest level of diagnostics, where RUST_LOG sets none.
    pub fn level(&self) -> Level {
        let level = if self.verbose { LogLevel::Debug } else { LogLevel::Info };
        self.level.unwrap_or(level).into()
    }
}

/// The lowest level of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Failures
    Error,
    /// Also possible mistakes
    Warn,
    /// Also events of the server
    Info,
    /// Also events of requests
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
