//! innkeeper: a static web server whose policy is a WebAssembly component.
//!
//! The guest decides, the host does. This is the host; `wit/policy.wit` is all
//! that the two share. In reading order:
//!
//! - [`cli`]: what was typed becomes [`cli::Arguments`].
//! - [`commands`]: what can be done: serve, test, check, explain.
//! - [`server`]: binds, accepts, counts connections, shuts down.
//! - [`http1`]: one connection, from its first byte to its last. It alone knows
//!   the next four, which do not know one another:
//!   - [`guest`]: loads a guest and asks it for decisions.
//!   - [`files`]: opens files beneath the root.
//!   - [`clients`]: who asks, and how much of the server one of them may have.
//!   - [`reply`]: turns an answer into bytes on the wire.
//! - [`admin`]: for who runs the server: health, metrics, status, another guest.
//! - [`dev`]: the loop of who writes a guest.
//! - [`helper`]: processes that do what the server must not: compile guests.
//! - [`sandbox`] and [`service_manager`]: what the process gives up, and what it tells
//!   systemd.
//! - [`diagnostics`]: events on standard error; [`line_writer`]: the thread that writes lines.
//! - [`panics`] logs and counts them; [`supervise`] restarts what panicked; [`throttle`] bounds
//!   how often an event is logged.
//! - [`in_flight`]: what is held in memory for responses that are being sent.
//! - [`log`], [`metrics`], [`clock`], [`text`], [`cache`], [`named_file`], `send_queue` and
//!   [`disk`] (threads that may wait for one): leaves, which anyone may call and which call no
//!   one.

pub mod admin;
pub mod cache;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod commands;
pub mod dev;
pub mod diagnostics;
pub mod disk;
pub mod files;
pub mod guest;
pub mod helper;
pub mod http;
pub mod http1;
pub mod in_flight;
pub mod line_writer;
pub mod log;
pub mod metrics;
pub mod named_file;
pub mod panics;
pub mod priority;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod service_manager;

pub mod supervise;
pub mod text;
pub mod throttle;
pub mod transport;
