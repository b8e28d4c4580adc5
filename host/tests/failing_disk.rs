//! A disk that cannot be read, and a root that is moved, removed or unmounted.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use seccompiler::SeccompCmpOp::{Eq, Ge};

use crate::faulty_calls::start_with;
use crate::fixture::{Client, Reply, site, write};
use crate::running::{PROGRAM, Program, serving};
use crate::skip::{Need, skip};

fn ask(client: &mut Client, target: &str, fields: &str) -> Reply {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    client.reply()
}

/// Lengths by which reads are told from others: those of nothing else that is read.
const SMALL: u64 = 4321;
const LAST_PIECE: u64 = 54_321;

/// A site with a small file, a page and a large file that have bad places.
fn damaged() -> tempfile::TempDir {
    let folder = site();
    let length = |bytes: u64| vec![b'x'; usize::try_from(bytes).unwrap()];
    for (name, bytes) in
        [("small.bin", SMALL), ("page.html", SMALL), ("large.bin", (512 << 10) + LAST_PIECE)]
    {
        write(&folder.path().join("root").join(name), &length(bytes));
    }
    folder
}

#[test]
fn small_unreadable_file_is_500() {
    let folder = damaged();
    // Nothing is in memory, and what is small cannot be read.
    let faults = [(libc::SYS_preadv2, None), (libc::SYS_pread64, Some((2, Eq, SMALL)))];
    let command = serving(&folder.path().join("root"), &["--workers", "1"]);
    let mut program = start_with(&faults, command);
    let mut client = program.client();
    assert_eq!(ask(&mut client, "/small.bin", "").status(), 500);
    let line = program.wait_for("cannot read file");
    assert!(line.contains("Input/output error") && line.contains("GET /small.bin"), "{line}");
    assert_eq!(ask(&mut client, "/page.html", "Accept-Encoding: gzip\r\n").status(), 500);
    program.wait_for("cannot read file");
    // On the same connection, and on another.
    assert_eq!(ask(&mut client, "/hello.txt", "").text(), "hello\n");
    program.client().expect_open();
}

/// It was told to be the client's fault, and only to who debugs.
#[test]
fn large_file_with_read_error_closes_the_connection() {
    let folder = damaged();
    write(&folder.path().join("root/longer.bin"), &[b'x'; 2 << 20]);
    for (file, faults) in [
        // What is not in memory is fetched, what is there is sent.
        (
            "longer.bin",
            &[(libc::SYS_preadv2, None), (libc::SYS_pread64, Some((3, Ge, 1536 << 10)))][..],
        ),
        ("large.bin", &[(libc::SYS_sendfile, Some((3, Eq, LAST_PIECE)))]),
    ] {
        let command = serving(&folder.path().join("root"), &["--workers", "1"]);
        let mut program = start_with(faults, command);
        let mut client = program.client();
        client.send(format!("GET /{file} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let (received, was_reset) = client.read_to_end();
        assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n") && !was_reset);
        let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let body = received.len() - head;
        // A piece that begins before the bad place is read in one call, to 128 KiB behind it.
        assert!(body > 0 && body < (1536 + 128) << 10, "{body}");
        let line = program.wait_for("cannot read file to its end");
        assert!(line.contains("Input/output error") && line.contains(file), "{line}");
        program.client().expect_open();
        program.signal(Signal::TERM);
        let (_, log, _) = program.finish();
        let logged = format!("\"GET /{file} HTTP/1.1\" 200 {body} \"-\" \"-\" X\n");
        assert!(log.contains(&logged), "{logged} is not in {log}");
    }
}

/// It was answered with 404, which caches keep, as if there were no such directory.
#[test]
fn unreadable_directory_is_500() {
    let folder = site();
    let command = serving(&folder.path().join("root"), &["--workers", "1", "--listing"]);
    let mut program = start_with(&[(libc::SYS_getdents64, None)], command);
    let mut client = program.client();
    let reply = ask(&mut client, "/bare/", "");
    assert_eq!((reply.status(), reply.text()), (500, "Internal Server Error\n"));
    let line = program.wait_for("cannot serve file operation=list path=bare");
    assert!(line.contains("Input/output error"), "{line}");
    // What is not there is not found, and what has an index page needs no list.
    assert_eq!(ask(&mut client, "/nothing/", "").status(), 404);
    assert_eq!(ask(&mut client, "/docs/", "").text(), "<h1>docs</h1>\n");
    assert_eq!(ask(&mut client, "/bare/file.txt", "").text(), "x");
}

#[test]
fn replaced_or_removed_root_is_logged() {
    let folder = site();
    let root = folder.path().join("root");
    let mut program = Program::start(serving(&root, &[]), 1);
    let mut client = program.client();
    fs::rename(&root, folder.path().join("old")).unwrap();
    write(&root.join("hello.txt"), b"another site\n");
    // What was opened is served, whatever bears its name now.
    assert_eq!(ask(&mut client, "/hello.txt", "").text(), "hello\n");
    let line = program.wait_for("root cannot be opened");
    let above = format!("--allow-read {}", folder.path().display());
    assert!(line.contains(root.to_str().unwrap()) && line.contains(&above), "{line}");
    fs::remove_dir_all(&root).unwrap();
    fs::rename(folder.path().join("old"), &root).unwrap();
    program.wait_for("root is there again");
    fs::remove_dir_all(&root).unwrap();
    for client in [&mut client, &mut program.client()] {
        assert_eq!(ask(client, "/hello.txt", "").text(), "File not found\n");
    }
    program.wait_for("root is not there");
    program.signal(Signal::TERM);
    assert!(program.finish().0.success());
}

/// Runs a program in the mounts of another.
pub fn beside(program: &Program, arguments: &[&str]) -> bool {
    let id = program.child.id().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--user", "--preserve-credentials", "--mount", "--target", &id]);
    command.args(arguments).status().is_ok_and(|status| status.success())
}

#[test]
fn unmounted_root_is_served_while_requested() {
    let folder = site();
    let root = folder.path().join("root");
    let mounted = |program: &str| {
        let script =
            "mount -t tmpfs none \"$1\" && echo mounted > \"$1/hello.txt\" && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, program]);
        command.arg(&root);
        command
    };
    if !mounted("true").status().is_ok_and(|status| status.success()) {
        return skip(Need::UserNamespaces, "`unshare --user --mount` cannot mount a tmpfs");
    }
    let mut command = mounted(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut program = Program::start(command, 1);
    assert_eq!(program.get("/hello.txt").text(), "mounted\n");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    assert!(!beside(&program, &["umount", &path(&root)]), "it is in use");
    assert!(beside(&program, &["umount", "--lazy", &path(&root)]));
    assert_eq!(program.get("/hello.txt").text(), "mounted\n");
    program.wait_for("root cannot be opened");
}
