//! Bounds how often a repeated event is logged: once a minute, with a count of the rest.

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
        let is_due = state.logged.is_none_or(|logged| now.duration_since(logged) >= INTERVAL);
        if !is_due {
            state.suppressed += 1;
            return;
        }
        state.logged = Some(now);
        let suppressed = std::mem::take(&mut state.suppressed);
        drop(state);
        log((suppressed > 0).then_some(suppressed));
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, Throttle};
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
