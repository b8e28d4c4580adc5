//! The latest deployments, and their number.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::guest::digest::Digest;
use crate::guest::validation::error::ValidationError;
use crate::lock::lock;

/// Events that are kept: more than fit on a screen.
const KEPT: usize = 50;

/// Lines of a guest that are kept of an event.
const KEPT_LINES: usize = 20;

/// The outcome of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest serves.
    Deployed,
    /// It did not pass its validation.
    Rejected,
    /// It could not be read.
    Unreadable,
    /// The previous guest serves again in its place.
    RolledBack,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] =
        [Outcome::Deployed, Outcome::Rejected, Outcome::Unreadable, Outcome::RolledBack];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Deployed => "deployed",
            Outcome::Rejected => "rejected",
            Outcome::Unreadable => "unreadable",
            Outcome::RolledBack => "rolled-back",
        }
    }
}

/// A deployment.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// Its outcome.
    pub outcome: Outcome,
    /// The guest. `None` if it could not be read.
    pub digest: Option<Digest>,
    /// Where the guest came from, and details of the outcome, for people.
    pub message: String,
    /// The code of the error, if the guest did not pass its validation.
    pub code: Option<&'static str>,
    /// What the guest said before it failed, in lines for people.
    pub lines: Vec<String>,
}

/// How far deployments are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many ended since the start.
    pub events: u64,
    /// Whether a guest is validated now.
    pub is_validating: bool,
    /// Whether the last one was not accepted.
    is_rejected: bool,
    /// How often the source offered the guest that serves again, after one that was not accepted.
    pub reverted: u64,
}

/// The latest deployments, and how many there were.
#[derive(Debug, Default)]
pub struct History {
    events: Mutex<VecDeque<Event>>,
    counts: [AtomicU64; Outcome::ALL.len()],
    changed: watch::Sender<Progress>,
}

impl History {
    /// Adds a deployment that ended just now.
    pub(super) fn add(&self, outcome: Outcome, digest: Option<Digest>, message: String) {
        self.push(Event {
            at: SystemTime::now(),
            outcome,
            digest,
            message,
            code: None,
            lines: Vec::new(),
        });
    }

    /// Adds a guest that did not pass its validation. Its error is a part of the message.
    pub(super) fn add_rejected(&self, digest: Digest, message: String, error: &ValidationError) {
        let mut lines = error.lines();
        lines.truncate(KEPT_LINES);
        let (outcome, digest, code) = (Outcome::Rejected, Some(digest), Some(error.code()));
        self.push(Event { at: SystemTime::now(), outcome, digest, message, code, lines });
    }

    /// Notes that a guest is validated from now on, or that this ended.
    pub(super) fn note_validating(&self, is_validating: bool) {
        self.changed.send_modify(|progress| progress.is_validating = is_validating);
    }

    fn push(&self, event: Event) {
        let outcome = event.outcome;
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        let mut events = lock(&self.events);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(event);
        drop(events);
        self.changed.send_modify(|progress| {
            progress.events += 1;
            progress.is_rejected = matches!(outcome, Outcome::Rejected | Outcome::Unreadable);
        });
    }

    /// Notes that the source offers the guest that serves. Tells whether the last that it offered was
    /// not accepted.
    pub(super) fn note_unchanged(&self) -> bool {
        self.changed.send_if_modified(|progress| {
            let is_reverted = std::mem::take(&mut progress.is_rejected);
            progress.reverted += u64::from(is_reverted);
            is_reverted
        })
    }

    /// Whether the last event had this outcome and message.
    pub(super) fn last_is(&self, outcome: Outcome, message: &str) -> bool {
        let events = lock(&self.events);
        events.back().is_some_and(|last| last.outcome == outcome && last.message == message)
    }

    /// The message of the last event.
    pub(super) fn latest(&self) -> Option<String> {
        lock(&self.events).back().map(|last| last.message.clone())
    }

    /// Goes on after another: a site has other settings, and the deployments of before.
    pub fn follow(&self, before: &History) {
        for (own, count) in self.counts.iter().zip(&before.counts) {
            own.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let earlier = lock(&before.events).clone();
        let mut events = lock(&self.events);
        let room = KEPT - events.len().min(KEPT);
        for event in earlier.into_iter().rev().take(room) {
            events.push_front(event);
        }
    }

    /// The latest events, the last one first.
    pub fn events(&self) -> Vec<Event> {
        let events = lock(&self.events);
        events.iter().rev().cloned().collect()
    }

    /// Changes whenever there is another event, or a validation begins or ends.
    pub fn changes(&self) -> watch::Receiver<Progress> {
        self.changed.subscribe()
    }

    /// How many deployments had this outcome since the start.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{History, KEPT, Outcome};

    #[test]
    fn history_keeps_the_latest_and_counts_all() {
        let history = History::default();
        for number in 0..KEPT + 3 {
            history.add(Outcome::Rejected, None, number.to_string());
        }
        history.add(Outcome::Deployed, None, "last".to_owned());
        let events = history.events();
        assert_eq!((events.len(), events[0].message.as_str()), (KEPT, "last"));
        assert_eq!(history.count(Outcome::Rejected), 53);
        assert_eq!(history.count(Outcome::RolledBack), 0);
        let next = History::default();
        next.add(Outcome::RolledBack, None, "new".to_owned());
        next.follow(&history);
        let events = next.events();
        let latest: Vec<_> = events.iter().take(2).map(|event| &*event.message).collect();
        assert_eq!((events.len(), latest), (KEPT, vec!["new", "last"]));
        assert_eq!((next.count(Outcome::Rejected), next.count(Outcome::RolledBack)), (53, 1));
    }
}
