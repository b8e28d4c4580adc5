//! A word that was typed where none can be: a second directory, or the value of a flag whose value
//! is optional, which needs a `=`.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::ConfigError;
use super::foreign;
use super::key::{is_rule, settings};

/// Words that are taken for the command that serves, which has no name.
const NO_COMMANDS: [&str; 3] = ["serve", "run", "start"];

/// The error, with what to write instead where clap takes such a word for a command.
pub(super) fn explain(command: &Command, typed: &[OsString], error: clap::Error) -> ConfigError {
    let first = typed.get(1).and_then(|word| word.to_str());
    // Other commands have other flags.
    let serves = first.is_none_or(|word| {
        matches!(word, "dev" | "acme") || command.find_subcommand(word).is_none()
    });
    if let Some(sentence) = serves.then(|| foreign::explain(typed, &error)).flatten() {
        return ConfigError::Source(vec![sentence.into()]);
    }
    match (error.kind() == ErrorKind::ArgumentConflict).then(|| sentence(command, typed, &error)) {
        Some(Some(sentence)) => ConfigError::Source(vec![sentence.into()]),
        _ => error.into(),
    }
}

fn sentence(command: &Command, typed: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    if command.find_subcommand(word).is_some() {
        return None;
    }
    let before = typed.iter().position(|argument| **argument == **word)?.checked_sub(1)?;
    let flag = typed.get(before)?.to_str()?;
    let find = |flag: &str| {
        let long = flag.strip_prefix("--");
        settings(command).find(|setting| long.is_some() && setting.get_long() == long)
    };
    let is_optional =
        |flag: &str| find(flag).is_some_and(|setting| setting.is_require_equals_set());
    if is_optional(flag) {
        return Some(format!("unexpected argument {word:?}: its value has a `=`, {flag}={word}"));
    }
    // The word before may have been the value of the flag before that.
    if let Some(other) = before.checked_sub(1).and_then(|before| typed[before].to_str()) {
        if is_optional(other) {
            return Some(format!(
                "unexpected argument {word:?}: {flag:?} was taken for the directory; the value of \
                 {other} has a `=`, {other}={flag}"
            ));
        }
        if find(other).is_some_and(is_rule) {
            return Some(format!(
                "unexpected argument {word:?}: a rule is one word; write: {other} '{flag} {word}'"
            ));
        }
    }
    let advice = match word.parse::<u16>() {
        Ok(_) => format!("; write: {}", line(typed, Some(word))),
        Err(_) => String::new(),
    };
    Some(format!("unexpected argument {word:?}: one directory is served{advice}"))
}

/// What to type where the first word is no command: the rest of the line. It may go on with a
/// port, as in `serve site 8000`.
pub(super) fn without_command(typed: &[OsString]) -> String {
    let all: Vec<_> = typed.iter().take(1).chain(typed.iter().skip(2)).cloned().collect();
    let is_flag = |word: &OsString| word.as_encoded_bytes().starts_with(b"-");
    let is_port = |word: &&str| word.parse::<u16>().is_ok();
    let port = match all.as_slice() {
        [] | [_] => {
            return "innkeeper, or innkeeper path/to/site to name the directory".to_owned();
        }
        [_, root, port, ..] if !is_flag(root) => port.to_str().filter(is_port),
        _ => None,
    };
    line(&all, port)
}

/// The line that was typed, with a flag before the first word that is this port.
fn line(typed: &[OsString], port: Option<&str>) -> String {
    let mut words = vec!["innkeeper".to_owned()];
    let mut port = port;
    for argument in typed.iter().skip(1) {
        if port.is_some_and(|port| argument == port) {
            port = None;
            words.push("--port".to_owned());
        }
        words.push(quoted(&argument.to_string_lossy()));
    }
    words.join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What to do where a word was typed that is no command: the server is started without one.
pub(super) fn no_command(typed: &[OsString]) -> Option<String> {
    let word = typed.get(1)?.to_str()?;
    if word == "version" && typed.len() == 2 && !Path::new(word).is_dir() {
        return Some("there is no command `version`; write: innkeeper --version".to_owned());
    }
    (NO_COMMANDS.contains(&word) && !Path::new(word).is_dir()).then(|| {
        let line = without_command(typed);
        format!("there is no command `{word}`: innkeeper serves without one; write: {line}")
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
            ("--spa app.html site", "the value of --spa has a `=`, --spa=app.html"),
            ("site --redirect /a /b", "write: --redirect '/a /b'"),
            ("site --listing app.html", "one directory is served"),
            (". 8000", "write: innkeeper . --port 8000"),
            ("my'site 8000 --listing", r"write: innkeeper 'my'\''site' --port 8000 --listing"),
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
