//! `[log]`: the access log of a site, and the ids of its requests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::values::field_name;
use crate::log::{Format, LogFields};

/// The access log, and the ids of requests.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct RequestLogSettings {
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
    /// Names between commas, as in timestamp,client,method,host,path,status, or given several
    /// times. Needs --access-log json.
    #[arg(id = "access_log_fields", long = "access-log-fields", value_name = "NAMES", value_delimiter = ',', value_parser = |text: &str| text.parse::<LogFields>(), hide_short_help = true)]
    pub access_fields: Vec<LogFields>,

    /// Give each request an id, in this field of its response: X-Request-Id
    ///
    /// The id that a request has in this field is kept, if it consists of up to 128 letters,
    /// digits and characters of -_.:+/=@; a request without one gets a random one. It is in the
    /// access log in JSON.
    #[arg(id = "request_id", long = "request-id", value_name = "FIELD", value_parser = field_name, hide_short_help = true)]
    pub request_id: Option<String>,
}

impl RequestLogSettings {
    /// The format of the access log, if there is one.
    pub fn access_format(&self) -> Option<Format> {
        let fields = self.access_fields.iter().copied().reduce(LogFields::and);
        self.access.format(fields)
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
