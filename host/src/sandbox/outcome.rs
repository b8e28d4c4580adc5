//! What a process has given up.

use std::path::PathBuf;

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
