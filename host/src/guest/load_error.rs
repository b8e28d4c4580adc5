//! Why a guest was not loaded.

use std::fmt;

use super::decision::interests::InterestsError;
use super::runtime::component::FormError;
use super::runtime::configuration_error::ConfigurationError;
use super::runtime::contract::ContractError;
use super::runtime::job_error::CompileError;

/// Why a guest was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Its bytes are no component, and describe none.
    Form(FormError),
    /// It does not compile.
    Compile(CompileError),
    /// It is not configured.
    Configuration(ConfigurationError),
    /// It needs more than its limits.
    Limit(LimitError),
    /// It does not fit the contract.
    Contract(ContractError),
    /// Its interests are not accepted.
    Interests(InterestsError),
    /// It could not be compiled now, whatever it is: what the compiler lacks.
    Unavailable(String),
    /// Its caller has gone.
    Canceled,
}

/// A limit that a guest does not start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// Its memory begins with more bytes than it may have.
    Memory {
        /// The bytes that it begins with.
        needed: u64,
        /// The bytes that it may have.
        limit: usize,
    },
    /// Another limit; wasmtime's message.
    Other(String),
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::Memory { needed, limit } => write!(
                f,
                "the guest's memory begins with {} KiB, and it may have {} KiB (--guest-memory)",
                needed >> 10,
                limit >> 10
            ),
            LimitError::Other(why) => write!(f, "the guest needs more than its limits: {why}"),
        }
    }
}

impl std::error::Error for LimitError {}

impl LoadError {
    /// Its code in the JSON of the administration.
    pub fn code(&self) -> &'static str {
        match self {
            LoadError::Form(_) => "not-a-guest",
            LoadError::Compile(error) if error.is_limit() => "compile-limit-exceeded",
            LoadError::Compile(_) => "does-not-compile",
            LoadError::Configuration(error) => error.code(),
            LoadError::Limit(_) => "guest-limit-exceeded",
            LoadError::Contract(_) => "contract-mismatch",
            LoadError::Interests(_) => "invalid-interests",
            LoadError::Unavailable(_) => "compiler-unavailable",
            LoadError::Canceled => "canceled",
        }
    }

    /// Whether the same bytes may be loaded later.
    pub fn is_transient(&self) -> bool {
        matches!(self, LoadError::Unavailable(_) | LoadError::Canceled)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Form(error) => error.fmt(f),
            LoadError::Compile(error) => error.fmt(f),
            LoadError::Configuration(error) => error.fmt(f),
            LoadError::Limit(error) => error.fmt(f),
            LoadError::Contract(error) => error.fmt(f),
            LoadError::Interests(error) => error.fmt(f),
            LoadError::Unavailable(why) => write!(f, "the guest cannot be compiled now: {why}"),
            LoadError::Canceled => f.write_str("canceled: no client waits for the result"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<FormError> for LoadError {
    fn from(error: FormError) -> LoadError {
        LoadError::Form(error)
    }
}

impl From<ContractError> for LoadError {
    fn from(error: ContractError) -> LoadError {
        LoadError::Contract(error)
    }
}

impl From<InterestsError> for LoadError {
    fn from(error: InterestsError) -> LoadError {
        LoadError::Interests(error)
    }
}
