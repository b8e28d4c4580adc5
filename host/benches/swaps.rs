//! Swaps under load: `cargo bench --bench swaps`.
//!
//! 64 keep-alive connections ask without a pause, while the guest's file is replaced
//! ten times a second by another guest with another answer. Counted are requests
//! that are lost or answered by neither guest, and new connections that get the old
//! one's answer after the server has reported the new one. Latency is compared with
//! that of the same load without swaps, in turns of the two.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use innkeeper::guest::Digest;
use serde_json::json;
use support::{Server, keep, quantile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[expect(dead_code, reason = "the other benchmark uses the rest")]
mod support;
#[path = "../tests/wat_guest.rs"]
#[expect(unreachable_pub, clippy::unwrap_used, dead_code, reason = "it is part of the tests")]
mod wat_guest;

const CONNECTIONS: usize = 64;
/// Turns without and with swaps.
const TURNS: usize = 6;
const SWAPS_PER_TURN: usize = 50;
const REQUESTS_PER_TURN: u64 = 50_000;
/// From one swap to the next.
const PACE: Duration = Duration::from_millis(100);
/// Different requests: most of a site's load is for few of its pages.
const TARGETS: u64 = 100;
const ANSWERS: [&str; 2] = ["the first guest", "the other one"];

/// What one turn came to.
#[derive(Default)]
struct Turn {
    requests: u64,
    swaps: usize,
    lost: u64,
    wrong: u64,
    outdated: u64,
    seconds: f64,
    /// Microseconds, sorted.
    latencies: Vec<u32>,
    /// Milliseconds from the change of the file to the report of the swap.
    swap_millis: Vec<u32>,
}

/// What the clients share.
#[derive(Default)]
struct Counters {
    lost: AtomicU64,
    wrong: AtomicU64,
    requests: AtomicU64,
    stop: AtomicBool,
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let guest = folder.path().join("policy.wasm");
    let guests = ANSWERS.map(wat_guest::replying);
    std::fs::write(&guest, &guests[0]).expect("a guest");
    let server = Server::start(folder.path(), &guest, &[]);
    let mut turns = [Vec::new(), Vec::new()];
    let mut serving = 0;
    // One that does not count, to be warm.
    turn(&server, None);
    for _ in 0..TURNS {
        turns[0].push(turn(&server, None));
        let swapper = Swapper { guest: guest.clone(), guests: &guests, serving: &mut serving };
        turns[1].push(turn(&server, Some(swapper)));
    }
    report(&turns);
}

/// Replaces the guest's file.
struct Swapper<'a> {
    guest: PathBuf,
    guests: &'a [Vec<u8>; 2],
    serving: &'a mut usize,
}

impl Swapper<'_> {
    /// Swaps once. Gives how long it took, and the answer that a new connection got.
    fn swap(&mut self, server: &Server) -> (Duration, Option<String>) {
        *self.serving = 1 - *self.serving;
        let next = self.guest.with_extension("next");
        std::fs::write(&next, &self.guests[*self.serving]).expect("a guest");
        server.forget_lines();
        let began = Instant::now();
        std::fs::rename(&next, &self.guest).expect("a guest");
        let digest = Digest::of(&self.guests[*self.serving]);
        server.wait_for(&format!("guest deployed guest={digest} "));
        (began.elapsed(), ask_anew(server.address))
    }
}

/// The answer on a new connection.
fn ask_anew(address: SocketAddr) -> Option<String> {
    let mut socket = std::net::TcpStream::connect(address).ok()?;
    socket.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").ok()?;
    let mut received = String::new();
    socket.read_to_string(&mut received).ok()?;
    received.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Loads the server, and swaps meanwhile.
fn turn(server: &Server, swapper: Option<Swapper<'_>>) -> Turn {
    let counters = Arc::new(Counters::default());
    let began = Instant::now();
    let load = thread::spawn({
        let (address, counters) = (server.address, Arc::clone(&counters));
        move || load(address, &counters)
    });
    let mut turn = Turn::default();
    let has_enough = || counters.requests.load(Ordering::Relaxed) >= REQUESTS_PER_TURN;
    match swapper {
        Some(mut swapper) => {
            while turn.swaps < SWAPS_PER_TURN || !has_enough() {
                let next = Instant::now() + PACE;
                let (took, answer) = swapper.swap(server);
                if answer.as_deref() != Some(ANSWERS[*swapper.serving]) {
                    turn.outdated += 1;
                }
                turn.swaps += 1;
                turn.swap_millis.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
        None => {
            let enough = PACE * u32::try_from(SWAPS_PER_TURN).expect("few");
            while began.elapsed() < enough || !has_enough() {
                thread::sleep(PACE);
            }
        }
    }
    counters.stop.store(true, Ordering::Relaxed);
    turn.latencies = load.join().expect("no client panics");
    turn.seconds = began.elapsed().as_secs_f64();
    turn.requests = counters.requests.load(Ordering::Relaxed);
    turn.lost = counters.lost.load(Ordering::Relaxed);
    turn.wrong = counters.wrong.load(Ordering::Relaxed);
    turn.latencies.sort_unstable();
    turn.swap_millis.sort_unstable();
    turn
}

/// All clients, until they are told to stop. Gives how long each answer took, in
/// microseconds.
fn load(address: SocketAddr, counters: &Arc<Counters>) -> Vec<u32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = |_| tokio::spawn(client(address, Arc::clone(counters)));
        let clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.await.expect("no client panics"));
        }
        latencies
    })
}

