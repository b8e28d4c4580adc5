//! The server as a whole, over real sockets.
//!
//! - `wire`: conversations in `wire/*.txt`, which anyone can read and add.
//! - `hostile`: requests in `hostile/*.txt` that want to be misread, and how each is answered.
//! - `limits`: every wait and every size has its bound.
//! - `memory`: what crowds that read nothing take of it.
//! - `rude`: clients that keep the server busy with little, and those that reset.
//! - `slow_readers`: clients that take what they are sent slowly, or not at all.
//! - `clients`: what one address may have, and whom a proxy asks for.
//! - `files`: what is sent, and what is never sent.
//! - `versions`: what tells two versions of a file apart.
//! - `representations`: in which form it is sent: conditions, ranges, encodings.
//! - `guests`: guests that misbehave, each in its way.
//! - `examples`: guests that do what they are examples of.
//! - `cases`: tables of cases, judged by the host and by the unit tests of a policy.
//! - `contract`: guests of every published version of the contract go on working.
//! - `swaps`: guests that are replaced while they serve.
//! - `compiler`: guests that take long to compile, and the processes that compile them.
//! - `commands`: what can be done with a guest besides serving it.
//! - `program`: the binary as a user types it.
//! - `escaping`: names that would forge a line or command a terminal.
//! - `inherited`: sockets that a service manager hands over.
//! - `operations`: how it is run in production: settings, logs, restarts, what it gives up.
//! - `fuzz`: what the fuzzers of `host/fuzz` hold, for some seconds.
//! - `dev`: the loop of who writes a guest.
//! - `architecture`: who may use whom in `host/src`.
//! - `documents`: links lead somewhere, names exist, and the manual has all of them.
//! - `tables`: every table in the repository is TOML 1.0.
//! - `panics`: what a fault of its own costs.
//! - `failing_machine`, `failing_memory` and `failing_disk`: what those of the machine cost.
//! - `log_events`: the form of what it logs.
//! - `waiting_disk`: a file system that takes its time, or never answers.
//! - `admin`: what it tells who runs it, and lets them change.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "in a test, a panic that names its line is the report"
)]

mod faulty_calls;
mod fixture;
mod fuse;
mod running;
mod skip;
mod wat_guest;

mod admin;
mod architecture;
mod cases;
mod check_config;
mod clients;
mod commands;
mod compiler;
mod contract;
mod dev;
mod documents;
mod escaping;
mod examples;
mod failing_disk;
mod failing_machine;
mod failing_memory;
mod files;
mod fuzz;
mod guests;
mod hostile;
mod inherited;

mod limits;
mod log_events;
mod memory;
mod operations;
mod panics;
mod program;
mod representations;
mod rude;
mod slow_readers;
mod swaps;
mod tables;
mod versions;
mod waiting_disk;
mod wire;
mod without_wire;
