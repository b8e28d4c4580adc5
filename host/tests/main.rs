//! The server as a whole, over real sockets.
//!
//! - `wire`: conversations in `wire/*.txt`, which anyone can read and add.
//! - `limits`: every wait and every size has its bound.
//! - `files`: what is sent, and what is never sent.
//! - `representations`: in which form it is sent: conditions, ranges, encodings.
//! - `guests`: guests that misbehave, each in its way.
//! - `swaps`: guests that are replaced while they serve.
//! - `commands`: what can be done with a guest besides serving it.
//! - `program`: the binary as a user types it.
//! - `operations`: how it is run in production: settings, logs, restarts, what it gives up.
//! - `fuzz`: what the fuzzers of `host/fuzz` hold, for some seconds.
//! - `dev`: the loop of who writes a guest.
//! - `documents`: what is written about it leads somewhere, in both languages.
//! - `admin`: what it tells who runs it, and lets them change.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "in a test, a panic that names its line is the report"
)]

mod fixture;
mod running;
mod wat_guest;

mod admin;
mod commands;
mod dev;
mod documents;
mod files;
mod fuzz;
mod guests;
mod limits;
mod operations;
mod program;
mod representations;
mod swaps;
mod wire;
