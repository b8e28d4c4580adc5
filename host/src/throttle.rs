//! Bounds how often a repeated event is logged: once a minute, with a count of the rest.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// The time between two logged events of one kind. Nagios and Prometheus look as often.
const INTERVAL: Duration = Duration::from_secs(60);

/// One kind of event. The first is logged at once; those of the next minute are counted, and
/// the first after that minute is logged with their number.
#[derive(Debug, Default)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    suppressed: u64,
}

impl State {
    /// Whether the next event is logged.
    fn is_due(&self, now: Instant) -> bool {
        self.logged.is_none_or(|logged| now.duration_since(logged) >= INTERVAL)
    }

    /// Notes an event. If it is to be logged, the number of those that were not.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if !self.is_due(now) {
            self.suppressed += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Throttle {
    /// Of a kind of event that has not happened yet.
    pub const fn new() -> Throttle {
        Throttle { state: Mutex::new(State { logged: None, suppressed: 0 }) }
    }

    /// Calls `log` unless the last call was less than a minute ago. It gets the number of
    /// events since then, or `None` if there are none: as a field of `tracing` that is left
    /// out.
    pub fn log(&self, log: impl FnOnce(Option<u64>)) {
        self.log_at(Instant::now(), log);
    }

    fn log_at(&self, now: Instant, log: impl FnOnce(Option<u64>)) {
        let mut state = lock(&self.state);
        let Some(suppressed) = state.next(now) else { return };
        drop(state);
        log((suppressed > 0).then_some(suppressed));
    }
}

/// Kinds that are told apart at a time. A fault has one or a few; what a client can make differ, as
/// a path in an error, must not take memory.
const KINDS: usize = 32;

/// Events of several kinds, each of which is bounded as by a [`Throttle`]. Those beyond the first
/// 32 within a minute are one kind.
#[derive(Debug, Default)]
pub struct Kinds {
    known: Mutex<Vec<(u64, State)>>,
    others: Throttle,
}

impl Kinds {
    /// Kinds of event none of which has happened yet.
    pub const fn new() -> Kinds {
        Kinds { known: Mutex::new(Vec::new()), others: Throttle::new() }
    }

    /// Calls `log` unless the last call for this kind was less than a minute ago. It gets the
    /// number of events of the kind since then, as that of [`Throttle::log`] does.
    pub fn log(&self, kind: impl Hash, log: impl FnOnce(Option<u64>)) {
        self.log_at(Instant::now(), kind, log);
    }

    fn log_at(&self, now: Instant, kind: impl Hash, log: impl FnOnce(Option<u64>)) {
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        let kind = hasher.finish();
        let mut known = lock(&self.known);
        let place = match known.iter().position(|(its, _)| *its == kind) {
            Some(place) => place,
            None if known.len() < KINDS => {
                known.push((kind, State::default()));
                known.len() - 1
            }
            None => match known.iter().position(|(_, state)| state.is_due(now)) {
                Some(place) => {
                    known[place] = (kind, State::default());
                    place
                }
                None => {
                    drop(known);
                    return self.others.log_at(now, log);
                }
            },
        };
        let Some(suppressed) = known[place].1.next(now) else { return };
        drop(known);
        log((suppressed > 0).then_some(suppressed));
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, KINDS, Kinds, Throttle};
    use std::time::{Duration, Instant};

    #[test]
    fn repeated_event_is_logged_once_and_then_counted_each_minute() {
        let throttle = Throttle::new();
        let began = Instant::now();
        let mut logged = Vec::new();
        // Ten times a second, for three minutes.
        for tenth in 0..=1800 {
            let now = began + Duration::from_millis(100) * tenth;
            throttle.log_at(now, |suppressed| logged.push((tenth, suppressed)));
        }
        let expected = [(0, None), (600, Some(599)), (1200, Some(599)), (1800, Some(599))];
        assert_eq!(logged, expected);
    }

    #[test]
    fn each_kind_is_logged_once_and_too_many_are_one() {
        let kinds = Kinds::new();
        let began = Instant::now();
        let mut logged = Vec::new();
        for (seconds, kind) in [(0, 1), (1, 2), (2, 1), (3, 1), (61, 1), (61, 2)] {
            let now = began + Duration::from_secs(seconds);
            kinds.log_at(now, kind, |suppressed| logged.push((kind, suppressed)));
        }
        assert_eq!(logged, [(1, None), (2, None), (1, Some(2)), (2, None)]);
        let mut logged = 0;
        for kind in 0..10 * KINDS {
            kinds.log_at(began + Duration::from_secs(62), kind, |_| logged += 1);
        }
        // Two of them are known, and the others beyond are one.
        assert_eq!(logged, KINDS - 2 + 1);
    }

    #[test]
    fn event_after_a_quiet_minute_is_logged_at_once() {
        let throttle = Throttle::new();
        let began = Instant::now();
        let mut logged = Vec::new();
        for now in [began, began + INTERVAL] {
            throttle.log_at(now, |suppressed| logged.push(suppressed));
        }
        assert_eq!(logged, [None, None]);
    }
}
