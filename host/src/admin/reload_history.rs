//! What became of the configuration each time that it was read again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::lock::lock;
use crate::text::beginning;

/// Reloads that are kept.
const KEPT: usize = 50;

/// Characters of what is told of one: some twenty mistakes, or the names of a hundred sites.
const MESSAGE_CHARACTERS: usize = 4 << 10;

/// What became of a configuration.
#[derive(Clone, Debug)]
pub(super) struct ReloadEvent {
    pub(super) at: SystemTime,
    pub(super) is_rejected: bool,
    /// What changed, or the mistakes: lines.
    pub(super) message: String,
}

/// The latest reloads of the configuration.
#[derive(Debug, Default)]
pub struct ReloadHistory(Mutex<VecDeque<ReloadEvent>>);

impl ReloadHistory {
    /// Adds one that ended just now: what changed, or why it was rejected.
    pub fn add(&self, message: Result<String, String>) {
        let is_rejected = message.is_err();
        let (Ok(message) | Err(message)) = message;
        let message = beginning(&message, MESSAGE_CHARACTERS);
        let mut events = lock(&self.0);
        events.truncate(KEPT - 1);
        events.push_front(ReloadEvent { at: SystemTime::now(), is_rejected, message });
    }

    /// The latest, the last one first.
    pub(super) fn events(&self) -> VecDeque<ReloadEvent> {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, MESSAGE_CHARACTERS, ReloadHistory};

    #[test]
    fn latest_reloads_are_kept() {
        let history = ReloadHistory::default();
        for number in 0..2 * KEPT {
            history.add(Ok(number.to_string()));
        }
        history.add(Err("x".repeat(2 * MESSAGE_CHARACTERS)));
        let events = history.events();
        assert_eq!((events.len(), events[0].is_rejected, &*events[1].message), (KEPT, true, "99"));
        assert!(events[0].message.len() < MESSAGE_CHARACTERS + 30);
    }
}
