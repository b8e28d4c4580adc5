//! What became of the guests that were to serve.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::guest::digest::Digest;

/// Events that are kept: more than fit on a screen.
const KEPT: usize = 50;

/// What became of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was put in service.
    Served,
    /// It was found unfit.
    Refused,
    /// It could not be read.
    Unreadable,
    /// It was put in service again in place of its successor.
    RolledBack,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] =
        [Outcome::Served, Outcome::Refused, Outcome::Unreadable, Outcome::RolledBack];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Refused => "refused",
            Outcome::Unreadable => "unreadable",
            Outcome::RolledBack => "rolled-back",
        }
    }
}

/// One of these, when it happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub outcome: Outcome,
    /// The guest. `None` if it could not be read.
    pub digest: Option<Digest>,
    /// Where it came from, and how it went, for people.
    pub told: String,
}

/// The latest of them, and how many there were.
#[derive(Debug, Default)]
pub struct History {
    events: Mutex<VecDeque<Event>>,
    counts: [AtomicU64; Outcome::ALL.len()],
    changed: watch::Sender<()>,
}

impl History {
    /// Notes what became of a guest just now.
    pub(in crate::guest) fn note(&self, outcome: Outcome, digest: Option<Digest>, told: String) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(Event { at: SystemTime::now(), outcome, digest, told });
        drop(events);
        self.changed.send_replace(());
    }

    /// The latest events, the last one first.
    pub fn events(&self) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().rev().cloned().collect()
    }

    /// Changes whenever there is another event.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How often this was the outcome since the start.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{History, KEPT, Outcome};

    #[test]
    fn it_keeps_the_latest_and_counts_all() {
        let history = History::default();
        for number in 0..KEPT + 3 {
            history.note(Outcome::Refused, None, number.to_string());
        }
        history.note(Outcome::Served, None, "last".to_owned());
        let events = history.events();
        assert_eq!((events.len(), events[0].told.as_str()), (KEPT, "last"));
        assert_eq!(history.count(Outcome::Refused), 53);
        assert_eq!(history.count(Outcome::RolledBack), 0);
    }
}
