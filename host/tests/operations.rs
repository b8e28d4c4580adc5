//! How the program is run in production: settings, logs, restarts, what it gives up.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fixture::{Client, Stream, site, write};
use crate::http2_client::Http2Client;
use crate::running::{PROGRAM, Program, serving, told, until};

/// How long something may take that happens at once on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until this file has so many lines, and gives it.
#[track_caller]
fn lines_of(path: &Path, count: usize) -> String {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text;
        }
        assert!(began.elapsed() < PATIENCE, "{count} lines in {}: {text}", path.display());
        thread::yield_now();
    }
}

#[test]
fn environment_and_file_set_what_flags_set() {
    let folder = site();
    let root = folder.path().join("root");
    let file = folder.path().join("innkeeper.toml");
    fs::write(
        &file,
        "[files]\nlisting = true\ncache-control = ['*.txt=max-age=1']\n[log]\naccess = 'off'\n",
    )
    .unwrap();
    let mut command = serving(&root, &[]);
    command.env("INNKEEPER_CONFIG", &file).env("INNKEEPER_CACHE_CONTROL", "*.txt=max-age=2");
    let program = Program::start(command, 1);
    assert_eq!(program.get("/bare/").status(), 200);
    assert_eq!(program.get("/hello.txt").field("cache-control"), Some("max-age=2"));
}

#[test]
fn effective_configuration_is_printed_with_its_sources() {
    let told = Command::new(PROGRAM)
        .args(["--print-config", "--workers", "3"])
        .env("INNKEEPER_LISTING", "true")
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success());
    let told = Command::new(PROGRAM)
        .args(["dev", "--print-config", "--workers", "3"])
        .env("INNKEEPER_LISTING", "true")
        .env("INNKEEPER_BUILD", "false")
        .output()
        .unwrap();
    let of_dev = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success());
    assert!(of_dev.contains("build = \"false\""), "{of_dev}");
    for (setting, source) in [
        ("workers = 3", "command line"),
        ("listing = true", "environment: INNKEEPER_LISTING"),
        ("root = ", "default"),
    ] {
        for text in [&text, &of_dev] {
            let line = text.lines().find(|line| line.starts_with(setting)).unwrap();
            assert!(line.ends_with(source), "{line}");
        }
    }
}

/// They were not read by `dev`.
#[test]
fn wrong_settings_of_dev_are_refused_too() {
    let folder = site();
    let file = folder.path().join("innkeeper.toml");
    fs::write(&file, "[dev]\nbuidl = 'true'\n").unwrap();
    let refused = Command::new(PROGRAM).args(["dev", "--config"]).arg(&file).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("did you mean `build` in [dev]?"));
}

#[test]
fn wrong_settings_are_refused_with_the_right_ones() {
    let folder = site();
    let file = folder.path().join("innkeeper.toml");
    fs::write(&file, "[log]\nacess = 'off'\n").unwrap();
    let refused = Command::new(PROGRAM).arg("--config").arg(&file).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        told.contains("there is no setting `acess` in [log]; did you mean `access` in [log]?"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn completions_and_the_manual_page_know_every_flag() {
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let written = Command::new(PROGRAM).args(arguments).output().unwrap();
        let text = String::from_utf8(written.stdout).unwrap().replace('\\', "");
        for flag in ["--listen", "--access-log-file", "--admin-token-file", "--guest-deadline"] {
            assert!(text.contains(flag), "{flag} in {arguments:?}");
        }
    }
}

#[test]
fn json_access_log_has_decision_and_times() {
    let folder = site();
    let log = folder.path().join("access.log");
    let flags = ["--access-log", "json", "--access-log-file", log.to_str().unwrap()];
    let program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    // A line is written after its answer is sent: each waits for the one before.
    program.get("/hello.txt");
    lines_of(&log, 1);
    program.get("/.git/\"");
    lines_of(&log, 2);
    let mut client = program.client();
    client.send("NONSENSE\r\n\r\n");
    client.reply();
    let text = lines_of(&log, 3);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("status"), [200, 404, 400]);
    assert_eq!(of("decision"), ["file", "not-found", "host"]);
    assert_eq!(of("request"), ["GET /hello.txt HTTP/1.1", "GET /.git/\" HTTP/1.1", "NONSENSE"]);
    assert_eq!(lines[0]["body_bytes"], 6);
    assert!(lines[0]["compute_us"].is_u64() && lines[0]["total_us"].is_u64());
    assert!(lines[2]["guest"].is_null() && lines[2]["compute_us"].is_null());
}

