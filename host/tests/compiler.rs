//! Guests that take long to compile, or much: what they cost the server, and what becomes of
//! the processes that compile them.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::SeccompCmpOp;
use serde_json::Value;
use tempfile::TempDir;

use crate::faulty_calls::start_with;
use crate::fixture::{Client, Reply, site};
use crate::running::{PROGRAM, Program, TOKEN, begin_change, serving, until};
use crate::wat_guest::{configurable, module, quadratic, replying};

/// More than anybody waits for.
const FOREVER: usize = 6_000;

/// A running server to which guests can be handed over.
struct Place {
    program: Program,
    admin: SocketAddr,
    folder: TempDir,
}

impl Place {
    fn new(arguments: &[&str]) -> Place {
        Place::started(arguments, |command| Program::start(command, 1))
    }

    fn started(arguments: &[&str], start: impl FnOnce(Command) -> Program) -> Place {
        let folder = site();
        let token = folder.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        let mut command = serving(&folder.path().join("root"), &["--admin", "127.0.0.1:0"]);
        command.arg("--admin-token-file").arg(token).args(arguments);
        let mut program = start(command);
        let admin = program.admin();
        Place { program, admin, folder }
    }

    /// Begins to hand over a guest, and waits for nothing.
    fn send(&self, line: &str, guest: &[u8]) -> Client {
        let mut client = begin_change(self.admin, line, guest.len());
        client.socket().set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        client.send_if_open(guest);
        client
    }

    fn change(&self, line: &str, guest: &[u8]) -> Reply {
        self.send(line, guest).reply()
    }

    /// Puts a guest, and gives the status and the error: `code: message`.
    fn put(&self, guest: &[u8]) -> (u16, String) {
        let reply = self.change("PUT /guest", guest);
        let report: Value = serde_json::from_str(reply.text()).unwrap();
        let part = |key: &str| report["error"][key].as_str().unwrap_or_default().to_owned();
        (reply.status(), format!("{}: {}", part("code"), part("message")))
    }

    /// The process that starts helpers.
    fn spawner(&self) -> u32 {
        let [spawner] = children(self.program.child.id())[..] else { panic!("one child") };
        spawner
    }

    /// Waits until a compiler is at work, and gives its process.
    fn compiler(&self) -> u32 {
        let spawner = self.spawner();
        until(|| !children(spawner).is_empty());
        children(spawner)[0]
    }

    fn serves_on(&self) {
        assert_eq!(self.program.get("/hello.txt").status(), 200);
        let (status, _) = self.put(&replying("two"));
        assert_eq!((status, self.program.get("/").text()), (200, "two"));
    }
}

/// What stands of a process in proc(5), if there is one that has not ended.
fn stat(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != 'Z' && state != 'X').then_some((state, parent))
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&number| stat(number).is_some_and(|stat| stat.1 == parent)).collect()
}

