//! Why a table cannot be read, and what to write instead.

use std::fmt;

use crate::text::Plain;
use crate::toml_1_0::Newer;

/// What to write, for a table without cases.
const FORM: &str = "write case = [ { line = …, decision = … } ]";

/// A table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The line of the table, counted from 1. `None` if the problem is the whole of it.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is no TOML, or has an unknown key or a wrong value. The message is that of `toml`.
    Toml(String),
    /// It has an addition of TOML 1.1.
    Newer(Newer),
    /// It has no `case`.
    NoCase,
    /// `case` is empty.
    EmptyCase,
    /// A case has neither or both of `line` and `escaped-line`.
    NotOneLine,
    /// A backslash in `escaped-line` begins something else than `\xHH` or `\\`.
    Escape,
    /// `candidates` is empty.
    NoCandidates,
    /// `:client-address` is this text, which is no address.
    ClientAddress(String),
    /// This field has an empty list of values.
    NoValues(String),
    /// This name begins like a fact, but there is no such fact, or not with that value.
    Fact(String),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Toml(message) => write!(f, "{}", Plain(message.as_bytes())),
            Problem::Newer(newer) => newer.fmt(f),
            Problem::NoCase => write!(f, "it has no `case`; {FORM}"),
            Problem::EmptyCase => write!(f, "`case` is empty; {FORM}"),
            Problem::NotOneLine => f.write_str("a case has either `line` or `escaped-line`"),
            Problem::Escape => f.write_str(
                r"in `escaped-line` a backslash begins \xHH or \\; for one byte write \xHH",
            ),
            Problem::NoCandidates => {
                f.write_str("`candidates` is empty; name those that the guest decides on")
            }
            Problem::ClientAddress(value) => {
                write!(f, "`:client-address` is {value:?}; write an address, as \"192.0.2.1\"")
            }
            Problem::NoValues(name) => {
                write!(f, "the field {name:?} has an empty list of values; leave the field out")
            }
            Problem::Fact(name) => write!(
                f,
                "{name:?} is not a fact with that value; the facts are `:client-address`, with \
                 one address, and `:scheme`, which is \"http\""
            ),
        }
    }
}

impl std::error::Error for TableError {}
