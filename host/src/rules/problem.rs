//! What is wrong with a rule, and where.

use std::fmt;

use innkeeper_guest::rules::fault::Mistake;

/// What is wrong with a rule: a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the source, counted from 1; 0 where there are no lines, as in a flag.
    pub line: u32,
    /// The sentence.
    pub message: String,
    /// How many further ones its source has that are not told.
    pub more: usize,
}

impl Problem {
    /// One of a text without lines.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem::at(0, message)
    }

    /// One of this line.
    pub fn at(line: u32, message: impl Into<String>) -> Problem {
        Problem { line, message: message.into(), more: 0 }
    }

    /// The same, of this line if it has none yet.
    pub(super) fn or_at(mut self, line: u32) -> Problem {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<&str> for Problem {
    fn from(message: &str) -> Problem {
        Problem::new(message)
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Problem {
        Problem::new(mistake.to_string())
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Problem {
        Problem::new(message)
    }
}
