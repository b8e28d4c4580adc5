//! Why a guest is not configured.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::configurable::INTERFACE;
use crate::text;

/// Why a guest is not configured. The same bytes with the same data never will be, with the same
/// limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationError {
    /// The guest refuses its data.
    Refused {
        /// Its sentence, on one line.
        sentence: String,
        /// Whether there is data.
        has_data: bool,
    },
    /// It traps; wasmtime's message.
    Trap(String),
    /// It takes more of a processor's time than this.
    Deadline(Duration),
    /// It takes more memory than it may; what it asks for.
    Memory(String),
    /// Its `configure` has another type; wasmtime's message.
    Type(String),
    /// Its state cannot be taken; why.
    State(String),
    /// There is data, and the guest takes none.
    NotTaken,
    /// There is data, and the guest was made of another one and its data.
    AlreadyConfigured,
}

impl ConfigurationError {
    /// Its code in the JSON of the administration.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigurationError::Refused { .. } => "configuration-refused",
            ConfigurationError::Trap(_)
            | ConfigurationError::Deadline(_)
            | ConfigurationError::Memory(_)
            | ConfigurationError::Type(_)
            | ConfigurationError::State(_) => "configuration-failed",
            ConfigurationError::NotTaken => "no-configuration",
            ConfigurationError::AlreadyConfigured => "already-configured",
        }
    }

    /// The error, with texts of one line and not too long: it may come from a process that has
    /// read the guest.
    pub(super) fn bounded(self) -> ConfigurationError {
        match self {
            ConfigurationError::Refused { sentence, has_data } => {
                ConfigurationError::Refused { sentence: text::error_line(sentence), has_data }
            }
            ConfigurationError::Trap(why) => ConfigurationError::Trap(text::error_line(why)),
            ConfigurationError::Memory(why) => ConfigurationError::Memory(text::error_line(why)),
            ConfigurationError::Type(why) => ConfigurationError::Type(text::error_line(why)),
            ConfigurationError::State(why) => ConfigurationError::State(text::error_line(why)),
            ConfigurationError::Deadline(_)
            | ConfigurationError::NotTaken
            | ConfigurationError::AlreadyConfigured => self,
        }
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigurationError::Refused { sentence, has_data: true } => {
                write!(f, "the guest refuses its data: {sentence}")
            }
            ConfigurationError::Refused { sentence, has_data: false } => {
                write!(f, "the guest refuses to serve without data (--data): {sentence}")
            }
            ConfigurationError::Trap(why) => {
                write!(f, "the guest traps while it is configured: {why}")
            }
            ConfigurationError::Deadline(limit) => write!(
                f,
                "the guest's configuration takes more than the {limit:?} of a processor that it \
                 may (--configure-time)"
            ),
            ConfigurationError::Memory(what) => write!(
                f,
                "the guest's configuration takes more memory than it may (--guest-memory): {what}"
            ),
            ConfigurationError::Type(why) => write!(
                f,
                "the guest's `configure` has another type than that of wit/policy.wit: {why}"
            ),
            ConfigurationError::State(why) => {
                write!(f, "the guest's state after its configuration cannot be taken: {why}")
            }
            ConfigurationError::NotTaken => write!(
                f,
                "the guest takes no data: it does not export {INTERFACE}; serve it without data, \
                 or build it for the world `configurable-guest` of wit/policy.wit"
            ),
            ConfigurationError::AlreadyConfigured => f.write_str(
                "the guest holds its data already (innkeeper bake): serve it without data, or \
                 serve the guest that it was made of",
            ),
        }
    }
}

impl std::error::Error for ConfigurationError {}
