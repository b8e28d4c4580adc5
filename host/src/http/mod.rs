//! What every version of HTTP has in common: no I/O, no wire, no policy.
//!
//! - [`method`], [`status`]: what is asked for, and how it is answered.
//! - [`token`], [`host`]: what names and authorities may hold.
//! - [`peer`]: the other end of a connection.

pub mod host;
pub mod method;
pub mod peer;
pub mod status;
pub mod token;

pub use method::Method;
pub use peer::{Peer, Subnet};
