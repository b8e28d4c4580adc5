//! `innkeeper --check`: what was found, as lines.

use super::stdout::print;
use crate::diagnostics;
use crate::text::escaped;

/// Prints findings: facts to standard output, problems to standard error.
#[derive(Default)]
pub(super) struct Findings {
    /// How many of them keep a server from starting.
    pub(super) problems: usize,
    /// Whose they are, where there are several sites.
    site: Option<String>,
}

impl Findings {
    /// Begins with those of a site.
    pub(super) fn begin(&mut self, site: &str, described: &str) -> anyhow::Result<()> {
        self.site = Some(site.to_owned());
        print(format_args!("\n{:<11} {}\n", "site", escaped(described)))
    }

    /// Ends those of sites.
    pub(super) fn end_of_sites(&mut self) {
        self.site = None;
    }

    /// Prints one, under its heading.
    pub(super) fn note(&mut self, what: &str, found: anyhow::Result<String>) -> anyhow::Result<()> {
        match found {
            Ok(fact) => print(format_args!("{what:<11} {}\n", escaped(&fact))),
            Err(problem) => {
                self.problems += 1;
                match &self.site {
                    Some(site) => diagnostics::error(&format_args!("{site}: {problem:#}")),
                    None => diagnostics::error(&format_args!("{problem:#}")),
                }
                Ok(())
            }
        }
    }
}
