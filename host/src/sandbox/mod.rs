//! Gives up what a process does not need, once everything is open.
//!
//! The guest has no way out of its sandbox, and files are opened beneath the root alone.
//! This is for the day on which one of the two is wrong: the process then still cannot
//! read what it need not, write, connect or run a program.
//!
//! - [`Role`]: what kind of process this is, and so what it needs.
//! - `paths`: which files, and no TCP connections (Landlock, Linux 5.13; landlock(7)).
//! - [`opener`]: files that are opened by their names, by a process of their own.
//! - `calls`: which system calls (seccomp, Linux 3.17; seccomp(2)); `allow_lists` has the lists.
//! - [`advice`]: what to do where it refuses a file.
//! - `report` and `names`: which call was refused, to find one that the list lacks.

pub mod advice;
mod allow_lists;
mod calls;
mod enter;
mod error;
mod how;
mod names;
pub mod opener;
mod outcome;
mod paths;
mod report;
mod role;
#[cfg(test)]
mod tests;

pub use calls::Refusals;
pub use enter::enter;
pub use error::SandboxError;
pub use outcome::{Enforced, Sandbox};
pub use role::{Needs, Role};
