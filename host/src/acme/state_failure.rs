//! What is told while the state cannot be kept: why, what to do about it, and when it is tried again.
//! Nothing is ordered meanwhile, as each order would be one that nobody knows of.

use std::io;
use std::time::{Duration, SystemTime};

use super::clock::seconds;
use super::failure::Failure;
use super::protocol::OrderError;
use super::store::{Folder, Identity};

/// It is told again after pauses that double, and at least after so many failures: one a minute.
const TOLD_AGAIN: u32 = 60;

/// A state that cannot be kept.
pub(super) struct StateFailure {
    /// Why.
    pub(super) error: OrderError,
    /// Attempts that failed, one after the other.
    pub(super) failures: u32,
    /// When it is tried again, in seconds since 1970.
    pub(super) next_attempt: u64,
}

impl StateFailure {
    /// One more than before. The folder was this one at the start.
    pub(super) fn after(
        before: Option<&StateFailure>,
        (folder, at_start): (&Folder, Option<Identity>),
        error: &io::Error,
        pause: Duration,
    ) -> StateFailure {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let next_attempt = seconds(SystemTime::now() + pause);
        StateFailure { error: why(folder, at_start, error), failures, next_attempt }
    }

    /// Whether the log has it, too.
    pub(super) fn is_told(&self, before: Option<&StateFailure>) -> bool {
        let is_new = before.is_none_or(|before| before.error != self.error);
        is_new || self.failures.is_power_of_two() || self.failures.is_multiple_of(TOLD_AGAIN)
    }
}

fn why(folder: &Folder, at_start: Option<Identity>, error: &io::Error) -> OrderError {
    let path = folder.path().display();
    let (what, advice) = match folder.identity() {
        None => (
            format!("{path} is gone"),
            "put the directory of --acme-state back, from a backup if there is one, and restart the \
             server: it makes one that is missing",
        ),
        Some(now) if Some(now) != at_start => (
            format!("{path} is another directory than at the start ({error})"),
            "restart the server: its sandbox allows the directory of its start alone",
        ),
        Some(_) => return Failure::state_of(&format!("{path}: {error}"), error).error,
    };
    Failure::local("state", format!("the state cannot be kept: {what}"), advice).error
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::time::Duration;

    use super::StateFailure;
    use crate::acme::store::Folder;

    #[test]
    fn failure_of_the_state_names_the_folder_and_is_told_after_pauses_that_double() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("state");
        let folder = Folder::open(&path).expect("a folder");
        let at_start = folder.identity();
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let mut told = Vec::new();
        let mut before: Option<StateFailure> = None;
        let next = |before: Option<&StateFailure>| {
            StateFailure::after(before, (&folder, at_start), &error, Duration::from_secs(60))
        };
        for number in 1..=130 {
            let failure = next(before.as_ref());
            if failure.is_told(before.as_ref()) {
                told.push(number);
            }
            before = Some(failure);
        }
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 60, 64, 120, 128]);
        let full = before.expect("one");
        assert!(full.error.detail.contains(path.to_str().expect("UTF-8")), "{:?}", full.error);
        assert!(full.error.advice.contains("make room"), "{:?}", full.error);
        // Another reason is told at once.
        fs::rename(&path, place.path().join("moved")).expect("moved");
        let gone = next(Some(&full));
        assert!(gone.is_told(Some(&full)) && gone.error.detail.contains("is gone"));
        fs::create_dir(&path).expect("a folder");
        let other = next(Some(&gone));
        assert!(other.is_told(Some(&gone)) && other.error.advice.contains("restart"));
    }
}
