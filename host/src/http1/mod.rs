//! HTTP/1.1 and 1.0 on one connection (RFC 9112).
//!
//! - [`connection`]: the life of a connection, one request after the other.
//! - [`answer`]: one request becomes a reply: the guest decides, the site gives.
//! - [`head`]: a request's head, found and taken apart.
//! - [`body`]: a request's body, measured and discarded.
//! - [`stream`]: the socket, with a limit on every wait.
//! - [`limits`]: how much, how many and how long, each with its reason.

mod answer;
pub mod body;
pub mod connection;
pub mod head;
pub mod limits;
mod stream;

pub use limits::Limits;
