//! Why a guest gave no decision.

use std::fmt;

use super::decision::rules::Refusal;

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// All instances are in use, and as many requests wait for one as may.
    Busy,
    /// The guest did not decide in time.
    Deadline,
    /// The guest asked for more memory, or a larger table, than it may have.
    Memory(String),
    /// The guest trapped, or its answer could not be read.
    Trap(String),
    /// The guest's decision breaks a rule of the contract.
    Refused(Refusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Busy => {
                write!(f, "all instances are in use, and as many requests wait as may")
            }
            Failure::Deadline => write!(f, "it did not decide before its deadline"),
            Failure::Memory(what) | Failure::Trap(what) => write!(f, "{what}"),
            Failure::Refused(refusal) => write!(f, "its decision was refused: {refusal}"),
        }
    }
}
