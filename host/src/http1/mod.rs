//! HTTP/1.1 and 1.0 on one connection (RFC 9112): bytes become requests, responses become bytes.
//!
//! - `serve`: the life of a connection, one request after the other; `connection`: what is known
//!   of it.
//! - `read_head`: waits for a request; [`scan`]: where its head ends; [`head`]: what it says;
//!   [`error`]: why it is refused.
//! - `exchange`: one request and its response.
//! - [`request_body`]: a request's body, measured and discarded, `chunk_line` by line; `drain`:
//!   read from the connection.
//! - `write`, [`response_head`]: a response becomes bytes.
//! - `settle`, `delivery`: what the client took of responses; `close`: the end of a connection.
//! - [`limits`]: how much, how many and how long, each with its reason.
//! - [`whole`]: a head that is there as a whole, for `innkeeper explain`.

mod chunk_line;
mod close;
pub(crate) mod connection;
mod delivery;
mod drain;
pub mod error;
mod exchange;
pub mod head;
pub mod limits;
mod read_head;
pub mod request_body;
pub mod response_head;
pub mod scan;
pub(crate) mod serve;
mod settle;
pub mod whole;
mod write;

pub use limits::Limits;

/// How the connections of a server speak HTTP/1.
#[derive(Clone, Debug, Default)]
pub struct Http1 {
    /// The bounds on each connection.
    pub limits: Limits,
    /// Whether each request's head is printed among the diagnostics.
    pub print_heads: bool,
}
