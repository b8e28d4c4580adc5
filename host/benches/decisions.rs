//! What a decision costs: `cargo bench --bench decisions`.
//!
//! The same policy, on the same request lines, in one run: called natively,
//! recalled from the memory of decisions, and computed on a fresh instance in the
//! sandbox. Prints medians and the ratios between them. The rounds are interleaved,
//! because a shared machine is not equally fast for long.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{FACTS, LINES, keep, median};

use innkeeper::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

const ROUNDS: usize = 51;
const CALLS: u32 = 2_000;

fn main() {
    let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
    let generation =
        Arc::new(LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");

    let (mut native, mut recalled, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
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
    }
    let native = median(&native);
    println!("{ROUNDS} rounds of {CALLS} calls; medians of the rounds\n");
    let figures = [
        ("native call", native),
        ("recalled", median(&recalled)),
        ("fresh instance", median(&fresh)),
        ("  instantiate", median(&instantiate)),
        ("  call", median(&decide)),
        ("  drop", median(&dropped)),
    ];
    for (name, time) in figures {
        let ratio = time.as_secs_f64() / native.as_secs_f64();
        println!("{name:<16} {:>9.3} µs  {ratio:>7.1} × native", time.as_secs_f64() * 1e6);
    }
    let medians = figures.map(|(name, time)| {
        let nanos = time.as_secs_f64() * 1e9;
        json!({ "what": name.trim(), "rounds": ROUNDS, "calls": CALLS, "median_ns": nanos })
    });
    keep("decisions", &["what", "rounds", "calls", "median_ns"], &medians);
}

/// The time of one call, on average over a round.
fn time(mut call: impl FnMut(&'static [u8])) -> Duration {
    let began = Instant::now();
    for number in 0..CALLS {
        call(black_box(LINES[number as usize % LINES.len()]));
    }
    began.elapsed() / CALLS
}
