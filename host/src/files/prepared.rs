//! The fields of a response, rendered once for each version of a file.

use std::sync::Arc;

/// Bytes that the fields of a response may have for it to be kept for the next time, and those
/// that were added to them: twice what a policy with a `Content-Security-Policy` has.
pub const PREPARED_BYTES: usize = 1 << 10;

/// The fields of a response.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The status of that response.
    pub status: u16,
    /// Fields of the policy that are among them.
    pub added: Arc<[u8]>,
    /// Field lines: at most [`PREPARED_BYTES`].
    pub lines: Arc<[u8]>,
}
