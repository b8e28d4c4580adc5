//! Ten thousand decisions by each kind of hostile guest:
//! `cargo bench --bench hostile`.
//!
//! Eight connections ask for what the guest misbehaves on, each request another, so
//! that each is decided by the guest. Meanwhile one honest connection asks for what it does
//! not misbehave on. Prints what the first got, how long the honest one waited, and
//! the server's memory after 1,000 decisions and after all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Server, keep, quantile};

#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod support;
#[path = "../tests/wat_guest.rs"]
#[expect(unreachable_pub, clippy::unwrap_used, dead_code, reason = "it is part of the tests")]
mod wat_guest;

const DECISIONS: u64 = 10_000;
const SETTLED: u64 = 1_000;
const CONNECTIONS: u64 = 8;
/// So that the loop is over in minutes: each of its decisions meets it.
const DEADLINE: &str = "10ms";

/// Kinds of misbehaviour: declarations, and what is done when the path begins with
/// `/x`. A decision is made at address 1024.
const KINDS: [(&str, &str, &str); 19] = [
    ("loop", "", "(loop $again (br $again))"),
    (
        "deep recursion",
        "(func $deeper (result i32) (i32.add (i32.const 1) (call $deeper)))",
        "(drop (call $deeper))",
    ),
    ("memory growth", "", "(loop $more (drop (memory.grow (i32.const 16))) (br $more))"),
    (
        "table growth",
        "(table $t 1 funcref)",
        "(drop (table.grow $t (ref.null func) (i32.const 10000000)))",
    ),
    ("trap", "", "unreachable"),
    (
        "giant answer",
        r#"(data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01")"#,
        "(drop (memory.grow (i32.const 256))) (return (i32.const 1024))",
    ),
    (
        "bad UTF-8",
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\02\00\00\00") (data (i32.const 4096) "\c3\28")"#,
        "(return (i32.const 1024))",
    ),
    (
        "path with ..",
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\05\00\00\00") (data (i32.const 4096) "../ab")"#,
        "(return (i32.const 1024))",
    ),
    (
        "absolute path",
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\04\00\00\00") (data (i32.const 4096) "/etc")"#,
        "(return (i32.const 1024))",
    ),
    (
        "field with CR LF",
        r#"(data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\10\00\00\01\00\00\00")
        (data (i32.const 4096) "\00\20\00\00\01\00\00\00\00\30\00\00\03\00\00\00")
        (data (i32.const 8192) "a") (data (i32.const 12288) "b\0d\0a")"#,
        "(return (i32.const 1024))",
    ),
    ("division by zero", "", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
    ("load out of bounds", "", "(drop (i32.load (i32.const -8)))"),
    (
        "all of its memory",
        "(func $touch (local $at i32) (drop (memory.grow (i32.const 1022)))
            (loop $more
                (i32.store8 (local.get $at) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                (br_if $more (i32.lt_u (local.get $at) (i32.const 67108864)))))",
        "(call $touch) unreachable",
    ),
    ("not aligned", "", "(return (i32.const 1025))"),
    (
        "gibibyte of text",
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\00\00\00\40")"#,
        "(return (i32.const 1024))",
    ),
    (
        "path with NUL",
        r#"(data (i32.const 1024) "\01\00\00\00\00\10\00\00\05\00\00\00") (data (i32.const 4096) "a\00b/c")"#,
        "(return (i32.const 1024))",
    ),
    (
        "script as location",
        r#"(data (i32.const 1024) "\04\00\00\00\2d\01\00\00\00\10\00\00\0c\00\00\00") (data (i32.const 4096) "javascript:1")"#,
        "(return (i32.const 1024))",
    ),
    ("status 99", r#"(data (i32.const 1024) "\05\00\00\00\63\00")"#, "(return (i32.const 1024))"),
    (
        "10 MiB of fields",
        // One field, whose value is 10 MiB.
        r#"(data (i32.const 1024) "\05\00\00\00\c8\00\00\00\00\10\00\00\01\00\00\00")
        (data (i32.const 4096) "\00\20\00\00\01\00\00\00\00\00\00\00\00\00\a0\00") (data (i32.const 8192) "a")"#,
        "(drop (memory.grow (i32.const 256))) (return (i32.const 1024))",
    ),
];

fn main() {
    println!(
        "{:<18} {:>7} {:>5} {:>8} {:>9} {:>9} {:>10} {:>9}",
        "", "500", "503", "honest", "p50 µs", "max µs", "KiB before", "after"
    );
    let results: Vec<_> = KINDS.iter().map(run).collect();
    let columns = [
        "kind",
        "failed",
        "busy",
        "honest",
        "honest_p50_us",
        "honest_p99_us",
        "honest_max_us",
        "kib_after_1000",
        "kib_after_all",
        "kib_at_most",
    ];
    keep("hostile", &columns, &results);
}

/// What the two sides share.
#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    failed: AtomicU64,
    busy: AtomicU64,
    over: AtomicBool,
}

fn run(&(name, items, misbehave): &(&str, &str, &str)) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let guest = folder.path().join("policy.wasm");
    std::fs::write(&guest, wat_guest::module(items, misbehave)).expect("a guest");
    let server = Server::start(folder.path(), &guest, &["--guest-deadline", DEADLINE]);
    let address = server.address;
    let counters = Arc::new(Counters::default());
    let attackers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || attack(address, &counters))
        })
        .collect();
    let honest = thread::spawn({
        let counters = Arc::clone(&counters);
        move || be_honest(address, &counters)
    });
    while counters.asked.load(Ordering::Relaxed) < SETTLED {
        thread::sleep(Duration::from_millis(1));
    }
    let (before, _) = server.memory_kib();
    for attacker in attackers {
        attacker.join().expect("every request is answered");
    }
    counters.over.store(true, Ordering::Relaxed);
    let latencies = honest.join().expect("every honest request is answered well");
    let (after, most) = server.memory_kib();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (failed, busy) = (count(&counters.failed), count(&counters.busy));
    let (p50, max) = (quantile(&latencies, 0.5), quantile(&latencies, 1.0));
    println!(
        "{name:<18} {failed:>7} {busy:>5} {:>8} {p50:>9} {max:>9} {before:>10} {after:>9}",
        latencies.len()
    );
    json!({
        "kind": name, "failed": failed, "busy": busy, "honest": latencies.len(),
        "honest_p50_us": p50, "honest_p99_us": quantile(&latencies, 0.99), "honest_max_us": max,
        "kib_after_1000": before, "kib_after_all": after, "kib_at_most": most,
    })
}

