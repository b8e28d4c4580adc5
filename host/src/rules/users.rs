//! Files of passwords: lines that `innkeeper password` makes.

use std::path::Path;

use innkeeper_guest::basic_auth::users::User;

use super::error::RulesError;
use super::problem::Problem;
use crate::named_file;

/// Bytes of a file of passwords: some ten thousand users.
const FILE_BYTES: u64 = 1 << 20;

/// Reads the users of a file: its lines without blank ones and comments (`#`).
pub(super) fn read(path: &Path) -> Result<Vec<String>, RulesError> {
    let text = named_file::read_text(path, FILE_BYTES)
        .map_err(|error| RulesError::File(path.to_owned(), error))?;
    let mut users = Vec::new();
    let mut problems = Vec::new();
    for (line, user) in (1..).zip(text.lines()) {
        let user = user.trim();
        if user.is_empty() || user.starts_with('#') {
            continue;
        }
        match User::parse(user) {
            Ok(_) => users.push(user.to_owned()),
            // The line itself is not told: it may hold a password.
            Err(fault) => problems.push(Problem::at(line, fault.to_string())),
        }
    }
    match problems.is_empty() {
        true => Ok(users),
        false => Err(RulesError::of(&path.display().to_string(), problems)),
    }
}
