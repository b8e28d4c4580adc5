//! Why a guest cannot be live.

use std::fmt;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use wasm_encoder::reencode;

use crate::text;

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
    /// On this request it accesses what is beyond its memory, where its live form has some to spare.
    Beyond(String),
    /// Its live form took longer for the decisions of its check: microseconds.
    Slower {
        /// What it took.
        live: u128,
        /// What fresh instances took.
        fresh: u128,
    },
    /// Instances are made for each decision of any guest.
    Isolated,
    /// An instance was not what it was, after a decision for a client.
    NotPutBack,
    /// Its live form did not compile: the words of the compiler, or a limit.
    NotCompiled(String),
    /// It could not be rewritten: the words of the parser, the compiler or wasmtime.
    Rewriting(String),
}

/// How a module is not rewritten.
pub(super) type Unwritten = reencode::Error<Ineligible>;

impl From<Unwritten> for Ineligible {
    fn from(error: Unwritten) -> Ineligible {
        match error {
            Unwritten::UserError(why) => why,
            other => Ineligible::Rewriting(other.to_string()),
        }
    }
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
                let [bytes, limit] = [*bytes, *limit].map(|bytes| ByteSize(bytes).display().iec());
                write!(f, "it begins with {bytes} of memory, and {limit} are the most")
            }
            Ineligible::Never => {
                f.write_str("each of its decisions calls what it imports, or takes much memory")
            }
            Ineligible::Differs(request) => {
                write!(f, "its live form decides differently on {request}")
            }
            Ineligible::Beyond(request) => {
                write!(f, "it accesses what is beyond its memory on {request}")
            }
            Ineligible::Slower { live, fresh } => {
                write!(
                    f,
                    "it is slower live: its check took {live} µs, and {fresh} µs on fresh instances"
                )
            }
            Ineligible::Isolated => f.write_str("--isolation is fresh"),
            Ineligible::NotPutBack => f.write_str("an instance was not put back"),
            Ineligible::NotCompiled(why) => write!(f, "its live form does not compile: {why}"),
            Ineligible::Rewriting(why) => write!(f, "it cannot be rewritten: {why}"),
        }
    }
}

impl std::error::Error for Ineligible {}

impl Ineligible {
    /// What a compiler says, which has read a guest: its texts on one line, and not too long.
    pub(super) fn bounded(self) -> Ineligible {
        match self {
            Ineligible::Instruction(text) => Ineligible::Instruction(text::error_line(text)),
            Ineligible::Part(text) => Ineligible::Part(text::error_line(text)),
            Ineligible::Differs(text) => Ineligible::Differs(text::error_line(text)),
            Ineligible::Beyond(text) => Ineligible::Beyond(text::error_line(text)),
            Ineligible::NotCompiled(text) => Ineligible::NotCompiled(text::error_line(text)),
            Ineligible::Rewriting(text) => Ineligible::Rewriting(text::error_line(text)),
            Ineligible::Composed
            | Ineligible::Memory { .. }
            | Ineligible::Never
            | Ineligible::Slower { .. }
            | Ineligible::Isolated
            | Ineligible::NotPutBack => self,
        }
    }

    pub(super) fn part(what: &str) -> Ineligible {
        Ineligible::Part(what.to_owned())
    }
}