/// Asks for what the guest misbehaves on, until all was asked.
fn attack(address: SocketAddr, counters: &Counters) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    loop {
        let number = counters.asked.fetch_add(1, Ordering::Relaxed);
        if number >= DECISIONS {
            return;
        }
        match ask(&mut socket, &format!("/x{number}")) {
            500 => counters.failed.fetch_add(1, Ordering::Relaxed),
            503 => counters.busy.fetch_add(1, Ordering::Relaxed),
            status => panic!("it is answered with {status}"),
        };
    }
}

/// Asks for what it does not misbehave on; gives how long each answer took.
fn be_honest(address: SocketAddr, counters: &Counters) -> Vec<u32> {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let mut latencies = Vec::new();
    while !counters.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        assert_eq!(ask(&mut socket, &format!("/{}", latencies.len())), 404);
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies.sort_unstable();
    latencies
}

/// Asks, and gives the status. The bodies of these answers come with their heads. A
/// connection that has had its number of requests is replaced.
fn ask(socket: &mut TcpStream, target: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("the server reads");
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = socket.read(&mut buffer).expect("the server answers");
        assert_ne!(count, 0, "the server closes");
        received.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name| head.lines().find_map(|line| line.strip_prefix(name));
            let length: usize =
                field("Content-Length: ").expect("a length").parse().expect("a number");
            if body.len() >= length {
                if field("Connection: ") == Some("close") {
                    let address = socket.peer_addr().expect("it is connected");
                    *socket = TcpStream::connect(address).expect("a connection");
                }
                return text[9..12].parse().expect("a status");
            }
        }
    }
}
