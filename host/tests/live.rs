//! Decisions on live instances, as operators see them.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;

use crate::running::{Program, run, serving, told, until};
use crate::wat_guest::module;

/// Requests that no cache has.
const REQUESTS: u64 = 50;

/// A folder with an empty site.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    folder
}

struct Server {
    program: Program,
    admin: SocketAddr,
}

impl Server {
    fn start(folder: &tempfile::TempDir, arguments: &[&str]) -> Server {
        let cache = folder.path().join("cache");
        let mut command =
            serving(&folder.path().join("root"), &["--workers", "1", "--admin", "127.0.0.1:0"]);
        command.arg("--code-cache").arg(cache).args(arguments);
        let mut program = Program::start(command, 1);
        let admin = program.admin();
        Server { program, admin }
    }

    /// What the guest's part of the status has at this key.
    fn guest(&self, key: &str) -> Value {
        let status: Value = serde_json::from_str(&told(self.admin, "/status")).unwrap();
        status["guest"][key].clone()
    }

    fn metric(&self, name: &str) -> u64 {
        let metrics = told(self.admin, "/metrics");
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().parse().unwrap()
    }

    /// Asks for files that are not there, and tells how many were decided live and fresh meanwhile.
    fn decided(&self, begins: &str) -> (u64, u64) {
        let counts = || {
            ["live", "fresh"].map(|isolation| {
                self.metric(&format!(
                    "innkeeper_guest_decisions_total{{isolation=\"{isolation}\"}}"
                ))
            })
        };
        let before = counts();
        for number in 0..REQUESTS {
            assert_eq!(self.program.get(&format!("/{begins}{number}")).status(), 404);
        }
        let after = counts();
        (after[0] - before[0], after[1] - before[1])
    }
}

#[test]
fn guest_is_live_once_that_is_proved_and_at_once_after_a_restart() {
    let folder = folder();
    let server = Server::start(&folder, &[]);
    until(|| server.guest("live") == true);
    assert_eq!(server.guest("not_live"), Value::Null);
    assert_eq!(server.decided("a"), (REQUESTS, 0));
    assert_eq!(server.metric("innkeeper_guest_live_instances_total"), 1);
    assert_eq!(server.metric("innkeeper_guest_live_differences_total"), 0);
    drop(server);
    let server = Server::start(&folder, &[]);
    assert_eq!(server.guest("live"), true);
    assert_eq!(server.decided("a"), (REQUESTS, 0));
}

#[test]
fn guest_that_was_compiled_ahead_is_live_at_once() {
    let folder = folder();
    let compiled = run(folder.path(), &["compile", "--code-cache", "cache"]);
    assert!(compiled.code == 0 && !compiled.out.contains("without"), "{}", compiled.out);
    assert_eq!(Server::start(&folder, &[]).guest("live"), true);
}

#[test]
fn fresh_isolation_makes_an_instance_for_each_decision() {
    let server = Server::start(&folder(), &["--isolation", "fresh"]);
    assert_eq!(server.guest("live"), false);
    assert_eq!(server.guest("not_live"), "--isolation is fresh");
    assert_eq!(server.decided("a"), (0, REQUESTS));
    assert_eq!(server.metric("innkeeper_guest_live_instances_total"), 0);
}

#[test]
fn trap_ends_an_instance_and_the_next_is_live_again() {
    let folder = folder();
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, module("", "unreachable")).unwrap();
    let server = Server::start(&folder, &["--guest", guest.to_str().unwrap()]);
    until(|| server.guest("live") == true);
    assert_eq!(server.decided("a"), (REQUESTS, 0));
    assert_eq!(server.program.get("/x").status(), 500);
    assert_eq!(server.decided("b"), (REQUESTS, 0));
    assert_eq!(server.metric("innkeeper_guest_live_instances_total"), 2);
}

#[test]
fn kept_live_form_that_is_damaged_is_made_again() {
    let folder = folder();
    let server = Server::start(&folder, &[]);
    until(|| server.guest("live") == true);
    drop(server);
    let kept = fs::read_dir(folder.path().join("cache")).unwrap().map(|file| file.unwrap().path());
    let is_live = |path: &std::path::PathBuf| path.to_string_lossy().contains("live-");
    let live: Vec<_> = kept.filter(is_live).collect();
    assert_eq!(live.len(), 1, "{live:?}");
    let bytes = fs::read(&live[0]).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], &bytes[..20], b""] {
        fs::write(&live[0], damaged).unwrap();
        let server = Server::start(&folder, &[]);
        until(|| server.guest("live") == true);
        assert_eq!(server.decided("a"), (REQUESTS, 0));
        drop(server);
        until(|| fs::read(&live[0]).unwrap().len() == bytes.len());
    }
}

#[test]
fn check_tells_whether_a_guest_is_live_and_why_not() {
    let folder = folder();
    let told = run(folder.path(), &["check"]);
    let line = told.out.lines().find(|line| line.starts_with("live ")).unwrap();
    assert!(line.ends_with("on an instance that is put back"), "{line}");
    let items = "(table 1 funcref)";
    let body = "(drop (table.grow (ref.null func) (i32.const 1)))";
    fs::write(folder.path().join("policy.wasm"), module(items, body)).unwrap();
    let told = run(folder.path(), &["check", "policy.wasm"]);
    let line = told.out.lines().find(|line| line.starts_with("live ")).unwrap();
    assert!(line.ends_with("it has the instruction table.grow"), "{line}");
}
