//! The directory that is served where none is named: `html`, if it is there, or else the current
//! one.

use std::path::{Path, PathBuf};

/// The directory of the notes that the project began with.
const USUAL: &str = "html";

/// How the directory to serve was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootChoice {
    /// The operator named it.
    #[default]
    Named,
    /// None is named: it is `html`, or the current directory where there is no `html`.
    Found,
}

impl RootChoice {
    /// Whether it is the current directory, which nobody named.
    pub fn is_current(self, root: &Path) -> bool {
        self == RootChoice::Found && root == Path::new(".")
    }
}

/// The directory to serve where none is named.
pub fn find() -> PathBuf {
    let usual = Path::new(USUAL);
    if usual.is_dir() { usual.to_owned() } else { PathBuf::from(".") }
}
