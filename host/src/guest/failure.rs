//! Why a guest gave no decision.

use std::fmt;

use super::decision::rules::Refusal;
use super::trapped::Trapped;

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// All instances are in use, and as many requests wait for one as may.
    Busy,
    /// The guest did not decide before its deadline.
    Deadline,
    /// The guest needs more memory, or a larger table, than its limit.
    Memory(String),
    /// The guest trapped, or its result could not be read.
    Trap(Box<Trapped>),
    /// The guest's decision breaks a rule of the contract.
    Refused(Refusal),
}

impl Failure {
    /// What the guest said before it trapped and where it was, in lines for people.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Failure::Trap(trapped) => trapped.lines(),
            Failure::Busy | Failure::Deadline | Failure::Memory(_) | Failure::Refused(_) => {
                Vec::new()
            }
        }
    }

    /// Whether the guest accessed what is beyond its memory: the words are those of wasmtime's trap.
    pub fn is_beyond_memory(&self) -> bool {
        matches!(self, Failure::Trap(trapped) if trapped.cause.contains("out of bounds memory"))
    }

    /// Its name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::Busy => "busy",
            Failure::Deadline => "deadline",
            Failure::Memory(_) => "memory",
            Failure::Trap(_) => "trap",
            Failure::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Busy => f.write_str("all instances are in use, and the queue is full"),
            Failure::Deadline => f.write_str("the deadline passed"),
            Failure::Memory(what) => f.write_str(what),
            Failure::Trap(trapped) => trapped.fmt(f),
            Failure::Refused(refusal) => write!(f, "the decision is refused: {refusal}"),
        }
    }
}

impl std::error::Error for Failure {}
