//! What someone types who has just got the program.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::fixture::write;
use crate::running::{PROGRAM, Program, run, until};

/// The program with these arguments in this folder.
fn typed(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).current_dir(folder);
    command
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn root_is_html_or_else_the_current_directory_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.txt"), b"here");
    write(&folder.path().join(".secret"), b"hidden");
    let program = Program::start(typed(folder.path(), &["--port", "0"]), 1);
    let real = folder.path().canonicalize().unwrap();
    let told = format!("serving {} (the current directory: none is named", real.display());
    assert!(program.said.contains(&told), "{}", program.said);
    assert_eq!(program.get("/a.txt").text(), "here");
    assert_eq!(program.get("/.secret").status(), 404);
    drop(program);
    write(&folder.path().join("html/a.txt"), b"there");
    let program = Program::start(typed(folder.path(), &["-p", "0"]), 1);
    assert!(program.said.contains("serving html\n"), "{}", program.said);
    assert_eq!(program.get("/a.txt").text(), "there");
}

#[test]
fn current_directory_that_nobody_means_to_publish_must_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    for (current, what) in [("/", "is /,"), (home, "is your home directory")] {
        let output =
            typed(Path::new(current), &["--port", "0"]).env("HOME", home).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(what) && said.contains("write: innkeeper path/to/site"), "{said}");
    }
    let mut named = typed(folder.path(), &[".", "--port", "0"]);
    named.env("HOME", home);
    assert_eq!(Program::start(named, 1).get("/").status(), 404);
}

#[test]
fn site_without_a_page_is_told_of_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str]| {
        let program = Program::start(typed(folder.path(), arguments), 1);
        program.signal(rustix::process::Signal::TERM);
        program.finish().2
    };
    let told = "no index.html, / is 404";
    assert!(said(&["-p", "0"]).contains(told));
    assert!(!said(&["-p", "0", "--listing"]).contains(told));
    write(&folder.path().join("index.htm"), b"page");
    assert!(!said(&["-p", "0"]).contains(told));
}

#[test]
fn port_alone_is_of_this_machine_and_a_colon_is_all_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    for listen in [format!("{port}"), format!("localhost:{port}")] {
        let program = Program::start(typed(folder.path(), &[".", "--listen", &listen]), 1);
        assert_eq!(program.addresses[0].to_string(), format!("127.0.0.1:{port}"));
    }
    for listen in [format!(":{port}"), format!("[::]:{port}")] {
        let program = Program::start(typed(folder.path(), &[".", "--listen", &listen]), 2);
        let addresses: Vec<_> = program.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, [format!("[::]:{port}"), format!("0.0.0.0:{port}")]);
    }
}

#[test]
fn browser_is_opened_once_the_site_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (bin, opened) = (folder.path().join("bin"), folder.path().join("opened"));
    let browser = bin.join("xdg-open");
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> {}\n", opened.display());
    write(&browser, script.as_bytes());
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = typed(folder.path(), &[".", "--port", "0", "--open"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bin.display())).env_remove("BROWSER");
    let program = Program::start(command, 1);
    until(|| fs::read_to_string(&opened).is_ok_and(|text| text.ends_with('\n')));
    let url = fs::read_to_string(&opened).unwrap();
    assert_eq!(url, format!("http://localhost:{}/\n", program.addresses[0].port()));
}

#[test]
fn words_of_other_servers_are_told_the_line_to_type() {
    let folder = tempfile::tempdir().unwrap();
    for (line, told) in [
        (&["serve", "my site", "--listing"][..], "write: innkeeper 'my site' --listing"),
        (&["run", ".", "8000"], "write: innkeeper . --port 8000"),
        (&[".", "8000"], "write: innkeeper . --port 8000"),
        (&["8000"], "write: innkeeper --port 8000"),
    ] {
        let ended = run(folder.path(), line);
        assert!(ended.code != 0 && ended.errors.contains(told), "{line:?}: {}", ended.errors);
    }
}