#[test]
fn moved_log_is_reopened_on_a_signal() {
    let folder = site();
    let (log, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let flags = ["--access-log-file", log.to_str().unwrap()];
    let program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    program.get("/hello.txt");
    lines_of(&log, 1);
    fs::rename(&log, &moved).unwrap();
    program.signal(Signal::USR1);
    // The new file is there when the signal has been heard.
    let began = Instant::now();
    while !log.exists() {
        assert!(began.elapsed() < PATIENCE);
        thread::yield_now();
    }
    program.get("/empty.txt");
    assert!(lines_of(&log, 1).contains("/empty.txt"));
    assert!(lines_of(&moved, 1).contains("/hello.txt"));
}

#[test]
fn log_whose_folder_is_replaced_is_opened_again() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("logs")).unwrap();
    let mut command = serving(&path("root"), &["--access-log-file"]);
    command.arg(path("logs/access.log"));
    let program = Program::start(command, 1);
    program.get("/hello.txt");
    lines_of(&path("logs/access.log"), 1);
    fs::rename(path("logs"), path("logs.old")).unwrap();
    fs::create_dir(path("logs")).unwrap();
    program.signal(Signal::USR1);
    let began = Instant::now();
    while !path("logs/access.log").exists() {
        assert!(began.elapsed() < PATIENCE, "it is not opened again");
        thread::yield_now();
    }
    program.get("/empty.txt");
    assert!(lines_of(&path("logs/access.log"), 1).contains("/empty.txt"));
    assert!(lines_of(&path("logs.old/access.log"), 1).contains("/hello.txt"));
}

/// What it may open is told in the log: the root and the compiled guests alone.
#[test]
fn guest_cases_and_log_anywhere_open_no_folder() {
    let folder = site();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("guest.wasm"), innkeeper::guest::DEFAULT_GUEST).unwrap();
    fs::write(
        path("cases.toml"),
        "case = [{ line = 'GET / HTTP/1.1', decision = { index = '' } }]",
    )
    .unwrap();
    let named = ["--guest", "guest.wasm", "--cases", "cases.toml", "--access-log-file", "/log"];
    for (arguments, opened) in [
        (&[][..], &[][..]),
        (&named[..4], &["guest.wasm", "cases.toml"]),
        (
            &["--guest", "guest.wasm", "--access-log-file", "access.log"],
            &["guest.wasm", "access.log"],
        ),
    ] {
        let mut command = serving(&path("root"), &["--code-cache", "cache"]);
        command.current_dir(folder.path()).args(arguments);
        let program = Program::start(command, 1);
        program.client().expect_open();
        let at = folder.path().canonicalize().unwrap();
        let at = at.display();
        let (root, cache) = (path("root"), format!("{at}/cache"));
        let (_, open) = program.said.split_once("calls=fully ").unwrap();
        let by_name: Vec<_> = opened.iter().map(|name| format!("{at}/{name}")).collect();
        let mut expected = format!("read={} write={cache}", root.display());
        if !by_name.is_empty() {
            expected += &format!(" by_name={}", by_name.join(":"));
        }
        assert_eq!(open.lines().next().unwrap(), expected);
    }
}

/// The process with this name that this one started, as soon as it has its name.
fn child_of(parent: u32, name: &str) -> rustix::process::Pid {
    let find = || {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.unwrap();
        let named = |id: &&str| {
            fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        children.split_whitespace().find(named).map(str::to_owned)
    };
    until(|| find().is_some());
    rustix::process::Pid::from_raw(find().unwrap().parse().unwrap()).unwrap()
}

#[test]
fn server_without_its_opener_goes_on_and_logs_what_to_do() {
    let folder = site();
    let log = folder.path().join("access.log");
    let mut command = serving(&folder.path().join("root"), &["--access-log-file"]);
    command.arg(&log);
    let mut program = Program::start(command, 1);
    let opener = child_of(program.child.id(), "inn-opener");
    // What a service manager or a terminal sends to all of them is for the server.
    for signal in [Signal::HUP, Signal::USR1, Signal::TERM, Signal::INT] {
        rustix::process::kill_process(opener, signal).unwrap();
    }
    program.signal(Signal::USR1);
    program.get("/hello.txt");
    lines_of(&log, 1);
    assert!(!program.said.contains("has ended"));
    rustix::process::kill_process(opener, Signal::KILL).unwrap();
    program.signal(Signal::USR1);
    let told = program.wait_for("the process that opens files for the server has ended");
    assert!(told.contains("the old file is used") && told.contains("restart"), "{told}");
    assert_eq!(program.get("/hello.txt").status(), 200);
    lines_of(&log, 2);
}

#[test]
fn opener_ends_with_its_server() {
    let folder = site();
    let mut command = serving(&folder.path().join("root"), &["--access-log-file"]);
    command.arg(folder.path().join("access.log"));
    let mut program = Program::start(command, 1);
    let opener = child_of(program.child.id(), "inn-opener");
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let began = Instant::now();
    while rustix::process::test_kill_process(opener).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is still there");
        thread::yield_now();
    }
}

