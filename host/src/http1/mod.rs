//! HTTP/1.1 and 1.0 on one connection (RFC 9112).
//!
//! - [`connection`]: the life of a connection, one request after the other.
//! - `introduction`: what comes before the first.
//! - [`answer`]: one request becomes a reply: the guest decides, the site gives.
//! - [`explain`]: the same, with its reasons.
//! - [`representation`]: a file becomes a reply: conditions, ranges.
//! - `accept`: which form of a listing a client prefers; `location`: where it is sent.
//! - `fields`: what a guest adds to a reply.
//! - `transmission`: how a reply gets on the wire.
//! - [`scan`]: where a request's head ends.
//! - [`head`]: what it says; [`fault`]: why it is refused.
//! - [`body`]: a request's body, measured and discarded.
//! - `stream`: the socket, with a limit on every wait; `alarm`: the timer of these waits.
//! - `taking`: how a connection waits for its client to take what was sent.
//! - `progress`: what a client takes of what is sent to it.
//! - [`turns`]: the order in which connections send; `unsent`: how much the kernel holds for each.
//! - `account`: what a request and its answer came to, for log and metrics.
//! - [`limits`]: how much, how many and how long, each with its reason.

mod accept;
mod account;
mod alarm;
mod answer;
pub mod body;
pub mod connection;
pub mod explain;
pub mod fault;
mod fields;
pub mod head;
mod introduction;
pub mod limits;
mod location;
mod progress;
mod representation;
pub mod scan;
mod stream;
mod taking;
mod transmission;
pub mod turns;
mod unsent;

pub use limits::Limits;
pub use unsent::UNSENT_BYTES;
