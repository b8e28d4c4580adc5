//! What a decision costs: `cargo bench --bench decisions`, or with other guests
//! `cargo bench --bench decisions -- gate=gate.wasm`.
//!
//! The same policy, on the same request lines, in one run: called natively,
//! recalled from the memory of decisions, and computed on a live instance and on a fresh one in
//! the sandbox. Prints medians of CPU time and the ratios between them. The rounds are interleaved,
//! because a shared machine is not equally fast for long. Other guests are shown three fields.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{FACTS, LINES, keep, median};

use innkeeper::clock::thread_cpu_time;
use innkeeper::guest::validation::live_proof::Proof;
use innkeeper::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

const ROUNDS: usize = 51;
const CALLS: u32 = 2_000;

/// What other guests are shown.
const FIELDS: [(&str, &[u8]); 3] = [
    ("host", b"www.example.org"),
    ("accept-language", b"de-CH,de;q=0.9,en;q=0.8"),
    ("cookie", b"session=31d4d96e407aad42; theme=dark"),
];

fn main() {
    let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
    let generation =
        Arc::new(LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");

    let mut others: Vec<_> =
        std::env::args().filter_map(|named| Other::load(&engine, &named)).collect();
    let mut proof = live_form(&generation, DEFAULT_GUEST);
    let (mut native, mut recalled, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    let mut live = Vec::new();
    let (mut instantiate, mut decide, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        native.push(time(|line| {
            black_box(innkeeper_guest::decide::decide(line));
        }));
        recalled.push(runtime.block_on(async {
            let began = Instant::now();
            for call in 0..CALLS {
                let line = LINES[call as usize % LINES.len()];
                let decision = generation.decide(0, black_box(line), [].into_iter(), FACTS).await;
                black_box(decision.decision.expect("a decision"));
            }
            began.elapsed() / CALLS
        }));
        live.push(time(|line| assert!(proof.decide(line, [].into_iter()))));
        fresh.push(time(|line| {
            black_box(generation.decide_uncached(line, [].into_iter(), FACTS).expect("a decision"));
        }));
        let mut sums = [Duration::ZERO; 3];
        for call in 0..CALLS {
            let line = LINES[call as usize % LINES.len()];
            let cost = generation.measure(line, [].into_iter(), FACTS).expect("a decision");
            sums[0] += cost.instantiate;
            sums[1] += cost.decide;
            sums[2] += cost.drop;
        }
        instantiate.push(sums[0] / CALLS);
        decide.push(sums[1] / CALLS);
        dropped.push(sums[2] / CALLS);
        for other in &mut others {
            other.measure();
        }
    }
    let native = median(&native);
    println!("{ROUNDS} rounds of {CALLS} calls; medians of the rounds\n");
    let mut figures = vec![
        ("native call".to_owned(), native),
        ("recalled".to_owned(), median(&recalled)),
        ("live instance".to_owned(), median(&live)),
        ("fresh instance".to_owned(), median(&fresh)),
        ("  instantiate".to_owned(), median(&instantiate)),
        ("  call".to_owned(), median(&decide)),
        ("  drop".to_owned(), median(&dropped)),
    ];
    for other in &others {
        figures.push((format!("{}, live", other.name), median(&other.live)));
        figures.push((format!("{}, fresh", other.name), median(&other.fresh)));
    }
    for (name, time) in &figures {
        let ratio = time.as_secs_f64() / native.as_secs_f64();
        println!("{name:<16} {:>9.3} µs  {ratio:>7.1} × native", time.as_secs_f64() * 1e6);
    }
    let medians: Vec<_> = figures
        .iter()
        .map(|(name, time)| {
            let nanos = time.as_secs_f64() * 1e9;
            json!({ "what": name.trim(), "rounds": ROUNDS, "calls": CALLS, "median_ns": nanos })
        })
        .collect();
    keep("decisions", &["what", "rounds", "calls", "median_ns"], &medians);
}

/// Another guest: `NAME=FILE`.
struct Other {
    name: String,
    guest: &'static LoadedGuest,
    proof: Proof<'static>,
    live: Vec<Duration>,
    fresh: Vec<Duration>,
}

impl Other {
    fn load(engine: &Arc<Engine>, named: &str) -> Option<Other> {
        let (name, file) = named.split_once('=')?;
        let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let guest =
            LoadedGuest::load(engine, &bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let guest: &LoadedGuest = Box::leak(Box::new(guest));
        let proof = live_form(guest, &bytes);
        Some(Other { name: name.to_owned(), guest, proof, live: Vec::new(), fresh: Vec::new() })
    }

    fn measure(&mut self) {
        let Other { guest, proof, .. } = self;
        self.live.push(time(|line| assert!(proof.decide(line, FIELDS.into_iter()))));
        self.fresh.push(time(|line| {
            black_box(guest.decide_uncached(line, FIELDS.into_iter(), FACTS).expect("a decision"));
        }));
    }
}

/// The live form of a guest, which has grown if it does.
fn live_form<'g>(guest: &'g LoadedGuest, bytes: &[u8]) -> Proof<'g> {
    let proof = Proof::of(guest, bytes, true).expect("it compiles");
    proof.unwrap_or_else(|why| panic!("no live form: {why}"))
}

/// The CPU time of one call, on average over a round.
fn time(mut call: impl FnMut(&'static [u8])) -> Duration {
    let began = thread_cpu_time();
    for number in 0..CALLS {
        call(black_box(LINES[number as usize % LINES.len()]));
    }
    (thread_cpu_time() - began) / CALLS
}
