//! What one worker counts.

use super::counter::Counter;
use super::labels::Handshake;
use super::served::Served;

/// The counters of one worker. Two cache lines: processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Worker {
    pub(super) accepted: Counter,
    pub(super) closed: Counter,
    /// Requests that arrived whole, and responses that were sent or given up.
    pub(super) begun: Counter,
    pub(super) done: Counter,
    /// How often a client was found not to have taken what was sent, and had taken it or was
    /// gone.
    pub(super) untaken: Counter,
    pub(super) taken: Counter,
    /// Streams of HTTP/2 for which there was no place.
    pub(super) refused_streams: Counter,
    pub(super) handshakes: [Counter; Handshake::NAMES.len()],
    /// Responses of no site that is counted apart.
    pub(super) served: Served,
}

/// Counts a connection as open until it is dropped.
pub struct OpenConnection<'a>(pub(super) &'a Worker);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}

/// Counts a request as active until it is dropped.
pub struct ActiveRequest<'a>(pub(super) &'a Worker);

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.done.add(1);
    }
}

/// Counts a connection as one whose client has not taken what was sent, until it is dropped.
pub struct WritingConnection<'a>(pub(super) &'a Worker);

impl Drop for WritingConnection<'_> {
    fn drop(&mut self) {
        self.0.taken.add(1);
    }
}
