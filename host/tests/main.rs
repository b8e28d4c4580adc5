//! The program as a whole, over real sockets.
//!
//! Requests and responses:
//!
//! - `wire`: conversations in `wire/*.txt`, which everyone can read and add to; `without_wire`: the
//!   same with the service alone.
//! - `hostile`: requests in `hostile/*.txt` that could be misread, and the response to each;
//!   `hostile_http2`: frames that only HTTP/2 can express.
//! - `sites`: small sites as generators make them, with one flag or none.
//! - `several_sites`: sites by their hosts, replaced while they serve, and a flood of one beside another.
//! - `files`: files, and what is never sent. `versions`: what differs between two versions of a
//!   file. `representations`: conditions, ranges, encodings. `pages`: listings, and what is said about
//!   failures.
//! - `limits`: every wait and every size has its bound. `memory`: of crowds that read nothing.
//! - `http2_patience`, `http2_floods`: slow and greedy clients of HTTP/2, what comes first, and what
//!   is too much.
//! - `over_tls`: what differs over TLS. `https`: what policies learn of it, and how clients are
//!   brought to it.
//! - `rude`, `slow_readers`: clients that keep the server busy, reset, or read slowly. `clients`:
//!   what one client may have, and trusted proxies.
//! - `certificates`: certificates from files, and how they are replaced; `rotations`: under load, in
//!   the sandbox.
//!
//! Guests:
//!
//! - `guests`: guests that misbehave, each in its way. `examples`: guests that do not.
//! - `cases`, `tables`: tables of cases, and that each table in the repository is TOML 1.0.
//! - `handshakes`: what TLS handshakes are bounded by. `tls_stream`: content over TLS.
//! - `configuration`: guests that are configured by data.
//! - `contract`: guests of every published version of the contract go on working.
//! - `swaps`: guests that are replaced while they serve; `data`: data of guests, too. `compiler`: the processes that compile
//!   them. `dev`: `innkeeper dev`.
//!
//! The program:
//!
//! - `program`, `commands`, `check_config`: the command line; `newcomer`: what its first user types. `admin`: the admin API.
//! - `operations`: settings, logs, restarts, the sandbox. `log_events`, `escaping`, `access_log`: the form of
//!   what is logged. `inherited`: sockets of a service manager; `unix_sockets`: those
//!   in the file system.
//! - `panics`: its own faults. `failing_machine`, `failing_memory`, `failing_disk`, `waiting_disk`:
//!   those of the machine.
//!
//! The repository:
//!
//! - `architecture`: which module may use which in `host/src`.
//! - `documents`: links lead somewhere, names exist, and the manual has all of them.
//! - `fuzz`: the properties of the fuzzers in `host/fuzz`, for some seconds.
//!
//! And `authority`, `fixture`, `running`, `http2_client`, `fuse`, `faulty_calls`, `wat_guest`: what
//! these share; `skip`: tests that a machine cannot run.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "in a test, a panic that names its line is the report"
)]

mod as_http2;
mod authority;
mod corpus;
mod deciding_guest;
mod faulty_calls;
mod fixture;
mod fuse;
mod http2_client;
mod rules;
mod running;
mod skip;
mod wat_guest;

mod access_log;
mod acme;
mod admin;
mod admin_requests;
mod architecture;
mod cases;
mod certificates;
mod check_config;
mod clients;
mod commands;
mod compiler;
mod configuration;
mod configured_sites;
mod contract;
mod data;
mod decisions;
mod dev;
mod documents;
mod escaping;
mod examples;
mod facts;
mod failing_disk;
mod failing_machine;
mod failing_memory;
mod files;
mod fuzz;
mod guests;
mod handshakes;
mod hostile;
mod hostile_http2;
mod http2;
mod http2_floods;
mod http2_patience;
mod https;
mod inherited;

mod limits;
mod live;
mod log_events;
mod memory;
mod newcomer;
mod operations;
mod over_tls;
mod own_files;
mod pages;
mod panics;
mod program;
mod representations;
mod roots;
mod rotations;
mod rude;
mod several_sites;
mod site_rules;
mod sites;
mod slow_readers;
mod swaps;
mod tables;
mod tls_stream;
mod unix_sockets;
mod versions;
mod waiting_disk;
mod wire;
mod without_wire;
