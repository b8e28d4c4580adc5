//! Why rules are not accepted: each mistake with its source and its line, on one line in all.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::problem::Problem;
use crate::named_file::NamedFileError;

/// Problems that one message tells.
const TOLD: usize = 5;

/// Why rules are not accepted.
#[derive(Debug)]
pub enum RulesError {
    /// A file of rules or of passwords cannot be read.
    File(PathBuf, NamedFileError),
    /// A file of the site cannot be.
    SiteFile(PathBuf, NamedFileError),
    /// Some of them are wrong.
    Rules(Vec<WrongRule>),
}

/// A rule that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongRule {
    /// Its source: the path of a file, a flag or a variable.
    pub source: String,
    /// What is wrong, and on which line.
    pub problem: Problem,
}

impl RulesError {
    /// All problems of one source.
    pub(super) fn of(source: &str, problems: Vec<Problem>) -> RulesError {
        RulesError::Rules(WrongRule::of(source, problems).collect())
    }
}

impl WrongRule {
    /// All problems of one source.
    pub(super) fn of(
        source: &str,
        problems: Vec<Problem>,
    ) -> impl Iterator<Item = WrongRule> + use<'_> {
        let wrong = problems.into_iter();
        wrong.map(|problem| WrongRule { source: source.to_owned(), problem })
    }
}

/// As in `rules.toml:7`; without lines, the source alone.
pub fn place(source: &str, line: u32) -> String {
    if line == 0 { source.to_owned() } else { format!("{source}:{line}") }
}

/// `rules.toml:7: …; rules.toml:9: …; and 3 more`
impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = match self {
            RulesError::File(path, error) => {
                return write!(f, "cannot read {}: {error}", path.display());
            }
            RulesError::SiteFile(path, error)
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                // It may be the root that cannot be looked into.
                let (path, error) = (path.display(), error.with_advice());
                return write!(f, "cannot read {path}, or see whether it is there: {error}");
            }
            RulesError::SiteFile(path, error) => {
                let (path, error) = (path.display(), error.with_advice());
                return write!(
                    f,
                    "cannot read {path}: {error}; put a file in its place or remove it \
                     (--no-site-rules leaves it alone)"
                );
            }
            RulesError::Rules(wrong) => wrong,
        };
        for (number, WrongRule { source, problem }) in wrong.iter().take(TOLD).enumerate() {
            let comma = if number == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", place(source, problem.line), problem.message)?;
        }
        let untold: usize = wrong.iter().map(|wrong| wrong.problem.more).sum();
        match wrong.len().saturating_sub(TOLD) + untold {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for RulesError {}
