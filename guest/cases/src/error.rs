//! Why a table cannot be read, and what to write instead.

use std::fmt;

use crate::facts::{Fact, FactError, FactNameError};
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
    /// This fact never has this value.
    FactValue(FactError),
    /// This fact has several values.
    ManyValues(Fact),
    /// This field has an empty list of values.
    NoValues(String),
    /// This name begins like a fact, but there is no such fact.
    Fact(String, FactNameError),
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
            Problem::FactValue(error) => error.fmt(f),
            Problem::ManyValues(fact) => {
                write!(f, "`{}` has several values; a fact has one", fact.name())
            }
            Problem::NoValues(name) => {
                write!(f, "the field {name:?} has an empty list of values; leave the field out")
            }
            Problem::Fact(name, error) => write!(f, "{name:?} is not a fact; {error}"),
        }
    }
}

impl std::error::Error for TableError {}
