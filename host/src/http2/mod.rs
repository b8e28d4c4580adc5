//! HTTP/2 on one connection (RFC 9113), over the crate `h2`: frames become requests, responses
//! become frames.
//!
//! - [`connection`]: the life of a connection; `drive`: its driver, over `nudge`, `streams` and
//!   `timers`; `shared`: what that and the streams share; `close`,
//!   `end`: its end.
//! - `wire`, `io`: the bytes between `h2` and the socket, with a cork.
//! - `exchange`: one request and its response. `request`: the request; `drain`: its body.
//!   `response`: the head of the response; `body`, `piece`: its body.
//! - [`places`]: how many requests all connections may have in hand.
//! - `settle`: what the client took of responses.
//! - [`limits`]: how much, how many and how long, each with its reason.
//! - `meter`: what a client sends beside its requests, and when that is too much.
//! - `patience`: how long a stream may wait for its client to make room.
//! - `priority`: how urgent a client finds a response; `turns`: which stream sends next.

mod body;
mod close;
pub(crate) mod connection;
mod drain;
mod drive;
mod end;
mod exchange;
mod field_count;
mod flood;
mod io;
pub mod limits;
mod meter;
mod nudge;
mod patience;
mod piece;
pub mod places;
mod priority;
mod request;
pub(crate) mod response;
mod settle;
mod shared;
mod streams;
mod timers;
mod trailers;
mod turns;
mod wire;

use std::sync::Arc;

pub(crate) use body::SMALL_BYTES;
pub use limits::Limits;
pub use places::Places;
pub(crate) use wire::CORK_BYTES;

/// How the connections of a server speak HTTP/2.
#[derive(Clone, Debug, Default)]
pub struct Http2 {
    /// The bounds on each connection.
    pub limits: Limits,
    /// Whether a listener without TLS speaks it to clients that begin with it (RFC 9113, section
    /// 3.3: prior knowledge).
    pub prior_knowledge: bool,
    /// Whether each request's head is printed among the diagnostics.
    pub print_heads: bool,
    /// How many streams all connections may be responding to at a time.
    pub places: Arc<Places>,
}
