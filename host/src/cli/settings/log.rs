//! `[log]`: the access log and the diagnostics.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing::Level;

use crate::cli::values::field_name;
use crate::diagnostics::Form;
use crate::log::{Format, LogFields};

/// The access log and the diagnostics.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// Format of the access log
    #[arg(id = "access_log", long = "access-log", value_name = "FORMAT", value_enum, default_value_t = AccessLog::Combined)]
    pub access: AccessLog,

    /// File of the access log [default: standard output]
    ///
    /// SIGUSR1 opens the file again after rotation.
    #[arg(id = "access_log_file", long = "access-log-file", value_name = "FILE")]
    pub access_file: Option<PathBuf>,

    /// Fields of the access log in JSON [default: all]
    ///
    /// Names between commas, as in timestamp,client,method,host,path,status. Needs --access-log
    /// json.
    #[arg(id = "access_log_fields", long = "access-log-fields", value_name = "NAMES", value_parser = |text: &str| text.parse::<LogFields>(), hide_short_help = true)]
    pub access_fields: Option<LogFields>,

    /// Give each request an id, in this field of its response: X-Request-Id
    ///
    /// The id that a request has in this field is kept, if it consists of up to 128 letters,
    /// digits and characters of -_.:+/=@; a request without one gets a random one. It is in the
    /// access log in JSON.
    #[arg(id = "request_id", long = "request-id", value_name = "FIELD", value_parser = field_name, hide_short_help = true)]
    pub request_id: Option<String>,

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
    /// The format of the access log, if there is one.
    pub fn access_format(&self) -> Option<Format> {
        self.access.format(self.access_fields)
    }

    /// The lowest level of diagnostics, where RUST_LOG sets none.
    pub fn level(&self) -> Level {
        let level = if self.verbose { LogLevel::Debug } else { LogLevel::Info };
        self.level.unwrap_or(level).into()
    }
}

/// The format of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessLog {
    /// One line for each request, as Apache httpd and nginx write it
    Combined,
    /// The same behind the host and its port, as Apache httpd's vhost_combined
    VhostCombined,
    /// One JSON object for each request, with the decision and the times
    Json,
    /// No access log
    Off,
}

impl AccessLog {
    /// The format, if there is an access log.
    fn format(self, fields: Option<LogFields>) -> Option<Format> {
        match self {
            AccessLog::Combined => Some(Format::Combined),
            AccessLog::VhostCombined => Some(Format::VhostCombined),
            AccessLog::Json => Some(Format::Json(fields.unwrap_or(LogFields::ALL))),
            AccessLog::Off => None,
        }
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
