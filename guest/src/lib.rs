//! innkeeper's default policy, and the parts to build a policy of your own.
//!
//! A policy is a type with one function, and a guest is a library that exports one policy:
//!
//! ```
//! use innkeeper_guest::{Candidate, Decision, DefaultPolicy, Policy, Request, Serve};
//!
//! /// The site in the client's favourite colour.
//! pub struct Colours;
//!
//! impl Policy for Colours {
//!     const INTERESTS: &'static [&'static str] = &["x-colour"];
//!
//!     fn decide(request: &Request) -> Decision {
//!         match (DefaultPolicy::decide(request), request.value("x-colour")) {
//!             (Decision::File(path), Some("red")) => {
//!                 let red = Candidate::file(["red/", &path].concat());
//!                 Serve::first_of([red, Candidate::file(path)]).with("vary", "x-colour").into()
//!             }
//!             (decision, _) => decision,
//!         }
//!     }
//! }
//!
//! innkeeper_guest::export!(Colours);
//! ```
//!
//! `guest/examples` has more guests, each with its `Cargo.toml`. Everything here is a
//! pure function of its input and runs natively, so `cargo test` tests a whole policy
//! without a server and without wasm. In reading order:
//!
//! - [`decide`](mod@decide): the default policy, on one screen: request line in,
//!   decision out.
//! - [`policy`]: the trait of a policy, and [`export!`].
//! - [`request`]: what a policy sees of a request.
//! - [`decision`]: what a policy may decide.
//! - [`contract`]: the limits of a decision.
//! - [`line`](mod@line): the request line, parsed (RFC 9112, section 3).
//! - [`path`]: the path of a URL, decoded and resolved (RFC 3986, section 5.2.4).
//! - [`query`], [`cookie`], [`negotiation`], [`origin`], [`network`], [`basic_auth`], [`base64`]: what
//!   else policies go by, each usable alone.
//! - [`pattern`]: patterns of paths, `/a/:name/*`.
//! - `rules`, with the feature of that name: rules as data, and the policy that decides by them.
//! - [`development`] and [`say!`]: what a policy says to its author.
//! - `testing`, with the feature of that name: checks for the unit tests of a policy.
//!
//! Two modules are compiled for wasm only: `component` binds a policy to
//! `wit/policy.wit`, and `arena` allocates memory.

#[cfg(target_arch = "wasm32")]
mod arena;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
pub mod development;

pub mod base64;
pub mod basic_auth;
pub mod contract;
pub mod cookie;
pub mod decide;
pub mod decision;
pub mod line;
pub mod negotiation;
pub mod network;
pub mod origin;
pub mod path;
pub mod pattern;
mod percent;
pub mod policy;
pub mod query;
pub mod request;
#[cfg(feature = "rules")]
pub mod rules;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decide::DefaultPolicy;
pub use decision::{Candidate, Decision, Field, Page, Redirect, Reply, Serve};
pub use line::{RequestLine, Target};
pub use path::SitePath;
pub use policy::{Configure, Policy};
pub use request::Request;
