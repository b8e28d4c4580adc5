//! The fields of a response, kept with the file that it sends.

use crate::http::Fields;

/// Bytes of memory that the fields of a response may take to be kept, and those of the guest
/// among them: some sixteen fields, as a policy with all security fields has.
pub const KEPT_FIELDS_BYTES: usize = 1536;

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
