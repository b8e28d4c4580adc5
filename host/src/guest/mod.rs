//! Loads guests, validates them and asks them for decisions.
//!
//! - [`decision`]: the request that a guest is shown, the decisions that it may make, and the
//!   rules that hold for them.
//! - [`runtime`]: compiles and runs guests, within limits. The only code that knows wasmtime.
//! - [`loaded_guest`]: one compiled guest with all that belongs to it, `decision_cache`
//!   among it; `cache_budget`: what all caches of a worker may have; `doorkeeper`: what comes in where that is all
//!   taken.
//! - [`offer`]: what a guest is made of. [`validation`]: what it must pass before its first request.
//! - [`digest`], [`origin`]: which guest, and from where; [`load_error`], [`failure`] and [`trapped`]:
//!   why it was not loaded, or gave no decision, and what it said of that.

mod cache_budget;
mod counters;
pub mod decision;
mod decision_cache;
mod default_guest;
pub mod digest;
mod doorkeeper;
pub mod failure;
pub mod load_error;
pub mod loaded_guest;
pub mod offer;
pub mod origin;
pub mod runtime;
pub mod trapped;
pub mod validation;

pub use decision::ambient::Ambient;
pub use decision::client_buckets::ClientBuckets;
pub use decision::request::{Facts, StatedFacts};
pub use decision::{Candidate, Decision, Otherwise, Page};
pub use default_guest::{DEFAULT_GUEST, RULES_GUEST};
pub use digest::{Digest, Identity};
pub use failure::Failure;
pub use load_error::LoadError;
pub use loaded_guest::{Decided, LoadedGuest};
pub use runtime::engine::{Engine, PreparedEngine};
pub use runtime::isolation::Isolation;
pub use runtime::limits::{DecisionLimits, GuestLimits};
pub use runtime::live::ineligible::Ineligible;
pub use runtime::thread::prepare_thread;
