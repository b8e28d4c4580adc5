//! TLS between transport and the wires.
//!
//! - [`certificates`]: certificates and keys from files, chosen by name, replaced while the server
//!   serves; authorities of clients.
//! - [`challenge`]: the handshake by which an authority sees that a name is this server's.
//! - [`config`]: what connections are secured with.
//! - [`handshake`]: the handshake of a connection; `places`: how many are in progress; `failure`:
//!   why one fails.
//! - [`self_signed`]: a certificate for development, which the server makes.
//! - [`misdirected`]: the hosts that a connection is for.
//! - [`limits`]: how much, how many and how long, each with its reason.

pub mod certificates;
pub mod challenge;
pub mod config;
mod failure;
pub mod handshake;
pub mod limits;
pub mod misdirected;
mod places;
pub mod self_signed;

pub use config::Config;
pub(crate) use failure::Failure;
pub use handshake::Server;
pub use limits::Limits;
pub use misdirected::{Hosts, MISDIRECTED, Misdirection};
pub use self_signed::SelfSigned;
