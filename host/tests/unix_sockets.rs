//! Sockets in the file system, for proxies on the same machine.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::fixture::{site, write};
use crate::running::{PROGRAM, Program, serving, until};

/// The program, listening on this socket alone.
fn start(root: &Path, socket: &Path, arguments: &[&str]) -> Program {
    let mut command = Command::new(PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).arg(root);
    command.args(["--listen", &format!("unix:{}", socket.display())]).args(arguments);
    let mut program = Program::start(command, 0);
    program.wait_for("listening on unix:");
    program
}

/// The response to a request with these fields, after which the connection is closed.
fn get(socket: &Path, target: &str, fields: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn site_is_served_on_a_socket_that_goes_with_the_server() {
    let folder = site();
    let (root, socket) = (folder.path().join("root"), folder.path().join("web.sock"));
    write(&root.join("large.bin"), &vec![b'x'; 5 << 20]);
    let admin = folder.path().join("admin.sock");
    let admin_address = format!("unix:{}", admin.display());
    let flags = ["--workers", "2", "--socket-mode", "666", "--admin", &admin_address];
    let program = start(&root, &socket, &flags);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    assert_eq!(status(&get(&socket, "/hello.txt", "")), "200");
    let large = get(&socket, "/large.bin", "");
    assert_eq!(large.split_once("\r\n\r\n").unwrap().1.len(), 5 << 20);
    program.signal(Signal::TERM);
    let (ended, out, said) = program.finish();
    assert!(ended.success(), "{said}");
    assert!(out.lines().all(|line| line.starts_with("unix: - - [")), "{out}");
    assert!(out.contains(&format!("GET /large.bin HTTP/1.1\" 200 {}", 5 << 20)), "{out}");
    assert!(!socket.exists() && !admin.exists(), "a socket is left behind");
}

#[test]
fn socket_that_a_killed_server_left_is_replaced_and_one_in_use_is_not() {
    let folder = site();
    let (root, socket) = (folder.path().join("root"), folder.path().join("web.sock"));
    let killed = start(&root, &socket, &[]);
    let listen = format!("unix:{}", socket.display());
    let mut second = serving(&root, &["--listen", &listen]);
    let refused = second.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("another program listens there"), "{said}");
    killed.signal(Signal::KILL);
    assert!(!killed.finish().0.success());
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    let program = start(&root, &socket, &[]);
    assert_eq!(status(&get(&socket, "/hello.txt", "")), "200");
    drop(program);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let refused = serving(&root, &["--listen", &listen]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("there is a file of that name, which is no socket"), "{said}");
    assert_eq!(fs::read(&socket).unwrap(), b"precious");
}

#[test]
fn requests_in_flight_are_finished_while_the_next_server_has_the_path() {
    let folder = site();
    let (root, socket) = (folder.path().join("root"), folder.path().join("web.sock"));
    write(&root.join("large.bin"), &vec![b'x'; 5 << 20]);
    let first = start(&root, &socket, &[]);
    let mut slow = UnixStream::connect(&socket).unwrap();
    slow.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = vec![0; 1];
    slow.read_exact(&mut response).unwrap();
    first.signal(Signal::TERM);
    until(|| !socket.exists());
    let second = start(&root, &socket, &[]);
    slow.read_to_end(&mut response).unwrap();
    assert!(response.len() > 5 << 20, "{} bytes", response.len());
    assert!(first.finish().0.success());
    assert!(socket.exists(), "the first server removed the second one's socket");
    assert_eq!(status(&get(&socket, "/hello.txt", "")), "200");
    drop(second);
}

#[test]
fn proxy_behind_a_socket_is_believed_if_it_is_trusted() {
    let folder = site();
    let (root, socket) = (folder.path().join("root"), folder.path().join("web.sock"));
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    let flags = ["--allow-from", "192.0.2.0/24", "--hsts", "max-age=60", "--rate-limit", "1000"];
    let program = start(&root, &socket, &flags);
    assert_eq!(status(&get(&socket, "/hello.txt", forwarded)), "403", "it is not trusted");
    drop(program);
    let program = start(&root, &socket, &[&flags[..], &["--trusted-proxy", "unix"]].concat());
    let response = get(&socket, "/hello.txt", forwarded);
    assert_eq!(status(&response), "200");
    assert!(response.contains("Strict-Transport-Security: max-age=60"), "{response}");
    assert_eq!(status(&get(&socket, "/hello.txt", "")), "403", "no client is named");
    program.signal(Signal::TERM);
    let (_, out, _) = program.finish();
    let clients: Vec<_> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(clients, ["192.0.2.7", "unix:"]);
}

#[test]
fn socket_of_the_service_manager_is_taken_over_and_left_there() {
    let folder = site();
    let socket = folder.path().join("web.sock");
    let listener: OwnedFd = UnixListener::bind(&socket).unwrap().into();
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).arg(folder.path().join("root"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let mut program = Program::start_with(command, Stdio::from(listener), 0);
    let line = program.wait_for("listening on");
    assert!(line.ends_with(&format!("unix:{}", socket.display())), "{line}");
    assert_eq!(status(&get(&socket, "/hello.txt", "")), "200");
    program.signal(Signal::TERM);
    assert!(program.finish().0.success());
    assert!(socket.exists(), "it is the service manager's");
}