/// Asks until it is told to stop; gives how long each answer took, in microseconds.
async fn client(address: SocketAddr, counters: Arc<Counters>) -> Vec<u32> {
    let mut latencies = Vec::new();
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let mut number = 0;
    while !counters.stop.load(Ordering::Relaxed) {
        number += 1;
        let began = Instant::now();
        counters.requests.fetch_add(1, Ordering::Relaxed);
        match ask(&mut socket, number % TARGETS).await {
            Some(body) if ANSWERS.contains(&&*body) => {}
            Some(_) => drop(counters.wrong.fetch_add(1, Ordering::Relaxed)),
            None => {
                counters.lost.fetch_add(1, Ordering::Relaxed);
                socket = TcpStream::connect(address).await.expect("a connection");
            }
        }
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies
}

/// Asks once. `None` if there is no whole answer.
async fn ask(socket: &mut TcpStream, number: u64) -> Option<String> {
    let request = format!("GET /{number} HTTP/1.1\r\nHost: bench\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut received = Vec::with_capacity(512);
    loop {
        if socket.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
            if body.len() >= length.parse().ok()? {
                return Some(body.to_owned());
            }
        }
    }
}

fn report(turns: &[Vec<Turn>; 2]) {
    let sum = |count: fn(&Turn) -> u64| -> [u64; 2] {
        [turns[0].iter().map(count).sum(), turns[1].iter().map(count).sum()]
    };
    let quantiles = |share: f64| {
        [0, 1].map(|kind| {
            let mut of_turns: Vec<_> =
                turns[kind].iter().map(|turn| quantile(&turn.latencies, share)).collect();
            of_turns.sort_unstable();
            of_turns[of_turns.len() / 2]
        })
    };
    println!(
        "{CONNECTIONS} connections, {TURNS} turns of each; latencies are medians of the turns\n"
    );
    println!("{:<28} {:>12} {:>12}", "", "without", "with swaps");
    let line = |name: &str, values: [u64; 2]| {
        println!("{name:<28} {:>12} {:>12}", values[0], values[1]);
    };
    line("requests", sum(|turn| turn.requests));
    line("swaps", sum(|turn| turn.swaps as u64));
    line("requests lost", sum(|turn| turn.lost));
    line("requests answered wrong", sum(|turn| turn.wrong));
    line("new connections outdated", sum(|turn| turn.outdated));
    for (name, share) in [("p50 µs", 0.5), ("p99 µs", 0.99), ("p99.9 µs", 0.999)] {
        let [without, with] = quantiles(share);
        let ratio = f64::from(with) / f64::from(without);
        println!("{name:<28} {without:>12} {with:>12}   ratio {ratio:.2}");
    }
    let mut millis: Vec<_> =
        turns[1].iter().flat_map(|turn| turn.swap_millis.iter().copied()).collect();
    millis.sort_unstable();
    println!(
        "\nfrom the change of the file to the report, under this load: median {} ms, at most {} ms",
        quantile(&millis, 0.5),
        quantile(&millis, 1.0)
    );
    let mut samples = Vec::new();
    for (swapping, turns) in turns.iter().enumerate() {
        for (number, turn) in turns.iter().enumerate() {
            let number = number + 1;
            samples.push(json!({
                "what": "load", "swapping": swapping, "turn": number,
                "requests": turn.requests, "swaps": turn.swaps, "lost": turn.lost,
                "wrong": turn.wrong, "outdated": turn.outdated, "seconds": turn.seconds,
                "p50_us": quantile(&turn.latencies, 0.5),
                "p99_us": quantile(&turn.latencies, 0.99),
                "p999_us": quantile(&turn.latencies, 0.999),
                "max_us": quantile(&turn.latencies, 1.0),
            }));
            samples.extend(turn.swap_millis.iter().map(|millis| {
                json!({ "what": "swap", "swapping": swapping, "turn": number, "ms": millis })
            }));
        }
    }
    let columns = [
        "what", "swapping", "turn", "requests", "swaps", "lost", "wrong", "outdated", "seconds",
        "p50_us", "p99_us", "p999_us", "max_us", "ms",
    ];
    keep("swaps", &columns, &samples);
    let all = [sum(|turn| turn.lost), sum(|turn| turn.wrong), sum(|turn| turn.outdated)];
    assert!(all.iter().flatten().all(|&count| count == 0), "requests were lost or answered wrong");
}
