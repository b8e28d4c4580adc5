//! A word that was typed where none can be: a second directory, or the value of a flag whose value
//! is optional, which needs a `=`.

use std::ffi::OsString;

use clap::Command;
use clap::error::ErrorKind;

use super::error::ConfigError;
use super::key::settings;

/// The error, with what to write instead where clap takes such a word for a command.
pub(super) fn explain(command: &Command, typed: &[OsString], error: clap::Error) -> ConfigError {
    match (error.kind() == ErrorKind::ArgumentConflict).then(|| sentence(command, typed, &error)) {
        Some(Some(sentence)) => ConfigError::Source(vec![sentence.into()]),
        _ => error.into(),
    }
}

fn sentence(command: &Command, typed: &[OsString], error: &clap::Error) -> Option<String> {
    let text = error.to_string();
    let word = text.split_once("the subcommand '")?.1.split('\'').next()?;
    if command.find_subcommand(word).is_some() {
        return None;
    }
    let before = typed.iter().position(|argument| argument == word)?.checked_sub(1)?;
    let flag = typed.get(before)?.to_str()?;
    let is_optional = settings(command).any(|setting| {
        setting.is_require_equals_set() && setting.get_long() == flag.strip_prefix("--")
    });
    Some(match is_optional {
        true => format!("unexpected argument {word:?}: its value has a `=`, {flag}={word}"),
        false => format!("unexpected argument {word:?}: one directory is served"),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::explain;
    use crate::cli::{Arguments, ConfigError};

    #[test]
    fn word_without_a_place_is_told_by_what_to_write() {
        for (typed, told) in [
            ("site extra", "unexpected argument \"extra\": one directory is served"),
            ("site --spa app.html", "its value has a `=`, --spa=app.html"),
            ("site --listing app.html", "one directory is served"),
        ] {
            let typed: Vec<OsString> =
                "innkeeper".split(' ').chain(typed.split(' ')).map(Into::into).collect();
            let command = Arguments::command();
            let error = command.clone().try_get_matches_from(&typed).expect_err("an error");
            let ConfigError::Source(mistakes) = explain(&command, &typed, error) else {
                panic!("clap's own words for {typed:?}");
            };
            assert!(mistakes[0].to_string().contains(told), "{mistakes:?}");
        }
    }

    #[test]
    fn command_behind_a_directory_is_left_to_clap() {
        let typed = ["innkeeper", "site", "health"].map(OsString::from);
        let command = Arguments::command();
        let error = command.clone().try_get_matches_from(&typed).expect_err("an error");
        assert!(matches!(explain(&command, &typed, error), ConfigError::Cli(_)));
    }
}
