//! A machine that fails the server: no descriptors, no memory, no room for logs, a clock that
//! jumps, a process that is killed at any moment.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use crate::fixture::{Client, Reply, site, write};
use crate::http2_client::Http2Client;
use crate::running::{Program, address, serving, told};
use crate::skip::{Need, skip};
use crate::wat_guest::{module, replying};

/// How long something may take that happens at once on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Changes what a running program may have. Gives what it was.
pub fn limit(program: &Program, resource: Resource, current: Option<u64>) -> Option<u64> {
    // It inherited the highest value from us.
    let new = Rlimit { current, maximum: getrlimit(resource).maximum };
    prlimit(Some(Pid::from_child(&program.child)), resource, new).unwrap().current
}

pub fn ask(client: &mut Client, target: &str) -> Reply {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    client.reply()
}

#[test]
fn connections_and_files_wait_for_descriptors() {
    let folder = site();
    let flags = ["--workers", "1"];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let mut old = program.client();
    old.expect_open();
    let before = limit(&program, Resource::Nofile, Some(3));
    let reply = ask(&mut old, "/range.txt");
    assert_eq!((reply.status(), reply.field("retry-after")), (503, Some("1")));
    program.wait_for(
        "cannot serve file now operation=open path=range.txt error=\"Too many open files",
    );
    let mut new = program.client();
    new.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    let line = program.wait_for("cannot accept connections, they wait");
    assert!(line.contains("Too many open files"), "{line}");
    // It is tried ten times a second, and told once.
    new.socket().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert_eq!(new.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    new.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    limit(&program, Resource::Nofile, before);
    assert_eq!(new.reply().text(), "hello\n");
    assert_eq!(ask(&mut old, "/range.txt").status(), 200);
    program.wait_for("connections are accepted again");
    assert_eq!(program.said.matches("cannot accept").count(), 1, "{}", program.said);
}

/// Threads for what is not in memory could not be started, and a connection that needed one
/// panicked.
#[test]
fn requests_are_served_without_room_for_another_thread() {
    let folder = site();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, innkeeper::guest::DEFAULT_GUEST).unwrap();
    let flags = ["--workers", "1", "--guest", guest.to_str().unwrap()];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let mut old = program.client();
    old.expect_open();
    // What is small must be there to be had, or the process ends. A thread wants 2 MiB.
    let so_much = program.memory("VmSize:") + (1 << 20);
    let before = limit(&program, Resource::As, Some(so_much));
    for number in 0..20 {
        // The kernel never heard of these: they are looked for by a thread that may wait.
        assert_eq!(ask(&mut old, &format!("/never/heard/of/{number}")).status(), 404);
        assert_eq!(ask(&mut program.client(), "/hello.txt").text(), "hello\n");
    }
    // It is compiled by another process. Where there is no room for the guest itself, what
    // serves goes on serving.
    let next = folder.path().join("next.wasm");
    let large = module(&format!("(data \"{}\")", "x".repeat(4 << 20)), "");
    fs::write(&next, large).unwrap();
    fs::rename(&next, &guest).unwrap();
    let line = program.wait_for(" current=");
    assert!(line.contains("memory"), "{line}");
    assert_eq!(ask(&mut old, "/hello.txt").text(), "hello\n");
    fs::write(&next, replying("two")).unwrap();
    fs::rename(&next, &guest).unwrap();
    program.wait_for("guest deployed");
    assert_eq!(ask(&mut old, "/").text(), "two");
    limit(&program, Resource::As, before);
    assert!(!program.said.contains("panic"), "{}", program.said);
}

#[test]
fn full_log_disk_costs_lines_and_no_request() {
    let folder = site();
    let flags = ["--access-log-file", "/dev/full", "--admin", "127.0.0.1:0"];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let admin = program.admin();
    for _ in 0..3 {
        assert_eq!(program.get("/hello.txt").text(), "hello\n");
    }
    let line = program.wait_for("cannot write access log");
    assert!(line.contains("No space left on device"), "{line}");
    let began = Instant::now();
    while !told(admin, "/metrics").contains("innkeeper_access_log_lost_lines_total 3\n") {
        assert!(began.elapsed() < PATIENCE, "{}", told(admin, "/metrics"));
    }
    assert_eq!(told(admin, "/healthz"), "ok\n");
    program.signal(Signal::TERM);
    let (status, _, said) = program.finish();
    assert!(status.success());
    assert_eq!(said.matches("cannot write access log").count(), 1, "{said}");
}

