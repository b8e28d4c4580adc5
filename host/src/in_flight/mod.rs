//! Bytes in memory that responses are sent from: one copy of equal contents, and a bound on all of
//! them.
//!
//! A client that takes its response slowly, or not at all, keeps the bytes of it. The cache that they
//! came from has its own bound, and may have dropped them meanwhile; so contents that are being
//! sent are counted here, each once. When they are too many, files are sent from the disk and
//! uncompressed, and the response for a content that has no other form is 503.
//!
//! - `count`: the bytes that are being sent, and their bound.
//! - `share`: the part of one site, where there are several.
//! - `shared_bytes`: the contents.

mod count;
mod share;
mod shared_bytes;

pub use count::{FILES, InFlight, MAX_FILE_BYTES, MAX_REPLY_BYTES, REPLIES};
pub use share::Share;
pub use shared_bytes::{SMALL_BYTES, Sending, SharedBytes, WeakBytes};
