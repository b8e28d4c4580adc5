//! How long a guest's decisions take: those of a slow guest are made beside the workers.
//!
//! Time is a core's, and not the clock's: on a machine that is busy with others no guest is
//! slow for that. A thread's time takes two system calls to measure, 2 µs of a decision of 1 µs. So
//! the clock is read, which takes none and shows no less; where it shows too much, the next
//! decision is measured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::thread_cpu_time;
use crate::guest::decision::request::Request;

/// A guest whose decisions take longer than this, on average, makes none of them on
/// a worker, where cached decisions would wait for them: ten times what it costs to
/// hand one over. On a live instance one in Rust takes 1 µs, in Go 8, in JavaScript 42 and in Python 210; on
/// a fresh one 7, 57, 190 and 2,500.
/// In a host that is not optimised one in Rust takes 250 to 500 µs, nearly all of it wasmtime's.
const SLOW: Duration = Duration::from_micros(if cfg!(debug_assertions) { 1_500 } else { 150 });

/// What the clock may show of a decision that is quick, whoever had the core meanwhile.
const UNSUSPICIOUS: Duration = SLOW.checked_div(2).expect("two is not zero");

/// How many decisions ago one counts a third of what the last one does.
const WEIGHT: u64 = 32;

/// The field with which a client proves who it is (RFC 9110, section 11.6.2).
const CREDENTIALS: &str = "authorization";

/// What a guest's decisions take, those on credentials apart: stretching a password takes some
/// 11 ms, and a client that guesses passwords makes a guest slow for credentials alone.
#[derive(Debug, Default)]
pub(in crate::guest) struct DecisionCosts {
    on_credentials: DecisionCost,
    on_others: DecisionCost,
}

impl DecisionCosts {
    /// Begins with an average that was found before.
    pub(in crate::guest) fn begin_with(&self, average: Duration) {
        self.on_credentials.begin_with(average);
        self.on_others.begin_with(average);
    }

    /// Those of decisions on requests like this one, as far as the guest reads it.
    pub(super) fn of(&self, request: &Request) -> &DecisionCost {
        match request.fields.iter().any(|field| field.name == CREDENTIALS) {
            true => &self.on_credentials,
            false => &self.on_others,
        }
    }
}

/// What decisions take.
#[derive(Debug, Default)]
pub(super) struct DecisionCost {
    /// Nanoseconds, an average in which the last ones count most.
    average: AtomicU64,
    /// Whether the clock showed too much of the last one.
    is_suspicious: AtomicBool,
}

/// The time of a decision, from its beginning.
pub(super) struct Stopwatch<'a> {
    cost: &'a DecisionCost,
    began: Instant,
    /// What this thread had run for, if that is measured.
    before: Option<Duration>,
}

impl DecisionCost {
    fn begin_with(&self, average: Duration) {
        self.average.store(nanoseconds(average), Ordering::Relaxed);
    }

    /// Begins to note what a decision on this thread takes.
    pub(super) fn start(&self) -> Stopwatch<'_> {
        match self.is_suspicious.load(Ordering::Relaxed) {
            true => self.start_measured(),
            false => Stopwatch { cost: self, began: Instant::now(), before: None },
        }
    }

    /// Begins to measure one: for slow ones that costs nothing.
    pub(super) fn start_measured(&self) -> Stopwatch<'_> {
        Stopwatch { cost: self, began: Instant::now(), before: Some(thread_cpu_time()) }
    }

    /// Takes note of what one decision took. Of two at the same time one may be lost.
    fn note(&self, time: Duration) {
        // A few that are rare and long make it no slow guest.
        let time = nanoseconds(time.min(SLOW * 8));
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - average / WEIGHT + time / WEIGHT, Ordering::Relaxed);
    }

    /// Whether decisions take so long that none is begun on a worker.
    pub(super) fn is_slow(&self) -> bool {
        self.average.load(Ordering::Relaxed) > nanoseconds(SLOW)
    }

    fn suspect(&self, is_suspicious: bool) {
        // It is written where it changes, and else shared by all workers.
        if self.is_suspicious.load(Ordering::Relaxed) != is_suspicious {
            self.is_suspicious.store(is_suspicious, Ordering::Relaxed);
        }
    }
}

impl Stopwatch<'_> {
    /// Takes note of a decision that was made.
    pub(super) fn stop(self) {
        match self.before {
            Some(before) => {
                let time = thread_cpu_time().saturating_sub(before);
                self.cost.note(time);
                self.cost.suspect(time > UNSUSPICIOUS);
            }
            None => {
                let time = self.began.elapsed();
                if time > UNSUSPICIOUS {
                    self.cost.suspect(true);
                } else {
                    self.cost.note(time);
                }
            }
        }
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether this thread, which missed a deadline, ran for less than most of that time, or may
    /// have. The next decision is measured, and tells.
    pub(super) fn lacked_a_core(&self, deadline: Duration) -> bool {
        self.cost.suspect(true);
        self.before.is_none_or(|before| thread_cpu_time().saturating_sub(before) < deadline * 3 / 4)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{DecisionCost, DecisionCosts, Request, SLOW, WEIGHT};
    use crate::http::Field;

    #[test]
    fn time_that_others_had_the_core_makes_no_guest_slow() {
        let cost = DecisionCost::default();
        for _ in 0..3 * WEIGHT {
            let stopwatch = cost.start();
            std::thread::sleep(SLOW * 2);
            stopwatch.stop();
        }
        assert!(!cost.is_slow());
        let busy = || {
            let stopwatch = cost.start();
            let began = crate::clock::thread_cpu_time();
            while crate::clock::thread_cpu_time() - began < SLOW * 3 {}
            stopwatch.stop();
        };
        (0..3 * WEIGHT).for_each(|_| busy());
        assert!(cost.is_slow());
    }

    #[test]
    fn slow_decisions_on_credentials_make_no_others_slow() {
        let request = |names: &[&'static str]| Request {
            line: b"GET / HTTP/1.1".to_vec(),
            fields: names.iter().map(|name| Field::fixed(name, "x")).collect(),
        };
        let with = request(&["host", "authorization"]);
        let costs = DecisionCosts::default();
        (0..WEIGHT).for_each(|_| costs.of(&with).note(SLOW * 8));
        assert!(costs.of(&with).is_slow());
        for without in [request(&[]), request(&["host"])] {
            assert!(!costs.of(&without).is_slow());
        }
        costs.begin_with(SLOW * 2);
        assert!(costs.of(&request(&[])).is_slow(), "a guest that is slow by itself");
    }

    #[test]
    fn a_guest_is_slow_as_long_as_its_decisions_take_long() {
        let cost = DecisionCost::default();
        cost.begin_with(SLOW / 10);
        cost.note(SLOW * 1000);
        assert!(!cost.is_slow(), "for one decision");
        (0..WEIGHT).for_each(|_| cost.note(SLOW * 3));
        assert!(cost.is_slow());
        (0..3 * WEIGHT).for_each(|_| cost.note(SLOW / 10));
        assert!(!cost.is_slow());
    }
}
