//! The program as a user types it.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::fixture::{Client, Stream, site, write};
use crate::running::{PROGRAM, Program, serving, workspace};

/// Runs it with arguments that it refuses, and gives exit code and message.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(PROGRAM).args(arguments).current_dir(workspace()).output().unwrap();
    assert!(output.stdout.is_empty(), "something is on standard output");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn serves_the_site_of_the_repository() {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).current_dir(workspace());
    let program = Program::start(command, 1);
    for (target, path) in [("/", "html/index.html"), ("/opening.svg", "html/opening.svg")] {
        let reply = program.get(target);
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.body, fs::read(workspace().join(path)).unwrap());
    }
    let missing = program.get("/missing");
    assert_eq!(missing.status(), 404);
    assert!(missing.text().contains("<h1>File not found</h1>"));
    assert_eq!(program.get("/notes").field("location"), Some("notes/"));
}

#[test]
fn every_link_of_the_site_leads_somewhere() {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0"]).current_dir(workspace());
    let program = Program::start(command, 1);
    let mut followed = 0;
    for page in ["/", "/notes/", "/next/", "/404.html"] {
        let reply = program.get(page);
        let text = reply.text();
        let links =
            ["href=\"", "src=\""].iter().flat_map(|attribute| text.split(attribute).skip(1));
        for link in links.filter_map(|rest| rest.split('"').next()) {
            assert!(link.starts_with('/'), "{page} leads elsewhere: {link}");
            let expected = if link == "/no-such-page" { 404 } else { 200 };
            assert_eq!(program.get(link).status(), expected, "{link} in {page}");
            followed += 1;
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}

#[test]
fn self_signed_is_tls_by_a_certificate_that_is_kept() {
    let folder = site();
    let cache = folder.path().join("cache");
    let start = || {
        let mut command = Command::new(PROGRAM);
        command.arg(folder.path().join("root")).args(["--listen-tls", "127.0.0.1:0"]);
        command.args(["--self-signed", "--code-cache"]).arg(&cache);
        Program::start(command, 1)
    };
    let told = |program: &mut Program| {
        let line = program.wait_for("self-signed certificate");
        line[line.find("sha256=").unwrap()..].to_owned()
    };
    let mut program = start();
    assert!(program.said.contains("listening on https://127.0.0.1:"), "{}", program.said);
    let first = told(&mut program);
    let file = cache.join("self-signed.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let certificate = CertificateDer::from_pem_file(&file).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let config = Arc::new(config.with_no_client_auth());
    for name in ["localhost", "127.0.0.1"] {
        let mut client = Client::over(Stream::tls(program.addresses[0], &config, name));
        client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(client.reply().status(), 200, "{name}");
    }
    drop(program);
    assert_eq!(told(&mut start()), first);
}

#[test]
fn listens_on_several_addresses() {
    let folder = site();
    let mut command = serving(&folder.path().join("root"), &["--listen", "[::1]:0"]);
    command.args(["--workers", "3"]);
    let program = Program::start(command, 2);
    assert!(program.addresses[0].is_ipv4() && program.addresses[1].is_ipv6());
    for &address in &program.addresses {
        Client::connect(address).expect_open();
    }
}

#[test]
fn writes_one_line_a_request() {
    let folder = site();
    let program = Program::start(serving(&folder.path().join("root"), &[]), 1);
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nReferer: /b\r\n\r\n");
    client.reply();
    client.send("GET / HTTP/1.1\r\nUser-Agent: no host\r\n\r\n");
    assert_eq!(client.reply().status(), 400);
    let mut client = program.client();
    client.send("nonsense\r\n\r\n");
    client.reply();
    program.signal(Signal::TERM);
    let (status, out, _) = program.finish();
    assert!(status.success());
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{out}");
    assert!(lines[0].ends_with(r#"] "GET /hello.txt HTTP/1.1" 200 6 "/b" "test""#), "{out}");
    // Of two connections, in either order.
    let is_logged = |begin: &str, end: &str| {
        lines.iter().any(|line| line.contains(begin) && line.ends_with(end))
    };
    assert!(is_logged(r#"] "GET / HTTP/1.1" 400 "#, r#" "-" "no host""#), "{out}");
    assert!(is_logged(r#"] "nonsense" 400 "#, r#" "-" "-""#), "{out}");
}

#[test]
fn shows_the_head_as_it_came_in() {
    let folder = site();
    let program = Program::start(serving(&folder.path().join("root"), &["-v"]), 1);
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\nX-Odd: \x1b[2J\r\n\r\n");
    assert_eq!(client.reply().status(), 400, "a control character in a field");
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\nX-Odd: caf\u{e9}\r\n\r\n");
    client.reply();
    program.signal(Signal::TERM);
    let (_, out, said) = program.finish();
    let shown =
        "--- from 127.0.0.1\n> GET /hello.txt HTTP/1.1\n> Host: a\n> X-Odd: caf\\xc3\\xa9\n";
    assert!(said.contains(shown), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
    assert!(!out.contains("---"), "{out}");
}

#[test]
fn wrong_use_is_told_with_exit_code_2() {
    for (arguments, part) in [
        (&["--listen", "example.org:80"][..], "127.0.0.1:80"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--workers", "0"], "--workers"),
        (&["one", "two"], "two"),
        (&["--cache-control", "*.css"], "write PATTERN=VALUE"),
        (&["--cache-control", "max-age=3600"], "write '*=max-age=3600'"),
        (&["--cache-control", "assets/*=3600"], "write max-age=3600"),
        (&["serve", "site"], "write: innkeeper site"),
        (&[".", "8000"], "write: innkeeper . --port 8000"),
    ] {
        let (code, message) = refused(arguments);
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
}

#[test]
fn what_cannot_be_served_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, part) in [
        (&["no/such/folder"][..], "no/such/folder: there is no such directory"),
        (&["Cargo.toml"], "Cargo.toml: it is not a directory"),
        (&["8000"], "write: innkeeper --port 8000"),
        (&["--port", "1", "--listen", ":2"], "--port 1 is for the default address, and --listen"),
        (&["--guest", "no-such.wasm"], "no-such.wasm"),
        (&["--guest", "Cargo.toml"], "Cargo.toml is rejected: not WebAssembly"),
        (&["--guest", "html"], "html"),
        (&["--listen", &taken], "another program listens there"),
        (&["--listen", "192.0.2.1:0"], "this machine does not have that address"),
    ] {
        let (code, message) = refused(arguments);
        assert_eq!(code, 1, "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_second_server_on_the_port_is_refused() {
    let folder = site();
    let program = Program::start(serving(&folder.path().join("root"), &[]), 1);
    let taken = program.addresses[0].to_string();
    let (code, message) = refused(&["--listen", &taken]);
    assert_eq!(code, 1);
    assert!(message.contains("another program listens there"), "{message}");
    program.client().expect_open();
}

#[test]
fn a_restart_binds_at_once() {
    let folder = site();
    let root = folder.path().join("root");
    let first = Program::start(serving(&root, &[]), 1);
    let address = first.addresses[0];
    // The server closes first, so that the connection is in TIME_WAIT on its side.
    let mut client = first.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.reply();
    client.expect_closed();
    drop(client);
    first.signal(Signal::TERM);
    assert!(first.finish().0.success());
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X} ", address.port());
    let waiting = |line: &str| line.contains(&port) && line.split_whitespace().nth(3) == Some("06");
    assert!(connections.lines().any(waiting), "no connection is in TIME_WAIT: {connections}");
    let mut again = Command::new(PROGRAM);
    again.arg(&root).args(["--listen", &address.to_string()]);
    Program::start(again, 1).client().expect_open();
}

#[test]
fn flags_of_the_site_reach_it() {
    let folder = site();
    let root = folder.path().join("root");
    std::os::unix::fs::symlink("hello.txt", root.join("link.txt")).unwrap();
    let followed = Program::start(serving(&root, &[]), 1);
    assert_eq!(followed.get("/link.txt").status(), 200);
    assert_eq!(followed.get("/bare/").status(), 404);
    let flags = ["--no-symlinks", "--listing", "--cache-control", "*.txt=max-age=60"];
    let flagged = Program::start(serving(&root, &flags), 1);
    assert_eq!(flagged.get("/link.txt").status(), 404);
    assert_eq!(flagged.get("/bare/").status(), 200);
    assert_eq!(flagged.get("/hello.txt").field("cache-control"), Some("max-age=60"));
}

#[test]
fn compiled_guests_are_kept_where_nobody_else_can_write() {
    let folder = site();
    let cache = folder.path().join("cache");
    let flags = ["--code-cache", cache.to_str().unwrap()];
    let start = || Program::start(serving(&folder.path().join("root"), &flags), 1);
    start().client().expect_open();
    // The code, and a note that the check was passed.
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    start().client().expect_open();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, message) = refused(&flags);
    assert_eq!(code, 1);
    assert!(message.contains("others could put code there"), "{message}");
}

#[test]
fn passed_check_is_made_again_only_after_a_change() {
    let folder = site();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("policy.wasm"), innkeeper::guest::DEFAULT_GUEST).unwrap();
    let case =
        |decision: &str| format!("case = [{{ line = 'GET / HTTP/1.1', decision = {decision} }}]");
    fs::write(path("cases.toml"), case("{ index = '' }")).unwrap();
    let (guest, cases, cache) = (path("policy.wasm"), path("cases.toml"), path("cache"));
    let flags = ["--guest", &guest, "--cases", &cases, "--code-cache", &cache];
    let said = |flags: &[&str]| {
        Program::start(serving(&folder.path().join("root"), flags), 1).said.clone()
    };
    assert!(said(&flags).contains("request_lines=295 cases=1"));
    assert!(said(&flags).contains("validated at an earlier start"));
    // Other limits, and other cases.
    let limits = [&flags[..], &["--guest-deadline", "50ms"]].concat();
    assert!(said(&limits).contains("request_lines=295"));
    fs::write(&cases, case("'not-found'")).unwrap();
    let (code, message) = refused(&flags);
    assert_eq!(code, 1);
    assert!(message.contains("1 of 1 cases failed"), "{message}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = site();
    let root = folder.path().join("root");
    write(&root.join("large.bin"), &vec![b'x'; 64 << 20]);
    let program = Program::start(serving(&root, &[]), 1);
    let mut stuck = program.client();
    stuck.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    stuck.receive().unwrap();
    // This one was busy, and may send one more request.
    let mut client = program.client();
    client.expect_open();
    program.signal(Signal::INT);
    // It has noticed the first signal when it no longer accepts.
    while TcpStream::connect(program.addresses[0]).is_ok() {
        std::thread::yield_now();
    }
    client.send("GET /range.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
    program.signal(Signal::INT);
    let (status, out, _) = program.finish();
    assert_eq!(status.code(), Some(130));
    // What was answered a moment before the end is logged.
    assert!(out.contains("GET /range.txt"), "{out}");
}

/// As nobody, if these tests run as root.
#[test]
fn an_unreadable_file_is_not_found() {
    let folder = site();
    let root = folder.path().join("root");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(root.join("range.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    // The program itself may lie where nobody may look.
    let copy = folder.path().join("innkeeper");
    fs::copy(PROGRAM, &copy).unwrap();
    let mut command = Command::new(copy);
    command.arg(&root).args(["--listen", "127.0.0.1:0"]).current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let program = Program::start(command, 1);
    assert_eq!(program.get("/hello.txt").status(), 200);
    let reply = program.get("/range.txt");
    assert_eq!((reply.status(), reply.text()), (404, "File not found\n"));
    program.signal(Signal::TERM);
    let (_, _, errors) = program.finish();
    assert!(errors.contains("range.txt") && errors.contains("forbidden"), "{errors}");
}

#[test]
fn a_file_of_five_gibibytes_takes_no_memory() {
    const LENGTH: u64 = 5 << 30;
    let folder = site();
    let root = folder.path().join("root");
    fs::File::create(root.join("sparse.bin")).unwrap().set_len(LENGTH).unwrap();
    let program = Program::start(serving(&root, &[]), 1);
    let mut client = program.client();
    client.send("GET /sparse.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    // Read by hand: the fixture would keep it.
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut socket) = (0, client.socket());
    loop {
        match socket.read(&mut buffer).unwrap() {
            0 => break,
            count => total += count as u64,
        }
    }
    assert!((LENGTH + 1..LENGTH + 1024).contains(&total), "{total} bytes came");
    let status = fs::read_to_string(format!("/proc/{}/status", program.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak_kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak_kib < 64 << 10, "{peak_kib} KiB at its highest");
}

/// Each had a copy of its own, for as long as its client liked.
#[test]
fn ranges_of_what_is_compressed_take_no_memory_of_their_own() {
    let folder = site();
    let root = folder.path().join("root");
    let digits = |number: u32| format!("{:08x}", number.wrapping_mul(0x9E37_79B9));
    let text: String = (0..520_000).map(digits).collect();
    write(&root.join("large.txt"), text.as_bytes());
    let program = Program::start(serving(&root, &["--workers", "1"]), 1);
    let asked = "GET /large.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\
                 Range: bytes=0-0,2-\r\n\r\n";
    let ask = || {
        let mut client = program.client();
        // More than the kernel takes.
        client.send(asked.repeat(4));
        client.receive_until("multipart/byteranges");
        client
    };
    let first = ask();
    let before = program.memory("VmRSS:");
    let others: Vec<_> = (0..40).map(|_| ask()).collect();
    let taken = program.memory("VmRSS:").saturating_sub(before);
    assert!(taken < 16 << 20, "{} KiB for 40 clients that read nothing", taken >> 10);
    drop((first, others));
}

/// Out of descriptors, connections wait until there are some.
#[test]
fn running_out_of_descriptors_is_waited_out() {
    let folder = site();
    let root = folder.path().join("root");
    // The program takes its connections' cap from this limit.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 96 && exec \"$0\" \"$@\"", PROGRAM]);
    command.arg(&root).args(["--listen", "127.0.0.1:0", "--workers", "1"]);
    let program = Program::start(command, 1);
    let mut clients: Vec<Client> = (0..40).map(|_| program.client()).collect();
    for client in clients.drain(..).rev().skip(24) {
        drop(client);
    }
    // Whatever was full has room again.
    program.client().expect_open();
}
