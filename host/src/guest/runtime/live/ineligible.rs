//! Why a guest cannot be live.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why decisions of a guest are made on a fresh instance each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ineligible {
    /// Its core modules are put together in a way that is not known.
    Composed,
    /// An instruction whose effect is not undone: its name.
    Instruction(String),
    /// A part that it has, or does not have: words that follow "it has".
    Part(String),
    /// Bytes of memory that it begins with, and of which a copy would be kept, and the most.
    Memory {
        /// What it begins with.
        bytes: u64,
        /// The most that it may.
        limit: u64,
    },
    /// Its live form makes no decision of its check: it calls what it imports, or grows its memory.
    Never,
    /// Its live form decided differently, on this request.
    Differs(String),
    /// It could not be rewritten: the words of the parser or the compiler.
    Rewriting(String),
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ineligible::Composed => {
                f.write_str("its core modules are put together in a way that is not known")
            }
            Ineligible::Instruction(name) => write!(f, "it has the instruction {name}"),
            Ineligible::Part(part) => write!(f, "it has {part}"),
            Ineligible::Memory { bytes, limit } => {
                write!(f, "it begins with {bytes} bytes of memory, and {limit} are the most")
            }
            Ineligible::Never => {
                f.write_str("each of its decisions calls what it imports, or takes much memory")
            }
            Ineligible::Differs(request) => {
                write!(f, "its live form decides differently on {request}")
            }
            Ineligible::Rewriting(why) => write!(f, "it cannot be rewritten: {why}"),
        }
    }
}

impl std::error::Error for Ineligible {}

impl Ineligible {
    pub(super) fn part(what: &str) -> Ineligible {
        Ineligible::Part(what.to_owned())
    }
}
