//! What helpers do, and the names by which the program is executed as one.

use serde::{Deserialize, Serialize};

/// What a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It compiles guests: no files, no network, bounded in memory and time.
    Compiler,
}

impl Role {
    /// All of them.
    pub(super) const ALL: [Role; 1] = [Role::Compiler];

    /// Its name among processes, and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Compiler => "compiler",
        }
    }

    /// What it is executed as: the first of its arguments.
    pub(super) fn executed_as(self) -> String {
        format!("innkeeper: {}", self.name())
    }
}

/// What the spawner is executed as.
pub(super) const SPAWNER: &str = "innkeeper: spawner";

/// What the process that starts the fetcher is executed as.
pub(super) const FETCHER_KEEPER: &str = "innkeeper: fetcher keeper";

/// What the fetcher is executed as.
pub(super) const FETCHER: &str = "innkeeper: fetcher";

/// What the process that opens files is executed as.
pub(super) const OPENER: &str = "innkeeper: opener";
