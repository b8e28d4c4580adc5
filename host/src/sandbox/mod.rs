//! Gives up what a process does not need, once everything is open.
//!
//! The guest has no way out of its sandbox, and files are opened beneath the root alone.
//! This is for the day on which one of the two is wrong: the process then still cannot
//! read what it need not, write, connect or run a program.
//!
//! - [`Role`]: what kind of process this is, and so what it needs.
//! - `paths`: which files, and no TCP connections (Landlock, Linux 5.13; landlock(7)).
//! - [`opener`]: files that are opened by their names, by a process of their own.
//! - `calls`: which system calls (seccomp, Linux 3.17; seccomp(2)); `roles` has the lists.
//! - `report` and `names`: which call was refused, to find one that the list lacks.

mod calls;
mod names;
pub mod opener;
mod paths;
mod report;
mod roles;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What kind of process this is.
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// It serves: these files, and the connections of clients.
    Server(&'a Needs),
    /// It compiles guests: no files, no sockets, no processes; memory, threads, and the
    /// descriptors that it has.
    Compiler,
    /// It starts processes of this same program, and waits for them. What it may not do,
    /// they may not do either.
    Spawner,
    /// It opens files for a server, by the names that it was started with.
    Opener,
}

/// The files that a server still needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Directories and files to read.
    pub read: Vec<PathBuf>,
    /// Directories to make files in, and to read, write and remove them.
    pub write: Vec<PathBuf>,
    /// Files that another process [opens](opener) for it: it needs no rights to them.
    pub by_name: Vec<PathBuf>,
}

/// What becomes of a system call that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// It fails.
    Silent,
    /// It fails, and a line on standard error names it.
    Reported,
}

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// How far the kernel enforces which files may be opened.
    pub files: Enforced,
    /// Whether system calls are filtered.
    pub calls: Enforced,
    /// What stays open to reading: each path, and what is beneath it.
    pub reads: Vec<PathBuf>,
    /// What stays open to reading and writing, and to making and removing files.
    pub writes: Vec<PathBuf>,
    /// The files that another process opens for it.
    pub by_name: Vec<PathBuf>,
}

/// How far the kernel enforces something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// All of it.
    Fully,
    /// What this kernel knows of it.
    Partly,
    /// Nothing.
    Not,
}

impl Enforced {
    /// Its name, in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Enforced::Fully => "fully",
            Enforced::Partly => "partly",
            Enforced::Not => "not",
        }
    }
}

impl Sandbox {
    /// Whether the kernel enforces all of it.
    pub fn is_whole(&self) -> bool {
        self.files == Enforced::Fully && self.calls == Enforced::Fully
    }
}

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
    /// Calls that are refused cannot be told of.
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

/// Confines this thread, and each that it starts, for good. To be called before others are
/// started.
///
/// What the kernel does not know is no error, but told.
pub fn enter(role: Role<'_>, refusals: Refusals) -> Result<Sandbox, SandboxError> {
    let files = paths::confine(role)?;
    let allowed = match role {
        Role::Server(_) => roles::server(),
        Role::Compiler => roles::compiler(),
        Role::Spawner => roles::spawner(),
        Role::Opener => roles::opener(),
    };
    let calls = match allowed.enforce(refusals) {
        Ok(()) => Enforced::Fully,
        Err(error) => {
            tracing::warn!(%error, "system calls are not filtered");
            Enforced::Not
        }
    };
    let needs = match role {
        Role::Server(needs) => needs.clone(),
        Role::Compiler | Role::Spawner | Role::Opener => Needs::default(),
    };
    let Needs { read, write, by_name } = needs;
    Ok(Sandbox { files, calls, reads: read, writes: write, by_name })
}
