//! Files of passwords: lines that `innkeeper password` makes.

use std::collections::HashMap;
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
    let mut lines: HashMap<&str, u32> = HashMap::new();
    for (line, user) in (1..).zip(text.lines()) {
        let user = user.trim();
        if user.is_empty() || user.starts_with('#') {
            continue;
        }
        let name = user.split(':').next().unwrap_or_default();
        match User::parse(user) {
            Ok(_) => match lines.insert(name, line) {
                None => users.push(user.to_owned()),
                Some(first) => problems.push(Problem::at(
                    line,
                    format!("the user has another line, {first}; leave out one of them"),
                )),
            },
            // The line itself is not told: it may hold a password.
            Err(fault) => problems.push(Problem::at(line, fault.to_string())),
        }
    }
    if users.is_empty() && problems.is_empty() {
        problems.push(Problem::new(
            "the file has no user, and nobody could come in; write a line of `innkeeper password`",
        ));
    }
    match problems.is_empty() {
        true => Ok(users),
        false => Err(RulesError::of(&path.display().to_string(), problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use innkeeper_guest::basic_auth::users::User;
    use std::fs;

    #[test]
    fn file_without_users_or_with_one_twice_is_refused() {
        let user = User::new("a", b"secret", &[1; 16], 1_000).expect("a user").line();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passwords");
        for (text, told) in [
            (String::new(), "passwords: the file has no user"),
            ("# none\n".to_owned(), "passwords: the file has no user"),
            (format!("{user}\n\n{user}\n"), "passwords:3: the user has another line, 1"),
        ] {
            fs::write(&path, &text).expect("a file");
            let error = read(&path).expect_err(&text).to_string();
            assert!(error.contains(told), "{error}");
        }
        fs::write(&path, &user).expect("a file");
        assert_eq!(read(&path).expect("users"), [user]);
    }
}