/// A limit on the length of files ended the process, by a signal. It stands here for a disk
/// that is full for a while: it too takes a part of a line before it refuses.
#[test]
fn log_with_room_again_goes_on_with_whole_lines() {
    let folder = site();
    let log = folder.path().join("access.log");
    let flags = ["--access-log-file", log.to_str().unwrap()];
    let mut program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    program.get("/hello.txt?first");
    let began = Instant::now();
    while fs::metadata(&log).unwrap().len() == 0 {
        assert!(began.elapsed() < PATIENCE);
        thread::yield_now();
    }
    let length = fs::metadata(&log).unwrap().len();
    let before = limit(&program, Resource::Fsize, Some(length + 20));
    assert_eq!(program.get("/hello.txt?second").text(), "hello\n");
    program.wait_for("cannot write access log, lines are lost error=\"File too large");
    limit(&program, Resource::Fsize, before);
    program.get("/hello.txt?third");
    program.wait_for("access log is written again, lines were lost lines=1");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("?first") && lines[0].ends_with('"'), "{text}");
    assert_eq!(lines[1].len(), 20, "{text}");
    assert!(lines[2].starts_with("127.0.0.1") && lines[2].contains("?third"), "{text}");
}

#[test]
fn full_standard_error_stops_no_request() {
    let folder = site();
    let root = folder.path().join("root");
    // A port that was free a moment ago: the program cannot say which it found.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = serving(&root, &["--admin", "127.0.0.1:0"]);
    command.args(["--listen", &address.to_string()]).env("RUST_LOG", "debug");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = command.stderr(full).stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(began.elapsed() < PATIENCE);
        thread::yield_now();
    }
    let mut client = Client::connect(address);
    client.expect_open();
    // What is worth a warning is answered as well.
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(ask(&mut client, "/hello.txt").status(), 404);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A library that moves the wall clock of the program that it is loaded into by as many
/// seconds as a file says. `None`, and a skip, without a compiler.
pub fn movable_clock(folder: &Path) -> Option<(PathBuf, File)> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, include_str!("movable_clock.c")).unwrap();
    let mut compiler = Command::new("cc");
    compiler.arg(format!("-DOFFSET={:?}", folder.join("offset")));
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    if !compiler.status().is_ok_and(|status| status.success()) {
        skip(Need::CCompiler, "cannot run `cc`");
        return None;
    }
    let offset = folder.join("offset");
    let options = OpenOptions::new().read(true).write(true).create_new(true).open(&offset);
    let file = options.unwrap();
    file.write_all_at(&0_i64.to_ne_bytes(), 0).unwrap();
    Some((library, file))
}

