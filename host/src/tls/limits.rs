//! How many, how large and how long: the bounds on TLS handshakes.

use std::num::NonZeroU32;
use std::time::Duration;

/// The bounds on the handshakes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a connection to the end of its handshake: two exchanges of messages.
    pub handshake: Duration,
    /// Handshakes at a time, of all workers. Each holds buffers that an idle connection does not.
    pub handshakes: NonZeroU32,
    /// Bytes that a client may send in one. Most send 2 KiB, with the post-quantum key exchange;
    /// a chain of certificates of its own adds up to some 10 KiB.
    pub handshake_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(10),
            handshakes: NonZeroU32::new(4096).expect("is not zero"),
            handshake_bytes: 64 << 10,
        }
    }
}
