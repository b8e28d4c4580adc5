//! innkeeper: a static web server whose policy is a WebAssembly component.
//!
//! The guest decides, the host does. This is the host; `wit/policy.wit` is all that the two
//! share. `ARCHITECTURE.md` is the map. From the outside to the inside:
//!
//! - [`commands`]: serve, check, test, explain and the others. [`cli`]: flags, environment and
//!   file become settings.
//! - [`server`]: accepts connections and chooses their wire. [`admin`]: the admin API. [`dev`]:
//!   `innkeeper dev`.
//! - [`tls`]: certificates, and TLS between transport and the wires.
//! - [`http1`]: the wire. Bytes become requests, responses become bytes. [`transport`]: what every
//!   wire needs of a socket.
//! - [`service`]: the core. A request becomes a response.
//! - [`rules`]: rules as users write them become a table, which is data for a guest.
//! - [`release`]: puts guest and files in service, in one step.
//! - [`guest`]: loads and validates guests, and asks them for decisions. [`files`]: opens
//!   and describes files beneath a root. [`clients`]: trusted proxies, and the limits of a client.
//! - [`http`]: requests and responses as every version of HTTP means them.
//! - [`acme`]: certificates of an authority: ordered, renewed, handed over as files.
//! - [`helper`]: processes that do what the server must not: compile guests. [`sandbox`]: what a
//!   process gives up.
//! - Leaves, which all others may use and which use none of them: [`log`], [`metrics`],
//!   [`diagnostics`], [`line_writer`], [`panics`], [`supervise`], [`throttle`], [`disk`],
//!   [`in_flight`], [`cache`], [`clock`], [`fair_queue`], [`file_watch`], [`named_file`], [`secret_file`],
//!   [`priority`], [`random`], [`service_manager`], [`text`], [`html`], [`lock`],
//!   [`unprivileged`].

pub mod acme;
pub mod admin;
pub mod cache;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod commands;
pub mod dev;
pub mod diagnostics;
pub mod disk;
pub mod fair_queue;
pub mod file_watch;
pub mod files;
pub mod foreign_pattern;
pub mod guest;
pub mod helper;
pub mod html;
pub mod http;
pub mod http1;
pub mod http2;
pub mod in_flight;
pub mod line_writer;
pub mod lock;
pub mod log;
pub mod metrics;
pub mod named_file;
pub mod panics;
pub mod priority;
pub mod random;
pub mod release;
pub mod rules;
pub mod sandbox;
pub mod secret_file;
pub mod server;
pub mod service;
pub mod service_manager;
pub mod supervise;
pub mod text;
pub mod throttle;
pub mod tls;
pub mod transport;
pub mod unprivileged;
