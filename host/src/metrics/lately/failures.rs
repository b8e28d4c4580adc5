//! The latest requests that failed.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::response::Response;
use crate::text;

/// Characters of a request, and of a cause.
const CHARACTERS: usize = 200;

/// Memory of one: a character has four bytes at most, and what is cut says so.
pub(super) const BYTES: usize = size_of::<Failure>() + 2 * (4 * CHARACTERS + 32) + 64;

/// A request that had a status from 500, or on which a guest failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When.
    pub at: SystemTime,
    /// The method and the path, without its query. Empty if there was no request.
    pub request: String,
    /// The status of the response.
    pub status: u16,
    /// What the response follows.
    pub decision: &'static str,
    /// The digest of the guest that was asked.
    pub guest: Option<String>,
    /// Why the guest made no decision. `None` if that is not why the request failed.
    pub cause: Option<String>,
}

/// The latest of one worker.
pub(super) struct Failures {
    most: usize,
    all: VecDeque<Failure>,
}

impl Failures {
    /// None yet, of which this many are kept.
    pub(super) fn of(most: usize) -> Failures {
        Failures { most, all: VecDeque::new() }
    }

    pub(super) fn add(&mut self, response: &Response<'_>) {
        let Response { method, path, status, decision, guest, failure, .. } = *response;
        if self.all.len() == self.most {
            self.all.pop_front();
        }
        let request = [method, path].join(" ");
        let cause = failure.map(|failure| text::one_line(&failure.to_string()));
        self.all.push_back(Failure {
            at: SystemTime::now(),
            request: text::beginning(request.trim(), CHARACTERS),
            status,
            decision,
            guest: guest.map(|digest| format!("{digest:#}")),
            cause: cause.map(|cause| text::beginning(&cause, CHARACTERS)),
        });
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Failure> {
        self.all.iter().cloned()
    }
}
