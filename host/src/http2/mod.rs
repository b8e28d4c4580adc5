//! HTTP/2 on one connection (RFC 9113), over the crate `h2`: frames become requests, responses
//! become frames.
//!
//! - [`limits`]: how much, how many and how long, each with its reason.
//! - `meter`: what a client sends beside its requests, and when that is too much.
//! - `patience`: how long a stream may wait for its client to make room.
//! - `priority`: how urgent a client finds a response; `turns`: which stream sends next.

pub mod limits;
#[allow(dead_code, reason = "the driver that feeds it is still to come")]
mod meter;
#[allow(dead_code, reason = "the driver that asks is still to come")]
mod patience;
#[allow(dead_code, reason = "the driver that asks is still to come")]
mod priority;
#[allow(dead_code, reason = "the driver that asks is still to come")]
mod turns;

pub use limits::Limits;

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
}
