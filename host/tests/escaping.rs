//! Whatever a guest, a file or a setting is called reaches no log and no terminal as it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::fixture::{Client, site};
use crate::running::{PROGRAM, Program, serving};
use crate::wat_guest::{importing, replying};

/// A line feed, a command for a terminal in two ways, a text that turns around, and the lines
/// that others than `\n` end.
const EVIL: &str = "url=<a\nforged\r\x1b[2J\u{9b}2J\u{7f}\u{202e}\u{2028}\u{85}b>";

/// Nothing of a terminal's or another reader's commands is in it.
#[track_caller]
fn assert_plain(text: &[u8]) {
    let text = std::str::from_utf8(text).expect("text");
    let is_evil = |character: char| {
        character != '\n' && character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!text.contains(is_evil), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text:?}");
}

#[test]
fn names_of_imports_are_escaped_in_all_outputs() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    let guest = importing(EVIL);
    fs::write(path("guest.wasm"), &guest).unwrap();
    let checked = Command::new(PROGRAM).arg("check").arg(path("guest.wasm")).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert_plain(&checked.stdout);
    let out = String::from_utf8(checked.stdout).unwrap();
    assert!(out.contains("url=<a\\nforged\\r\\u{1b}[2J\\u{9b}2J"), "{out}");
    for format in ["text", "json"] {
        let mut command = serving(&path("root"), &["--admin", "127.0.0.1:0"]);
        command.args(["--log-format", format]).arg("--guest").arg(path("guest.wasm"));
        let mut program = Program::start(command, 1);
        let admin = program.admin();
        let mut client = Client::connect(admin);
        client.send("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = client.reply();
        assert!(reply.text().contains("forged"), "{}", reply.text());
        assert_plain(&reply.body);
        program.signal(Signal::TERM);
        let (_, _, said) = program.finish();
        assert!(said.contains("calling one traps"), "{said}");
        assert_plain(said.as_bytes());
    }
}

#[test]
fn report_on_a_guest_is_escaped() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    let socket = path("admin");
    let admin = format!("unix:{}", socket.display());
    let program = Program::start(serving(&path("root"), &["--admin", &admin]), 1);
    for (request, guest) in [("POST /check", importing(EVIL)), ("PUT /guest", importing(EVIL))] {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            guest.len()
        );
        std::io::Write::write_all(&mut stream, &[head.as_bytes(), &guest].concat()).unwrap();
        let mut reply = String::new();
        std::io::Read::read_to_string(&mut stream, &mut reply).unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(body.contains("forged"), "{body}");
        assert_plain(body.as_bytes());
    }
    program.signal(Signal::TERM);
    assert_plain(program.finish().2.as_bytes());
}

#[test]
fn cases_and_their_names_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let cases = folder.path().join("a\nforged\x1b[2J.toml");
    fs::write(folder.path().join("guest.wasm"), replying("\\1b[2J\\e2\\80\\ae")).unwrap();
    fs::write(
        &cases,
        "case = [{ name = \"a\\nforged \\u001b[2J\\u202e\", line = \"GET /\\u001b HTTP/1.1\", \
         fields = { x = \"\\u001b\\nforged\" }, \
         decision = { reply = { body = \"\\u009b\", fields = { y = \"\\nforged\\u001b\" } } } }]",
    )
    .unwrap();
    for format in ["text", "json"] {
        let mut command = Command::new(PROGRAM);
        command.arg("test").arg(folder.path().join("guest.wasm")).arg(&cases);
        let tested = command.args(["--format", format]).output().unwrap();
        assert_eq!(tested.status.code(), Some(1), "{tested:?}");
        assert_plain(&tested.stdout);
        assert_plain(&tested.stderr);
        assert!(String::from_utf8(tested.stdout).unwrap().contains("forged"));
    }
    let mut command = Command::new(PROGRAM);
    command.arg("check").arg(folder.path().join("guest.wasm")).arg("--cases").arg(&cases);
    let checked = command.output().unwrap();
    assert_plain(&checked.stdout);
    assert!(String::from_utf8(checked.stdout).unwrap().contains("rejected: "));
}

/// Runs it where this cannot be read or served.
fn refused(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(output.stderr.iter().filter(|&&byte| byte == b'\n').count(), 1, "{output:?}");
    assert_plain(&output.stderr);
}

#[test]
fn file_names_and_settings_in_messages_are_escaped() {
    let folder = site();
    let evil = Path::new("a\nforged\x1b[2J\u{202e}");
    for arguments in [&["--guest"][..], &["--cases"], &["--config"], &["--admin-token-file"], &[]] {
        let mut command = Command::new(PROGRAM);
        let admin = ["--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        command.current_dir(folder.path()).args(admin).args(arguments).arg(evil);
        if !arguments.is_empty() {
            command.arg("root");
        }
        refused(&mut command);
    }
    let config = folder.path().join("innkeeper.toml");
    for text in [
        "\"a\\nforged\\u001b[2J\" = 1",
        "listen = \"\\u001b[2J\\u202e\"",
        "access-log = \"\\u001b[2J\"",
        "workers = \"x\\nforged\"",
        "a = \"\x1b[2J",
    ] {
        fs::write(&config, text).unwrap();
        refused(Command::new(PROGRAM).arg("--config").arg(&config));
    }
    let not_text = OsStr::from_bytes(b"\xff\n\x1b");
    refused(Command::new(PROGRAM).arg("check").arg(not_text));
}

/// Where nothing can be said, the exit code says it.
#[test]
fn full_standard_error_changes_no_exit_code() {
    let folder = site();
    let config = folder.path().join("innkeeper.toml");
    fs::write(&config, "listen = 'x'").unwrap();
    let config = config.to_str().unwrap();
    for (arguments, code) in [
        (&["--config", config][..], 2),
        (&["--config", "/no/such.toml"], 2),
        (&["--no-such-flag"], 2),
        (&["--guest", "/no/such.wasm"], 1),
        (&["/no/such/folder"], 1),
        (&["--code-cache", "/dev/null/x"], 1),
        (&["test", "/no/such.wasm", "/no/such.toml"], 1),
        (&["check", "/no/such.wasm"], 1),
        (&["compile", "/no/such.wasm"], 1),
        (&["explain", "/no/such.wasm", "GET / HTTP/1.1"], 1),
        (&["health", "127.0.0.1:1"], 1),
        (&["dev", "--config", config], 2),
    ] {
        for log_format in ["text", "json"] {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let mut command = Command::new(PROGRAM);
            command.env("INNKEEPER_LOG_FORMAT", log_format).current_dir(folder.path());
            let status = command.args(arguments).stderr(Stdio::from(full)).status().unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None), "{arguments:?}");
        }
    }
}
