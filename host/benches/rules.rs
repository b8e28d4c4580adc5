//! What rules cost a decision: `cargo bench --bench rules`.
//!
//! The plain built-in guest beside the one for rules with 300 rules, 1,000 and 10,000 redirects, on
//! the same request lines, in one run: recalled from the cache of decisions, and computed on a
//! fresh instance. No rule is about these lines, so that all of them are looked through; `redirected`
//! is one that the last redirect is about. Prints medians and their ratios to the plain guest's. The
//! rounds are interleaved, because a shared machine is not equally fast for long.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper_guest::rules::table::{FieldChange, Header, Place, Route, Table};
use serde_json::json;
use support::keep;

use innkeeper::guest::{DEFAULT_GUEST, Engine, Facts, GuestLimits, LoadedGuest, RULES_GUEST};

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

const LINES: [&[u8]; 4] = [
    b"GET / HTTP/1.1",
    b"GET /style.css?v=1 HTTP/1.1",
    b"GET /notes/2026/caf%C3%A9/ HTTP/1.1",
    b"GET /a/b/../c/./d/e.html HTTP/1.1",
];
const ROUNDS: usize = 51;
const CALLS: u32 = 1_000;
const FACTS: Facts<'static> = Facts::plain(IpAddr::V4(Ipv4Addr::LOCALHOST));
/// What fields and redirects of a table are about: eight of ten are plain paths.
const KINDS: usize = 10;

/// A guest, and what its lines took in each round.
struct Subject {
    name: &'static str,
    guest: Arc<LoadedGuest>,
    lines: Vec<Vec<u8>>,
    recalled: Vec<Duration>,
    fresh: Vec<Duration>,
}

impl Subject {
    fn new(name: &'static str, guest: LoadedGuest, lines: &[&[u8]]) -> Subject {
        let lines = lines.iter().map(|line| line.to_vec()).collect();
        Subject { name, guest: Arc::new(guest), lines, recalled: Vec::new(), fresh: Vec::new() }
    }

    fn line(&self, call: u32) -> &[u8] {
        &self.lines[call as usize % self.lines.len()]
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

/// A table of redirects and of fields for some paths.
fn table(redirects: usize, headers: usize) -> Table {
    let route = |number: usize| {
        let (from, to) = match number % KINDS {
            8 => (format!("/section-{number}/:year/:slug"), "/archive/:year/:slug".to_owned()),
            9 => (format!("/tree-{number}/*"), "/moved/:splat".to_owned()),
            _ => (format!("/old/page-{number}.html"), format!("/new/page-{number}")),
        };
        Route {
            place: place(number),
            scheme: None,
            host: None,
            from,
            query: Vec::new(),
            conditions: Vec::new(),
            to,
            status: 301,
            force: false,
        }
    };
    let header = |number: usize| Header {
        place: place(number),
        scheme: None,
        host: None,
        pattern: format!("/part-{number}/*"),
        changes: vec![FieldChange::Add { name: "X-Part".to_owned(), value: number.to_string() }],
        always: false,
    };
    Table {
        sources: vec!["rules".to_owned()],
        routes: (0..redirects).map(route).collect(),
        headers: (0..headers).map(header).collect(),
        ..Table::default()
    }
}

fn place(number: usize) -> Place {
    Place { source: 0, line: u32::try_from(number).expect("a few thousand") + 1 }
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

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}
