//! Guests that are not deployed again as long as their bytes are the same.
//!
//! A guest that was rejected, or was taken out of service, would fail once more. It is known
//! whatever else is deployed meanwhile, until an operator asks to try it again.

use std::collections::VecDeque;
use std::fmt;

use crate::guest::digest::Digest;

/// Guests that are known. Beyond this number the oldest is forgotten, and is tried again.
const KEPT: usize = 256;

/// Why a guest is not deployed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It did not pass its check with these cases.
    Invalid,
    /// This many of its last 1,000 decisions failed in service.
    Failed(u32),
    /// An operator put the guest before it in service again.
    RolledBack,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::Invalid => f.write_str("it was rejected before"),
            Rejection::Failed(count) => write!(
                f,
                "it was taken out of service, as {count} of its last 1000 decisions failed; SIGHUP \
                 has it tried again"
            ),
            Rejection::RolledBack => f.write_str("it was rolled back on request"),
        }
    }
}

/// Those that are known, the latest last.
#[derive(Debug, Default)]
pub(super) struct RejectedGuests(VecDeque<(Digest, Rejection)>);

impl RejectedGuests {
    /// Why this one is rejected, if it is. One that did not pass its check is known by its digest
    /// with that of its cases, the others by their own.
    pub(super) fn why(&self, digest: Digest) -> Option<Rejection> {
        self.0.iter().rev().find(|(known, _)| *known == digest).map(|(_, why)| *why)
    }

    /// Adds one.
    pub(super) fn add(&mut self, digest: Digest, why: Rejection) {
        self.remove(digest);
        if self.0.len() == KEPT {
            // Those that served and failed are forgotten last.
            let invalid = self.0.iter().position(|(_, why)| *why == Rejection::Invalid);
            self.0.remove(invalid.unwrap_or_default());
        }
        self.0.push_back((digest, why));
    }

    /// Removes one, which serves.
    pub(super) fn remove(&mut self, digest: Digest) {
        self.0.retain(|(known, _)| *known != digest);
    }

    /// Removes all of them, so that each is tried again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, KEPT, RejectedGuests, Rejection};

    #[test]
    fn oldest_is_forgotten_when_the_list_is_full() {
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        let mut guests = RejectedGuests::default();
        for number in 0..=KEPT {
            guests.add(digest(number), Rejection::Invalid);
        }
        assert_eq!((guests.why(digest(0)), guests.0.len()), (None, KEPT));
        guests.add(digest(1), Rejection::Failed(3));
        assert_eq!((guests.why(digest(1)), guests.0.len()), (Some(Rejection::Failed(3)), KEPT));
        for number in KEPT..3 * KEPT {
            guests.add(digest(number), Rejection::Invalid);
        }
        assert_eq!((guests.why(digest(1)), guests.0.len()), (Some(Rejection::Failed(3)), KEPT));
        assert_eq!(guests.why(digest(2)), None);
        guests.remove(digest(1));
        assert_eq!(guests.why(digest(1)), None);
        guests.clear();
        assert_eq!(guests.why(digest(2)), None);
    }
}