fn kill(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

/// It took the server's memory and its time, by their square, and ended it.
#[test]
fn guest_with_quadratic_compilation_is_refused_and_server_goes_on() {
    let place = Place::new(&["--compile-time", "1s"]);
    let before = place.program.memory("VmHWM:");
    let (status, problem) = place.put(&quadratic(FOREVER));
    assert_eq!(status, 422, "{problem}");
    assert!(problem.starts_with("compile-limit-exceeded: "), "{problem}");
    assert!(problem.contains("more than the 1 s of a processor"), "{problem}");
    assert!(problem.contains("--compile-time"), "{problem}");
    let taken = place.program.memory("VmHWM:") - before;
    assert!(taken < 64 << 20, "{} MiB of the server's memory", taken >> 20);
    place.serves_on();
}

#[test]
fn compiler_that_wants_more_memory_than_it_may_have_is_refused() {
    let place = Place::new(&["--compile-memory", "128MiB", "--compile-time", "5min"]);
    let (status, problem) = place.put(&quadratic(2_000));
    assert_eq!(status, 422, "{problem}");
    assert!(problem.starts_with("compile-limit-exceeded: "), "{problem}");
    assert!(problem.contains("more than the 128.0 MiB of memory"), "{problem}");
    place.serves_on();
}

/// What they do is `configure` in the process that compiles them.
#[test]
fn guests_that_misbehave_while_they_are_configured_cost_the_server_nothing() {
    let place = Place::new(&["--configure-time", "200ms"]);
    let before = place.program.memory("VmHWM:");
    let grows = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    let deep = "(func $deep (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (local.get 0))))";
    for (items, configure, expected) in [
        ("", "(loop $again (br $again))", "more than the 200ms of a processor"),
        ("", "unreachable", "unreachable"),
        ("", "(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        (deep, "(drop (call $deep (i32.const 1)))", "call stack exhausted"),
        ("", grows, "more memory than it may (--guest-memory)"),
        ("(table 30000000 funcref)", "", "a table of 30000000 elements"),
        ("(elem $e func $f) (func $f)", "(elem.drop $e)", "elem.drop"),
    ] {
        let (status, problem) = place.put(&configurable(items, configure, ""));
        assert_eq!(status, 422, "{problem}");
        assert!(problem.starts_with("configuration-failed: "), "{problem}");
        assert!(problem.contains(expected), "{problem}");
    }
    // Zeros and others in turn: more pieces of state than anything makes.
    let striped = "(local $at i32)
        (drop (memory.grow (i32.const 950)))
        (local.set $at (i32.const 131072))
        (loop $next
            (i64.store (local.get $at) (i64.const 0x0001000100010001))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 62000000))))";
    let (status, problem) = place.put(&configurable("", striped, ""));
    assert_eq!(status, 422, "{problem}");
    assert!(problem.starts_with("compile-limit-exceeded: "), "{problem}");
    assert!(problem.contains("--compile-memory"), "{problem}");
    let taken = place.program.memory("VmHWM:") - before;
    assert!(taken < 64 << 20, "{} MiB of the server's memory", taken >> 20);
    // One that behaves is served with the data of none.
    let (status, problem) = place.put(&configurable("", "", ""));
    assert_eq!(status, 200, "{problem}");
    place.serves_on();
}

#[test]
fn compiler_that_is_killed_is_started_again() {
    let place = Place::new(&["--compile-time", "1h"]);
    let mut client = place.send("PUT /guest", &quadratic(FOREVER));
    kill(place.compiler(), Signal::KILL);
    let reply = client.reply();
    assert_eq!(reply.status(), 503);
    assert!(reply.text().contains("its compiler was ended by signal 9"), "{}", reply.text());
    place.serves_on();
}

#[test]
fn server_serves_on_without_the_process_that_starts_helpers() {
    let mut place = Place::new(&["--compile-time", "1h", "--code-cache", "off"]);
    let mut client = place.send("PUT /guest", &quadratic(FOREVER));
    let compiler = place.compiler();
    kill(place.spawner(), Signal::KILL);
    let reply = client.reply();
    assert_eq!(reply.status(), 503);
    assert!(reply.text().contains("restart the server"), "{}", reply.text());
    until(|| stat(compiler).is_none());
    place.program.wait_for("helper spawner has ended");
    assert_eq!(
        place.change("GET /status", b"").text().matches("\"compiler\": \"unavailable\"").count(),
        1
    );
    let metrics = place.change("GET /metrics", b"");
    assert!(metrics.text().contains("\ninnkeeper_compiler_ready 0\n"), "{}", metrics.text());
    let (status, problem) = place.put(&replying("two"));
    assert_eq!(status, 503);
    assert!(problem.starts_with("compiler-unavailable: "), "{problem}");
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    // The built-in guest needs no helper.
    assert_eq!(place.put(innkeeper::guest::DEFAULT_GUEST).0, 200);
}

