//! Why a guest is not compiled.

use std::fmt;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::component::FormError;
use super::configuration_error::ConfigurationError;
use super::contract::ContractError;

/// Why a guest was not compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum JobError {
    /// It is no component, and describes none.
    Form(FormError),
    /// It exports no policy.
    Contract(ContractError),
    /// It does not compile.
    Compile(CompileError),
    /// It is not configured.
    Configuration(ConfigurationError),
    /// There is no compiler. The guest is not at fault.
    NoCompiler(String),
}

impl From<ConfigurationError> for JobError {
    fn from(error: ConfigurationError) -> JobError {
        JobError::Configuration(error)
    }
}

/// Why a guest does not compile. The same bytes never will, with the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompileError {
    /// It is not valid; the compiler's message.
    Invalid(String),
    /// The compiler panics on it.
    Panic,
    /// The compiler crashes on it, with this signal.
    Crash(i32),
    /// It is nested more deeply than the compiler's stack.
    Stack,
    /// Compiling it takes more seconds of a processor than this limit.
    Time(u64),
    /// Compiling it takes more bytes of memory than this limit.
    Memory(u64),
    /// It would become more machine code than this limit, in bytes.
    CodeSize(u64),
}

impl CompileError {
    /// Whether it is a limit that was met.
    pub fn is_limit(&self) -> bool {
        match self {
            CompileError::Invalid(_) | CompileError::Panic | CompileError::Crash(_) => false,
            CompileError::Stack
            | CompileError::Time(_)
            | CompileError::Memory(_)
            | CompileError::CodeSize(_) => true,
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest does not compile: ")?;
        match self {
            CompileError::Invalid(why) => f.write_str(why),
            CompileError::Panic => f.write_str("the compiler panics on it"),
            CompileError::Crash(signal) => {
                write!(f, "the compiler crashes on it (signal {signal})")
            }
            CompileError::Stack => f.write_str("it is nested more deeply than a compiler's stack"),
            CompileError::Time(seconds) => write!(
                f,
                "that takes more than the {seconds} s of a processor that one of its size may \
                 have (--compile-time)"
            ),
            CompileError::Memory(bytes) => write!(
                f,
                "that takes more than the {} of memory that it may (--compile-memory)",
                ByteSize(*bytes).display().iec()
            ),
            CompileError::CodeSize(bytes) => write!(
                f,
                "its machine code is larger than the {} that one of its size may have",
                ByteSize(*bytes).display().iec()
            ),
        }
    }
}

impl std::error::Error for CompileError {}
