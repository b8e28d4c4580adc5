//! Why there is no configuration, and how a mistake is described.

use std::error::Error as _;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::diagnostics;
use crate::text::one_line;

/// A mistake in a value or in a source: a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistake {}

impl From<String> for Mistake {
    fn from(sentence: String) -> Mistake {
        Mistake(sentence)
    }
}

impl From<&str> for Mistake {
    fn from(sentence: &str) -> Mistake {
        Mistake(sentence.to_owned())
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line is wrong, or asks for help.
    Cli(clap::Error),
    /// The environment or the file is wrong.
    Source(Vec<Mistake>),
}

impl ConfigError {
    /// Prints the help that was asked for, or the mistakes to standard error. Gives the exit
    /// code of the process: 2 for mistakes.
    pub fn report(&self) -> ExitCode {
        match self {
            ConfigError::Cli(error) => {
                let printed = error.print().and_then(|()| io::stdout().flush());
                // Where standard error cannot be written, the exit code tells.
                if let (Err(error), false) = (printed, error.use_stderr()) {
                    diagnostics::error(&format_args!("cannot write to standard output: {error}"));
                    return ExitCode::FAILURE;
                }
                // 0 for help and version.
                u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
            }
            ConfigError::Source(problems) => {
                for problem in problems {
                    diagnostics::error(problem);
                }
                ExitCode::from(2)
            }
        }
    }
}

impl From<clap::Error> for ConfigError {
    fn from(error: clap::Error) -> ConfigError {
        ConfigError::Cli(error)
    }
}

/// Why clap refuses a value, without the flag, which was not typed: one line.
pub(super) fn reason(error: &clap::Error) -> Mistake {
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => format!("invalid value {value:?}"),
        _ => "invalid value".to_owned(),
    };
    let sentence = match (error.kind(), error.source(), error.get(ContextKind::ValidValue)) {
        (ErrorKind::ValueValidation, Some(reason), _) => {
            format!("{value}: {}", one_line(&reason.to_string()))
        }
        (ErrorKind::InvalidValue, _, Some(ContextValue::Strings(valid))) => {
            format!("{value}: write one of {}", valid.join(", "))
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    };
    sentence.into()
}
