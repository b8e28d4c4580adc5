//! What rules cost a decision: `cargo bench --bench rules`.
//!
//! The plain built-in guest beside the one for rules with 300 rules, 1,000 and 10,000 redirects, on
//! the same request lines, in one run: recalled from the cache of decisions, and computed on a
//! fresh instance. No rule is about these lines, so that all of them are looked through; `redirected`
//! is one that the last redirect is about. Prints medians and their ratios to the plain guest's. The
//! rounds are interleaved, because a shared machine is not equally fast for long.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper_guest::rules::{Table, headers_file, redirects_file};
use serde_json::json;
use support::{FACTS, LINES, keep, median};

use innkeeper::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest, RULES_GUEST};

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

const ROUNDS: usize = 51;
const CALLS: u32 = 1_000;

/// A guest, and what its lines took in each round.
struct Subject {
    name: &'static str,
    guest: Arc<LoadedGuest>,
    lines: &'static [&'static [u8]],
    recalled: Vec<Duration>,
    fresh: Vec<Duration>,
}

impl Subject {
    fn new(name: &'static str, guest: LoadedGuest, lines: &'static [&'static [u8]]) -> Subject {
        Subject { name, guest: Arc::new(guest), lines, recalled: Vec::new(), fresh: Vec::new() }
    }

    fn line(&self, call: u32) -> &'static [u8] {
        self.lines[call as usize % self.lines.len()]
    }
}

fn main() {
    let engine = Arc::new(Engine::new(GuestLimits::default(), 1).expect("an engine"));
    let with = |table: &Table| {
        LoadedGuest::load_with(&engine, &RULES_GUEST, Some(&table.to_data())).expect("the rules")
    };
    let plain = LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest");
    let (hundreds, thousand) = (table(200, 100), table(1_000, 0));
    let mut subjects = [
        Subject::new("plain", plain, &LINES),
        Subject::new("300 rules", with(&hundreds), &LINES),
        Subject::new("1,000 redirects", with(&thousand), &LINES),
        Subject::new("1,000, redirected", with(&thousand), &[b"GET /tree-999/a/b HTTP/1.1"]),
        Subject::new("10,000 redirects", with(&table(10_000, 0)), &LINES),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let began = Instant::now();
            runtime.block_on(async {
                for call in 0..CALLS {
                    let line = black_box(subject.line(call));
                    let decided = subject.guest.decide(0, line, [].into_iter(), FACTS).await;
                    black_box(decided.decision.expect("a decision"));
                }
            });
            let recalled = began.elapsed() / CALLS;
            let began = Instant::now();
            for call in 0..CALLS {
                let line = black_box(subject.line(call));
                let decided = subject.guest.decide_uncached(line, [].into_iter(), FACTS);
                black_box(decided.expect("a decision"));
            }
            subject.fresh.push(began.elapsed() / CALLS);
            subject.recalled.push(recalled);
        }
    }
    report(&subjects);
}

/// A table of redirects, of which eight of ten are plain paths, and of fields for some paths.
fn table(redirects: usize, headers: usize) -> Table {
    let route = |number: usize| match number % 10 {
        8 => format!("/section-{number}/:year/:slug /archive/:year/:slug\n"),
        9 => format!("/tree-{number}/* /moved/:splat\n"),
        _ => format!("/old/page-{number}.html /new/page-{number}\n"),
    };
    let header = |number: usize| format!("/part-{number}/*\n  X-Part: {number}\n");
    let routes: String = (0..redirects).map(route).collect();
    let headers: String = (0..headers).map(header).collect();
    Table {
        sources: vec!["_redirects".to_owned(), "_headers".to_owned()],
        routes: redirects_file::parse(routes.as_bytes(), 0).expect("redirects"),
        headers: headers_file::parse(headers.as_bytes(), 1).expect("fields"),
        ..Table::default()
    }
}

fn report(subjects: &[Subject]) {
    println!("{ROUNDS} rounds of {CALLS} calls; medians of the rounds\n");
    let mut samples = Vec::new();
    for (what, times) in [
        ("recalled", (|subject| &subject.recalled) as fn(&Subject) -> &Vec<Duration>),
        ("fresh instance", |subject| &subject.fresh),
    ] {
        let plain = median(times(&subjects[0]));
        for subject in subjects {
            let time = median(times(subject));
            let ratio = time.as_secs_f64() / plain.as_secs_f64();
            let micros = time.as_secs_f64() * 1e6;
            println!("{what:<15} {:<18} {micros:>9.3} µs  {ratio:>6.2} × plain", subject.name);
            let nanos = time.as_secs_f64() * 1e9;
            samples.push(json!({
                "what": what, "guest": subject.name.replace(',', ""), "rounds": ROUNDS,
                "calls": CALLS, "median_ns": nanos,
            }));
        }
    }
    keep("rule-decisions", &["what", "guest", "rounds", "calls", "median_ns"], &samples);
}