#[test]
fn helpers_end_with_their_server() {
    for signal in [Signal::KILL, Signal::TERM] {
        let place = Place::new(&["--compile-time", "1h"]);
        let _client = place.send("PUT /guest", &quadratic(FOREVER));
        let (compiler, spawner) = (place.compiler(), place.spawner());
        // Service managers send it to all.
        if signal == Signal::TERM {
            kill(spawner, signal);
        }
        place.program.signal(signal);
        until(|| stat(spawner).is_none() && stat(compiler).is_none());
    }
}

#[test]
fn compiler_has_no_file_no_privilege_and_the_last_rank() {
    let place = Place::new(&["--compile-time", "1h"]);
    let client = place.send("PUT /guest", &quadratic(FOREVER));
    let compiler = place.compiler();
    let of = |path: &str| fs::read_to_string(format!("/proc/{compiler}/{path}")).unwrap();
    until(|| {
        of("limits")
            .lines()
            .any(|line| line.starts_with("Max data size") && line.contains(" 1073741824 "))
    });
    until(|| of("status").contains("Seccomp:\t2"));
    assert!(of("status").contains("NoNewPrivs:\t1"), "{}", of("status"));
    assert_eq!(of("comm"), "inn-compiler\n");
    assert!(!of("environ").contains("INNKEEPER"), "{}", of("environ"));
    // Its two ends of sockets, and what goes nowhere or is a pipe to the spawner.
    for entry in fs::read_dir(format!("/proc/{compiler}/fd")).unwrap() {
        let leads_to = fs::read_link(entry.unwrap().path()).unwrap();
        let leads_to = leads_to.to_str().unwrap();
        let is_known = ["socket:", "pipe:", "/dev/null"].iter().any(|it| leads_to.starts_with(it));
        assert!(is_known, "{leads_to}");
    }
    let niceness = || of("stat").rsplit_once(") ").unwrap().1.split(' ').nth(16).map(str::to_owned);
    until(|| niceness().as_deref() == Some("19"));
    drop(client);
}

#[test]
fn compiler_that_cannot_be_confined_reads_no_guest() {
    // Setting how much of a processor it may have fails.
    let cpu = u64::from(libc::RLIMIT_CPU);
    let faults = [(libc::SYS_prlimit64, Some((1, SeccompCmpOp::Eq, cpu)))];
    let place = Place::started(&["--code-cache", "off"], |command| start_with(&faults, command));
    let (status, problem) = place.put(&replying("two"));
    assert_eq!(status, 503, "{problem}");
    assert!(problem.starts_with("compiler-unavailable: "), "{problem}");
    assert!(problem.contains("its compiler cannot be confined"), "{problem}");
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
}

/// Six of them were compiled one after the other, and each was in memory meanwhile.
#[test]
fn guest_whose_client_left_is_given_up() {
    let place = Place::new(&["--compile-time", "1h"]);
    let client = place.send("PUT /guest", &quadratic(FOREVER));
    let compiler = place.compiler();
    let waits = place.send("PUT /guest", &quadratic(FOREVER));
    drop((client, waits));
    until(|| stat(compiler).is_none());
    place.serves_on();
}

/// It waited for the compiler, and there was no way back.
#[test]
fn rollback_waits_for_no_compiler() {
    let place = Place::new(&["--compile-time", "1h"]);
    place.serves_on();
    let client = place.send("PUT /guest", &quadratic(FOREVER));
    let compiler = place.compiler();
    let reply = place.change("POST /rollback", b"");
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(place.program.get("/hello.txt").text(), "hello\n");
    assert!(stat(compiler).is_some(), "it is not at work any more");
    drop(client);
}

