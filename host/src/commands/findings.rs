//! `innkeeper --check`: what was found, as lines.

use super::stdout::print;
use crate::diagnostics;
use crate::text::escaped;

/// Prints findings: facts to standard output, problems to standard error.
#[derive(Default)]
pub(super) struct Findings {
    /// How many of them keep a server from starting.
    pub(super) problems: usize,
}

impl Findings {
    /// Prints one, under its heading.
    pub(super) fn note(&mut self, what: &str, found: anyhow::Result<String>) -> anyhow::Result<()> {
        match found {
            Ok(fact) => print(format_args!("{what:<11} {}\n", escaped(&fact))),
            Err(problem) => {
                self.problems += 1;
                diagnostics::error(&format_args!("{problem:#}"));
                Ok(())
            }
        }
    }
}
