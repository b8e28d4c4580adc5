//! TLS between transport and the wires.
//!
//! - [`certificates`]: certificates and keys from files, chosen by name, replaced while the server
//!   serves; authorities of clients.

pub mod certificates;
