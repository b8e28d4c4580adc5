//! `innkeeper password [NAME]`: a line for a file of users (`--basic-auth`).
//!
//! The password is typed at the terminal, twice and without echo, or comes from standard input. It
//! never is an argument: other users of the machine can see those.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use innkeeper_guest::basic_auth::users::{SALT_BYTES, User};

use super::stdout::print;
use super::terminal::{self, Echo};
use crate::cli::PasswordArguments;
use crate::random;

/// Bytes that a password may have: more than a person remembers, and few in a request.
const PASSWORD_BYTES: usize = 1_024;

/// Characters below which a password is told to be short (NIST SP 800-63B, section 5.1.1.2).
const SHORT: usize = 8;

/// Prints the line of a user.
pub fn run(arguments: &PasswordArguments) -> anyhow::Result<ExitCode> {
    let is_typed = io::stdin().is_terminal();
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None if is_typed => terminal::ask("Name: ", Echo::On)?,
        None => bail!(
            "there is no name; with a password from standard input write: innkeeper password NAME"
        ),
    };
    let salt: [u8; SALT_BYTES] = random::bytes().context("the system gives no random bytes")?;
    // Before the password is typed: a name that cannot be is told first.
    let user = |password: &[u8]| User::new(&name, password, &salt, arguments.iterations);
    check_name(&name)?;
    let password = if is_typed { typed()? } else { piped(io::stdin().lock())? };
    check(&password)?;
    if password.chars().count() < SHORT {
        writeln!(
            io::stderr(),
            "the password is short: {SHORT} characters or more are hard to guess"
        )
        .context("cannot write to standard error")?;
    }
    print(format_args!("{}\n", user(password.as_bytes())?.line()))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what a file of passwords takes for a comment, or reads without its spaces.
fn check_name(name: &str) -> anyhow::Result<()> {
    User::check_name(name)?;
    if name.starts_with('#') {
        bail!("the name {name:?} begins a comment in a file of passwords; write another");
    }
    if name.trim() != name {
        bail!("the name {name:?} has a space before or behind it; leave it out");
    }
    Ok(())
}

/// The password that is typed, twice.
fn typed() -> anyhow::Result<String> {
    let password = terminal::ask("Password: ", Echo::Off)?;
    if terminal::ask("The same again: ", Echo::Off)? != password {
        bail!("the two passwords differ");
    }
    Ok(password)
}

/// The password that is the only line of standard input, with or without a line end.
fn piped(mut input: impl BufRead) -> anyhow::Result<String> {
    let mut text = Vec::new();
    // Two more, for a line end.
    let limit = PASSWORD_BYTES as u64 + 3;
    input.by_ref().take(limit).read_to_end(&mut text).context("cannot read standard input")?;
    if text.len() as u64 >= limit {
        bail!("the password on standard input is longer than {PASSWORD_BYTES} bytes");
    }
    let text = String::from_utf8(text)
        .ok()
        .context("the password on standard input is not text in UTF-8")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        bail!("standard input has several lines; the password is one");
    }
    Ok(line.to_owned())
}

/// Refuses what no client can send (RFC 7617, section 2).
fn check(password: &str) -> anyhow::Result<()> {
    if password.is_empty() {
        bail!("the password is empty");
    }
    if password.len() > PASSWORD_BYTES {
        bail!("the password is longer than {PASSWORD_BYTES} bytes");
    }
    if password.contains(char::is_control) {
        bail!("the password has a control character, which no client can send");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PASSWORD_BYTES, check, check_name, piped};

    #[test]
    fn password_is_the_line_without_its_end() {
        for (input, password) in
            [("a b\n", "a b"), ("a b", "a b"), ("a\r\n", "a"), (" a ", " a "), ("", "")]
        {
            assert_eq!(piped(input.as_bytes()).expect("a line"), password, "{input:?}");
        }
        let longest = "a".repeat(PASSWORD_BYTES);
        assert_eq!(piped(format!("{longest}\r\n").as_bytes()).expect("a line"), longest);
    }

    #[test]
    fn names_that_a_file_reads_otherwise_are_refused() {
        for (name, error) in
            [("#a", "begins a comment"), (" a", "has a space"), ("a ", "has a space")]
        {
            let told = check_name(name).expect_err(name).to_string();
            assert!(told.contains(error), "{told}");
        }
        check_name("a b#").expect("a name");
    }

    #[test]
    fn other_input_is_refused() {
        let long = "a".repeat(PASSWORD_BYTES + 1);
        for (input, error) in [
            (&b"a\nb\n"[..], "several lines"),
            (b"a\n\n", "several lines"),
            (b"\xff", "not text"),
            (&[b'a'; 5_000], "longer than 1024 bytes"),
        ] {
            let told = piped(input).expect_err("no password").to_string();
            assert!(told.contains(error), "{told}");
        }
        for (password, error) in [("", "is empty"), (&*long, "longer than"), ("a\tb", "control")] {
            let told = check(password).expect_err("no password").to_string();
            assert!(told.contains(error), "{told}");
        }
        check("p\u{e4}ss: 1").expect("a password");
    }
}