#[test]
fn folder_of_compiled_guests_with_other_files_is_warned_of() {
    let folder = site();
    let cache = folder.path().join("home");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let arguments = ["--code-cache", cache.to_str().unwrap()];
    let start = || Program::start(serving(&folder.path().join("root"), &arguments), 1);
    assert!(!start().said.contains("holds other files"));
    assert!(!start().said.contains("holds other files"), "its own files are none");
    fs::write(cache.join("letter.txt"), "dear").unwrap();
    let said = start().said.clone();
    assert!(said.contains("holds other files") && said.contains("/home"), "{said}");
}

#[test]
fn stalled_log_reader_stops_no_request() {
    let folder = site();
    // Nobody reads standard output: its pipe is full after 64 KiB.
    let program = Program::start(serving(&folder.path().join("root"), &[]), 1);
    let mut client = program.client();
    let line = format!("GET /hello.txt?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(4000));
    for _ in 0..500 {
        client.send(&line);
        assert_eq!(client.reply().status(), 200);
    }
    // Nor does it keep the server from stopping.
    let mut program = program;
    program.signal(Signal::TERM);
    program.wait_for("access log is not read");
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn all_threads_are_in_the_sandbox() {
    let folder = site();
    let mut program = Program::start(serving(&folder.path().join("root"), &[]), 1);
    program.client().expect_open();
    assert!(program.said.contains("sandbox is on files=fully calls=fully"));
    let id = program.child.id();
    let threads: Vec<_> = fs::read_dir(format!("/proc/{id}/task")).unwrap().collect();
    assert!(threads.len() > 3, "{threads:?}");
    for thread in threads {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2".to_owned(), "1".to_owned()));
    }
    let mut free = Program::start(serving(&folder.path().join("root"), &["--no-sandbox"]), 1);
    assert!(free.said.contains("sandbox is off"));
    let status = fs::read_to_string(format!("/proc/{}/status", free.child.id())).unwrap();
    assert!(status.contains("Seccomp:\t0"));
    for program in [&mut program, &mut free] {
        program.signal(Signal::TERM);
        program.wait_for("stopped");
    }
}

/// The program with a socket that listens already, as systemd starts it.
fn activated(root: &Path, listener: &TcpListener, arguments: &[&str]) -> Program {
    // Shells know descriptors of one digit alone: it comes as standard input.
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).arg(root).args(arguments);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let input = listener.try_clone().unwrap();
    Program::start_with(command, Stdio::from(OwnedFd::from(input)), 1)
}

/// Asks until it is told to stop, on one connection as long as the server keeps it. A
/// request that is not answered is a lost one.
fn ask_all_the_time(address: SocketAddr, answered: &AtomicUsize, stop: &AtomicBool) {
    let mut client = Client::connect(address);
    while !stop.load(Ordering::Relaxed) {
        client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.status(), 200);
        answered.fetch_add(1, Ordering::Relaxed);
        if reply.field("connection") == Some("close") {
            client = Client::connect(address);
        }
    }
}

