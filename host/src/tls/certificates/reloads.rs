//! What became of files that changed: how often they were replaced or not, and the last outcome of
//! each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::error::CertificateError;
use crate::lock::lock;

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new content serves.
    Replaced,
    /// It is not used, and what was active goes on serving.
    Rejected,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 2] = [Outcome::Replaced, Outcome::Rejected];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Replaced => "replaced",
            Outcome::Rejected => "rejected",
        }
    }
}

/// The last reload of one certificate, or of the authorities of clients.
#[derive(Clone, Debug)]
pub struct Reload {
    /// When.
    pub at: SystemTime,
    /// Its outcome.
    pub outcome: Outcome,
    /// The code and the text of the error, if it was rejected.
    pub error: Option<(&'static str, String)>,
}

/// All reloads since the start.
#[derive(Debug)]
pub(super) struct Reloads {
    counts: [AtomicU64; Outcome::ALL.len()],
    /// One for each certificate, and one for the authorities of clients.
    last: Mutex<Vec<Option<Reload>>>,
}

impl Reloads {
    /// Of this many certificates.
    pub(super) fn new(pairs: usize) -> Reloads {
        Reloads { counts: Default::default(), last: Mutex::new(vec![None; pairs + 1]) }
    }

    /// Forgets what became of each: there are others, and this many.
    pub(super) fn reset(&self, pairs: usize) {
        *lock(&self.last) = vec![None; pairs + 1];
    }

    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// The last reload of the certificate of this number; the number after them is that of the
    /// authorities.
    pub(super) fn last(&self, number: usize) -> Option<Reload> {
        let last = lock(&self.last);
        last.get(number).cloned().flatten()
    }

    pub(super) fn replaced(&self, number: usize) {
        self.add(number, Reload { at: SystemTime::now(), outcome: Outcome::Replaced, error: None });
    }

    pub(super) fn rejected(&self, number: usize, error: &CertificateError) {
        let error = Some((error.problem.code(), error.to_string()));
        self.add(number, Reload { at: SystemTime::now(), outcome: Outcome::Rejected, error });
    }

    /// The files have the content that serves again, and what was wrong with them is over.
    pub(super) fn settled(&self, number: usize) {
        let mut last = lock(&self.last);
        if let Some(place) = last.get_mut(number)
            && place.as_ref().is_some_and(|reload| reload.error.is_some())
        {
            *place = None;
        }
    }

    fn add(&self, number: usize, reload: Reload) {
        self.counts[reload.outcome as usize].fetch_add(1, Ordering::Relaxed);
        let mut last = lock(&self.last);
        if let Some(place) = last.get_mut(number) {
            *place = Some(reload);
        }
    }
}
