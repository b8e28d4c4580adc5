//! Why a process cannot enter the sandbox.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a process cannot give up what it does not need.
#[derive(Debug)]
pub enum SandboxError {
    /// A path that it needs cannot be opened.
    Path(PathBuf, io::Error),
    /// Landlock refuses the rules.
    Files(landlock::RulesetError),
    /// The filter of system calls cannot be made.
    Filter(seccompiler::BackendError),
    /// The kernel does not take the filter.
    Calls(seccompiler::Error),
    /// Refused calls cannot be reported.
    Report(io::Error),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Path(path, error) => write!(f, "{path:?}: {error}"),
            SandboxError::Files(error) => write!(f, "Landlock: {error}"),
            SandboxError::Filter(error) => write!(f, "the filter of system calls: {error}"),
            SandboxError::Calls(error) => write!(f, "seccomp: {error}"),
            SandboxError::Report(error) => write!(f, "the report of refused calls: {error}"),
        }
    }
}

impl std::error::Error for SandboxError {}

impl From<landlock::RulesetError> for SandboxError {
    fn from(error: landlock::RulesetError) -> SandboxError {
        SandboxError::Files(error)
    }
}

impl From<seccompiler::BackendError> for SandboxError {
    fn from(error: seccompiler::BackendError) -> SandboxError {
        SandboxError::Filter(error)
    }
}

impl From<seccompiler::Error> for SandboxError {
    fn from(error: seccompiler::Error) -> SandboxError {
        SandboxError::Calls(error)
    }
}