#[test]
fn clock_that_jumps_moves_dates_and_no_deadline() {
    const DAY: i64 = 86_400;
    /// In the year 2232: the kernel lets no clock be set to what is later.
    const LATEST: i64 = 8_277_292_036 - DAY;
    let folder = site();
    let root = folder.path().join("root");
    let Some((library, offset)) = movable_clock(folder.path()) else { return };
    let log = folder.path().join("access.log");
    // Each time the file is looked at, however busy the worker is.
    let mut command = serving(&root, &["--workers", "1", "--file-cache-valid", "0s"]);
    command.args(["--access-log", "json", "--admin", "127.0.0.1:0"]);
    command.arg("--access-log-file").arg(&log);
    command.env("LD_PRELOAD", library);
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let (mut busy, mut slow) = (program.client(), program.client());
    // Its head has ten seconds to arrive, by a clock that does not jump.
    slow.send("GET /hello.txt HTTP/1.1\r\nHost: test\r\n");
    let began = Instant::now();
    let settled = loop {
        let reply = ask(&mut busy, "/range.txt");
        if let Some(tag) = reply.field("etag")
            && reply.field("last-modified").is_some()
        {
            break tag.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "{reply:?}");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    for jump in [0, DAY, -DAY, 0, -now, 0, LATEST - now, 0] {
        offset.write_all_at(&jump.to_ne_bytes(), 0).unwrap();
        let reply = ask(&mut busy, "/range.txt");
        assert_eq!(reply.status(), 200);
        let date = httpdate::parse_http_date(reply.field("date").unwrap()).unwrap();
        let date = date.duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let expected = now + jump;
        assert!((0..60).contains(&(date - expected)), "{jump}: {date}, not {expected}");
        // What seems to be written in the future could be written again unnoticed: it has no
        // validators until the clock is right.
        let tag = (jump >= 0).then_some(settled.as_str());
        assert_eq!(reply.field("etag"), tag, "{jump}");
        assert_eq!(reply.field("last-modified").is_some(), jump >= 0, "{jump}");
        assert!(told(admin, "/status").contains("\"uptime_s\": "), "{jump}");
        assert_eq!(told(admin, "/healthz"), "ok\n");
    }
    slow.send("\r\n");
    assert_eq!(slow.reply().text(), "hello\n");
    program.signal(Signal::TERM);
    let (status, _, said) = program.finish();
    assert!(status.success() && !said.contains("panic"), "{said}");
    let text = fs::read_to_string(&log).unwrap();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_ok(), "{line}");
    }
    for year in ["1970-", "2232-"] {
        assert!(text.contains(&format!("\"timestamp\":\"{year}")), "{year}: {text}");
    }
}

#[test]
fn server_killed_at_any_moment_of_a_swap_starts_again() {
    let folder = site();
    let root = folder.path().join("root");
    let (guest, next) = (folder.path().join("policy.wasm"), folder.path().join("next.wasm"));
    let cache = folder.path().join("cache");
    fs::write(&guest, replying("guest 0")).unwrap();
    let start = || {
        let mut command = serving(&root, &["--workers", "1"]);
        command.arg("--guest").arg(&guest).arg("--code-cache").arg(&cache);
        Program::start(command, 1)
    };
    for round in 1..=12 {
        let mut program = start();
        let text = format!("guest {}", round - 1);
        assert_eq!(program.get("/").text(), text, "what the file held serves: {}", program.said);
        write(&next, &replying(&format!("guest {round}")));
        fs::rename(&next, &guest).unwrap();
        // The swap settles, compiles, keeps the code, checks and notes that.
        let moment = Duration::from_millis(round * 15);
        let began = Instant::now();
        while began.elapsed() < moment {
            thread::yield_now();
        }
        program.child.kill().unwrap();
    }
    assert_eq!(start().get("/").text(), "guest 12");
}

/// It stopped all workers, one at its next line each, and the end as well.
#[test]
fn stalled_reader_of_standard_error_stops_no_request() {
    let folder = site();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, replying("yes")).unwrap();
    let mut command = serving(&folder.path().join("root"), &["--admin", "127.0.0.1:0"]);
    command.args(["--http2-prior-knowledge", "--log-level", "debug"]).arg("--guest").arg(&guest);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut wait_for = |wanted: &str| loop {
        let mut line = String::new();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it does not say {wanted}");
        if line.contains(wanted) {
            break address(&line);
        }
    };
    let server = wait_for("listening on http://");
    let admin = wait_for("administration at http://");
    // Nobody reads what follows. A pipe holds 64 KiB.
    // At this level a line tells of each frame, and shows the request.
    let mut client = Http2Client::new(TcpStream::connect(server).unwrap());
    let long = format!("/{}", "y".repeat(900));
    let mut lost = String::new();
    for _ in 0..500 {
        let stream = client.get(&long);
        assert_eq!(client.response(stream).status, 200);
    }
    assert_eq!(ask(&mut Client::connect(server), "/").text(), "yes");
    for line in told(admin, "/metrics").lines() {
        if let Some(count) = line.strip_prefix("innkeeper_diagnostics_lost_lines_total ") {
            lost = count.to_owned();
        }
    }
    assert!(lost.parse::<u32>().unwrap() > 100, "{lost} lines are lost");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
        thread::yield_now();
    }
}
