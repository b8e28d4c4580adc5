//! What crowds that read nothing take of the server's memory: one copy of what they are sent
//! alike, and no more than a bound of what they are not.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::fixture::{Client, site, write};
use crate::running::{Program, serving};
use crate::wat_guest::replying_at_length;

/// What a crowd may take besides the bound: connections, kernel buffers that count, the
/// allocator's leftovers, a guest's own memory.
const BESIDES: u64 = 40 << 20;

/// The bound on what responses of one kind are sent from.
const BOUND: u64 = 64 << 20;

/// Clients that ask for each of these targets, more often than the kernel takes answers, and read
/// nothing but the first status.
fn crowd(program: &Program, lines: &str, targets: impl Iterator<Item = String>) -> Vec<Client> {
    let ask = |target: String| {
        let mut client = program.client();
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        client.send(request.repeat(8));
        client.receive_until("HTTP/1.1 ");
        client
    };
    targets.map(ask).collect()
}

/// The server's own memory, when it does not change any more.
fn memory(program: &Program) -> u64 {
    let mut last = (program.memory("RssAnon:"), Instant::now());
    while last.1.elapsed() < Duration::from_millis(300) {
        let now = program.memory("RssAnon:");
        if now.abs_diff(last.0) > 1 << 20 {
            last = (now, Instant::now());
        }
        std::thread::yield_now();
    }
    last.0
}

fn start(folder: &tempfile::TempDir, bytes: u32) -> Program {
    let guest = folder.path().join("policy.wasm");
    fs::write(&guest, replying_at_length(bytes)).unwrap();
    let mut command = serving(&folder.path().join("root"), &["--workers", "2"]);
    command.args(["--admin", "127.0.0.1:0", "--guest"]).arg(guest);
    Program::start(command, 1)
}

/// A value among the metrics.
fn metric(admin: SocketAddr, name: &str) -> u64 {
    let mut client = Client::connect(admin);
    client.send("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let reply = client.reply();
    let value = reply.text().lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap()
}

#[test]
fn equal_replies_to_clients_that_read_nothing_are_one_copy() {
    let folder = site();
    let mut program = start(&folder, 1 << 20);
    let admin = program.admin();
    drop(crowd(&program, "", (0..8).map(|_| "/".to_owned())));
    let before = memory(&program);
    // None of the lines is remembered with its reply, which is too large.
    let clients = crowd(&program, "", (0..150).map(|number| format!("/?{number}")));
    let taken = memory(&program).saturating_sub(before);
    assert!(taken < BESIDES, "{} KiB for {} clients", taken >> 10, clients.len());
    let counted = metric(admin, "innkeeper_response_memory_bytes{kind=\"reply\"}");
    assert_eq!(counted, 1 << 20);
    drop(clients);
    let began = Instant::now();
    while metric(admin, "innkeeper_response_memory_bytes{kind=\"reply\"}") > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it counts what nobody is sent");
    }
}

#[test]
fn different_replies_to_clients_that_read_nothing_are_bounded() {
    let folder = site();
    let mut program = start(&folder, 1 << 20);
    let admin = program.admin();
    drop(crowd(&program, "", (0..8).map(|_| "/".to_owned())));
    let before = memory(&program);
    let clients = crowd(&program, "", (0..150).map(|number| format!("/x{number}")));
    let taken = memory(&program).saturating_sub(before);
    assert!(taken < BOUND + BESIDES, "{} KiB for {} clients", taken >> 10, clients.len());
    assert!(metric(admin, "innkeeper_response_memory_refused_total{kind=\"reply\"}") > 0);
    // What is one more copy is refused; it is there again when they are gone.
    let mut client = program.client();
    let mut ask = |target: &str| {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.reply()
    };
    let refused = ask("/x-another");
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    drop(clients);
    let began = Instant::now();
    while ask("/x-another").status() == 503 {
        assert!(began.elapsed() < Duration::from_secs(20), "it never gets better");
    }
}

/// Text that is compressed for each of them, evicted by the next, and still being sent.
#[test]
fn compressed_files_for_clients_that_read_nothing_are_bounded() {
    const FILES: usize = 24;
    let folder = site();
    let root = folder.path().join("root");
    let mut number = 0_u32;
    for file in 0..FILES {
        let mut next = || {
            number = number.wrapping_add(1);
            format!("{:08x}", number.wrapping_mul(0x9E37_79B9) ^ number.rotate_left(13))
        };
        let text: String = (0..(4 << 20) / 8 - 8).map(|_| next()).collect();
        write(&root.join(format!("{file}.txt")), text.as_bytes());
    }
    let mut command = serving(&root, &["--workers", "2"]);
    command.args(["--admin", "127.0.0.1:0"]);
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    let lines = "Accept-Encoding: gzip\r\n";
    let before = memory(&program);
    let targets = (0..4 * FILES).map(|number| format!("/{}.txt", number % FILES));
    let clients = crowd(&program, lines, targets);
    let taken = memory(&program).saturating_sub(before);
    // Those that are remembered count besides: 32 MiB.
    let most = BOUND + (32 << 20) + BESIDES;
    assert!(taken < most, "{} KiB for {} clients", taken >> 10, clients.len());
    let counted = metric(admin, "innkeeper_response_memory_bytes{kind=\"file\"}");
    assert!(counted > 0 && counted < BOUND + (8 << 20), "{counted}");
    drop(clients);
}
