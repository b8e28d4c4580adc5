//! innkeeper's default policy: which file answers a request line.
//!
//! Everything here is a pure function of its input and runs natively, so that
//! `cargo test -p guest` tests the whole policy without a server and without
//! wasm. In reading order:
//!
//! - [`decide`]: request line in, decision out. The policy, on one screen.
//! - [`decision`]: what a policy may decide.
//! - [`request`]: the request line, taken apart (RFC 9112, section 3).
//! - [`path`]: the path of a URL, decoded and resolved (RFC 3986, section 5.2.4).
//!
//! Compiled for wasm only: `component` binds all that to `wit/policy.wit`, and
//! `arena` is where its memory comes from.
//!
//! Another guest can build on this crate; without its feature `component` it is a
//! library (`guest/examples/spa` shows how).

#[cfg(target_arch = "wasm32")]
mod arena;
#[cfg(all(target_arch = "wasm32", feature = "component"))]
mod component;

pub mod decide;
pub mod decision;
pub mod path;
pub mod request;
