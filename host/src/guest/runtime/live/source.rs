//! What a live form is made of.

use crate::guest::digest::Digest;

/// What the live form of a guest is made of.
#[derive(Clone, Copy)]
pub(in crate::guest) struct Source<'a> {
    /// The guest, and the data that it is configured with.
    pub(in crate::guest) guest: &'a [u8],
    pub(in crate::guest) data: Option<&'a [u8]>,
    /// The digest of both.
    pub(in crate::guest) digest: Digest,
}
