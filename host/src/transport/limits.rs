//! How long: the bounds on a connection, whatever wire is spoken on it.

use std::time::Duration;

/// The bounds on one connection. Their defaults serve every browser and tool that we know, and
/// starve the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a connection to the first byte of its first request.
    /// Browsers open connections ahead and may not use them at once.
    pub first_byte: Duration,
    /// From the first byte of a head to its last, and for a PROXY header. Even 32 KiB at the
    /// speed of an old telephone line take less.
    pub head: Duration,
    /// For the whole of a request's body.
    pub body: Duration,
    /// From a response to the first byte of the next request: as long as
    /// nginx waits.
    pub idle: Duration,
    /// For the client to take some bytes of its response. Progress counts, not the
    /// total: a large file on a slow line takes as long as it takes. A client whose kernel
    /// acknowledges rarely has up to six times as long (`progress.rs`).
    pub stall: Duration,
    /// From the closing of our half of a connection to that of the client's. A
    /// client that is still sending reads its response meanwhile, instead of a
    /// reset (RFC 9112, section 9.6). As long as nginx waits: some send all of a body
    /// before they read.
    pub drain: Duration,
    /// The same, for a client that sends nothing: as long as nginx waits.
    pub drain_silence: Duration,
    /// The same, when the server stops.
    pub drain_at_stop: Duration,
    /// When the server stops: for a connection that had a request so lately, for one
    /// more. The client may be sending it, and a server that closed now would leave it to
    /// guess (RFC 9112, section 9.5). A busy client's next one comes within milliseconds.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            first_byte: Duration::from_secs(30),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            drain_silence: Duration::from_secs(5),
            drain_at_stop: Duration::from_secs(2),
            linger: Duration::from_secs(1),
        }
    }
}