/// The way back waited for whoever might write to it.
#[test]
fn rollback_and_uploads_wait_for_no_file() {
    let folder = site();
    let cases = folder.path().join("cases.toml");
    fs::write(&cases, "case = [{ line = 'GET /x HTTP/1.1', decision = 'not-found' }]").unwrap();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, module("", "")).unwrap();
    let flags = ["--cases", cases.to_str().unwrap(), "--guest", guest.to_str().unwrap()];
    let mut place = Place::new(&flags);
    assert_eq!(place.put(innkeeper::guest::DEFAULT_GUEST).0, 422);
    assert_eq!(place.put(&module("(func)", "")).0, 200);
    fs::remove_file(&cases).unwrap();
    assert!(Command::new("mkfifo").arg(&cases).status().unwrap().success());
    place.program.signal(Signal::HUP);
    place.program.wait_for("it is not a regular file but a FIFO");
    let (status, problem) = place.put(&module("(func) (func)", ""));
    assert_eq!(status, 503);
    assert!(problem.starts_with("cases-unreadable: "), "{problem}");
    assert!(problem.contains("it is not a regular file but a FIFO"), "{problem}");
    assert_eq!(place.change("POST /rollback", b"").status(), 200);
    assert!(place.folder.path().exists());
}

/// They did nothing until the guest was compiled, or the cases were read.
#[test]
fn signal_before_it_serves_ends_it_at_once() {
    let folder = site();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, quadratic(FOREVER)).unwrap();
    for signals in [&[Signal::TERM][..], &[Signal::INT], &[Signal::TERM, Signal::TERM]] {
        let flags = ["--compile-time", "1h", "--code-cache", "off", "--guest"];
        let mut command = serving(&folder.path().join("root"), &flags);
        command.arg(&guest);
        let program = Program::start(command, 0);
        let server = program.child.id();
        until(|| !children(server).is_empty());
        let spawner = children(server)[0];
        until(|| !children(spawner).is_empty());
        let began = Instant::now();
        for &signal in signals {
            program.signal(signal);
        }
        let (status, _, said) = program.finish();
        assert!(status.success(), "{status}: {said}");
        assert!(said.contains("stopped before serving"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        until(|| stat(spawner).is_none());
    }
}

#[test]
fn commands_bound_what_they_compile() {
    let folder = tempfile::tempdir().unwrap();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, quadratic(FOREVER)).unwrap();
    fs::write(folder.path().join("cases.toml"), "case = [{ line = '', decision = 'not-found' }]")
        .unwrap();
    for arguments in [
        &["check", "policy.wasm"][..],
        &["test", "policy.wasm", "cases.toml"],
        &["compile", "policy.wasm", "--code-cache", "cache"],
        &["explain", "policy.wasm", "GET / HTTP/1.1", "--root", "."],
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).args(["--compile-time", "1s"]).current_dir(folder.path());
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("more than the 1 s of a processor"), "{arguments:?}: {said}");
        let errors = said.lines().filter(|line| !line.starts_with("compiling "));
        assert_eq!(errors.count(), 1, "{said}");
    }
}

/// What an operator names is opened without waiting, and refused in one line if it is no file.
#[test]
fn what_is_named_and_is_no_file_is_refused_at_once() {
    let folder = site();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let fifo = path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let (socket, directory) = (path("socket"), path("root"));
    for (named, told) in [(&fifo, "a FIFO"), (&socket, "a socket"), (&directory, "a directory")] {
        for (arguments, code) in [
            (&["--cases", named][..], 1),
            (&["--guest", named], 1),
            (&["--config", named], 2),
            (&["--access-log-file", named], 1),
            (&["--admin", "127.0.0.1:0", "--admin-token-file", named], 1),
            (&["test", named, named], 1),
            (&["check", "--cases", named], 1),
            (&["compile", named], 1),
            (&["explain", named, "GET / HTTP/1.1", "--root", "root"], 1),
        ] {
            let mut command = Command::new(PROGRAM);
            command.current_dir(folder.path()).args(arguments);
            if arguments[0].starts_with("--") {
                command.args(["root", "--listen", "127.0.0.1:0"]);
            }
            let ended = command.output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
            let expected = match arguments[0] == "explain" && named == &directory {
                true => "is a directory, and no guest".to_owned(),
                false => format!("it is not a regular file but {told}"),
            };
            assert!(said.contains(&expected), "{arguments:?}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}
