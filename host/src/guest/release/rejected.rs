//! Guests that are not tried again as long as their bytes are the same.
//!
//! What was refused, or was taken out of service, would fail once more. It is remembered
//! whatever else is put in service meanwhile, until an operator asks to try it again.

use std::collections::VecDeque;
use std::fmt;

use crate::guest::digest::Digest;

/// Guests that are remembered. Beyond this number the oldest is forgotten, and is tried again.
const KEPT: usize = 256;

/// Why a guest is unfit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It did not pass its check with these cases.
    Refused,
    /// This many of its last 1,000 decisions failed in service.
    Failed(u32),
    /// An operator put the guest before it in service again.
    RolledBack,
}

/// `it was taken out of service, as …`
impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Refused => f.write_str("it was found unfit before"),
            Unfit::Failed(count) => write!(
                f,
                "it was taken out of service, as {count} of its last 1000 decisions failed; SIGHUP \
                 has it tried again"
            ),
            Unfit::RolledBack => f.write_str(
                "the one before it was put in service again in its place, as was asked for",
            ),
        }
    }
}

/// Those that are known, the latest last.
#[derive(Debug, Default)]
pub(in crate::guest) struct UnfitGuests(VecDeque<(Digest, Unfit)>);

impl UnfitGuests {
    /// Why this one is unfit, if it is. What was refused is known by its digest with that of
    /// its cases, the rest by its own.
    pub(in crate::guest) fn why(&self, digest: Digest) -> Option<Unfit> {
        self.0.iter().rev().find(|(known, _)| *known == digest).map(|(_, why)| *why)
    }

    /// Remembers it.
    pub(in crate::guest) fn add(&mut self, digest: Digest, why: Unfit) {
        self.remove(digest);
        if self.0.len() == KEPT {
            // What served and failed is forgotten after what never served.
            let refused = self.0.iter().position(|(_, why)| *why == Unfit::Refused);
            self.0.remove(refused.unwrap_or_default());
        }
        self.0.push_back((digest, why));
    }

    /// Forgets this one: it serves.
    pub(in crate::guest) fn remove(&mut self, digest: Digest) {
        self.0.retain(|(known, _)| *known != digest);
    }

    /// Forgets all of them, so that each is tried again.
    pub(in crate::guest) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, KEPT, Unfit, UnfitGuests};

    #[test]
    fn so_many_are_known_and_the_oldest_is_forgotten() {
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        let mut guests = UnfitGuests::default();
        for number in 0..=KEPT {
            guests.add(digest(number), Unfit::Refused);
        }
        assert_eq!((guests.why(digest(0)), guests.0.len()), (None, KEPT));
        guests.add(digest(1), Unfit::Failed(3));
        assert_eq!((guests.why(digest(1)), guests.0.len()), (Some(Unfit::Failed(3)), KEPT));
        for number in KEPT..3 * KEPT {
            guests.add(digest(number), Unfit::Refused);
        }
        assert_eq!((guests.why(digest(1)), guests.0.len()), (Some(Unfit::Failed(3)), KEPT));
        assert_eq!(guests.why(digest(2)), None);
        guests.remove(digest(1));
        assert_eq!(guests.why(digest(1)), None);
        guests.forget();
        assert_eq!(guests.why(digest(2)), None);
    }
}