/// The same with HTTP/2: several requests at a time. Also those that crossed with the word that the
/// server leaves are to be answered.
fn ask_all_the_time_by_http2(address: SocketAddr, answered: &AtomicUsize, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut client = Http2Client::new(Stream::tcp(address));
        while client.goaway.is_none() && !stop.load(Ordering::Relaxed) {
            let streams: Vec<_> = (0..10).map(|_| client.get("/hello.txt")).collect();
            for stream in streams {
                assert_eq!(client.response(stream).body, b"hello\n");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[test]
fn restart_with_an_inherited_socket_loses_no_request() {
    restarts(&[], ask_all_the_time);
}

#[test]
fn restart_with_an_inherited_socket_loses_no_stream() {
    restarts(&["--http2-prior-knowledge"], ask_all_the_time_by_http2);
}

fn restarts(arguments: &[&str], ask: fn(SocketAddr, &AtomicUsize, &AtomicBool)) {
    const RESTARTS: usize = 5;
    const CLIENTS: usize = 8;
    let folder = site();
    let root = folder.path().join("root");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let arguments = [&["--access-log", "off"], arguments].concat();
    let start = || activated(&root, &listener, &arguments);
    let mut program = start();
    assert_eq!(program.addresses, [address]);
    let (answered, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| ask(address, &answered, &stop));
        }
        for _ in 0..RESTARTS {
            let before = answered.load(Ordering::Relaxed);
            while answered.load(Ordering::Relaxed) < before + 1_000 {
                thread::yield_now();
            }
            program.signal(Signal::TERM);
            // One after the other, so that for a while nobody accepts.
            let old = std::mem::replace(&mut program, Program::start(Command::new("true"), 0));
            let (status, _, said) = old.finish();
            assert!(status.success() && said.contains("stopped"), "{said}");
            program = start();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn systemd_is_told_what_becomes_of_the_server() {
    let folder = site();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            let heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if heard.contains(wanted) {
                return heard;
            }
        }
    };
    let mut command = serving(&folder.path().join("root"), &[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000");
    let program = Program::start(command, 1);
    assert!(hear("READY=1").contains("STATUS=serving"));
    // Every worker's heart has beaten.
    hear("WATCHDOG=1");
    program.signal(Signal::HUP);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    program.signal(Signal::TERM);
    hear("STOPPING=1");
}

/// A name with a line feed told it of another process.
#[test]
fn name_of_the_root_tells_systemd_nothing() {
    let folder = site();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let root = folder.path().join("a\nMAINPID=1\u{1b}");
    fs::create_dir(&root).unwrap();
    let mut command = serving(&root, &[]);
    command.env("NOTIFY_SOCKET", &path);
    let _program = Program::start(command, 1);
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert_eq!(heard.lines().count(), 2, "{heard}");
    assert!(heard.contains(r"/a\nMAINPID=1\u{1b} at http"), "{heard}");
}

#[test]
fn diagnostics_are_json_when_asked() {
    let folder = site();
    let root = folder.path().join("root");
    let flags = ["--log-format", "json", "--admin", "127.0.0.1:0"];
    let program = Program::start(serving(&root, &flags), 1);
    program.signal(Signal::TERM);
    let (_, _, said) = program.finish();
    assert!(said.contains("listening on") && said.contains("administration at"), "{said}");
    for line in said.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        // Where root runs the tests.
        let is_of_root = object["message"] == "server runs as root";
        assert!(object["level"] == "INFO" || is_of_root, "{line}");
        assert!(object["timestamp"].is_string() && object["message"].is_string());
    }
    let mut command = serving(&root, &[]);
    command.env("RUST_LOG", "innkeeper=loud");
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("RUST_LOG"));
}

#[test]
fn busy_connection_may_send_one_more_request_at_a_stop() {
    let folder = site();
    let program = Program::start(serving(&folder.path().join("root"), &[]), 1);
    let mut client = program.client();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    client.reply();
    program.signal(Signal::TERM);
    while TcpStream::connect(program.addresses[0]).is_ok() {
        thread::yield_now();
    }
    client.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status(), reply.field("connection")), (200, Some("close")));
    client.expect_closed();
}

/// A listener that waits for what clients send has some that it has not accepted: they are not reset when
/// it is closed.
#[test]
fn client_that_has_connected_when_the_server_stops_is_served() {
    let folder = site();
    // A busy machine may take longer than the server goes on accepting.
    let is_served = |_| {
        let mut program = Program::start(serving(&folder.path().join("root"), &[]), 1);
        let mut client = TcpStream::connect(program.addresses[0]).unwrap();
        program.signal(Signal::TERM);
        program.wait_for("stopping");
        let sent = client.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut reply = String::new();
        sent.and_then(|()| client.read_to_string(&mut reply)).is_ok_and(|_| {
            reply.starts_with("HTTP/1.1 200 OK") && reply.contains("Connection: close")
        })
    };
    assert!((0..10).any(is_served));
}

#[test]
fn silent_client_is_accepted_at_once_without_defer_accept_alone() {
    let folder = site();
    let root = folder.path().join("root");
    for (is_inherited, flag, accepted) in
        [(false, "0s", 1), (false, "60s", 0), (true, "0s", 1), (true, "60s", 0)]
    {
        let flags = ["--defer-accept", flag, "--admin", "127.0.0.1:0", "--workers", "1"];
        let mut program = if is_inherited {
            let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null";
            let mut command = Command::new("sh");
            command.args(["-c", script, PROGRAM]).arg(&root).args(flags);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Program::start_with(command, Stdio::from(OwnedFd::from(listener)), 1)
        } else {
            Program::start(serving(&root, &flags), 1)
        };
        let admin = program.admin();
        let has_idle = |count: usize| {
            let line = format!("innkeeper_connections{{state=\"idle\"}} {count}\n");
            told(admin, "/metrics").contains(&line)
        };
        let _silent = TcpStream::connect(program.addresses[0]).unwrap();
        // Behind it in the queue of the worker.
        let mut other = program.client();
        other.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(other.reply().status(), 200);
        until(|| has_idle(1 + accepted));
        drop(other);
        until(|| has_idle(accepted));
    }
}

#[test]
fn log_that_cannot_be_opened_is_an_error_of_the_start() {
    let folder = site();
    let root = folder.path().join("root");
    write(&folder.path().join("file"), b"");
    let mut child = serving(&root, &["--access-log-file"]);
    child.arg(folder.path().join("file/access.log"));
    child.stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(told.contains("cannot write the log") && told.lines().count() == 1, "{told}");
}
