//! The fields of a response, kept with the file that it sends.

use crate::http::Fields;

/// Bytes that the fields of a response may have to be kept, and those of the guest among them:
/// twice what a policy with a `Content-Security-Policy` has.
pub const KEPT_FIELDS_BYTES: usize = 1 << 10;

/// The fields of a response that sends a file, kept for the next one like it.
#[derive(Clone, Debug)]
pub struct KeptFields {
    /// The status of the response.
    pub status: u16,
    /// The fields of the guest among them.
    pub added: Fields,
    /// All of them, of at most [`KEPT_FIELDS_BYTES`].
    pub fields: Fields,
}
