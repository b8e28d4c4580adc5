//! TLS between transport and the wires.
//!
//! - [`certificates`]: certificates and keys from files, chosen by name, replaced while the server
//!   serves; authorities of clients.
//! - [`limits`]: how much, how many and how long, each with its reason.

pub mod certificates;
pub mod limits;

pub use limits::Limits;
