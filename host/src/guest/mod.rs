//! Loads guests and asks them for decisions. The only code that knows wasmtime.
//!
//! - [`engine`]: compiles guests, bounds what a running one may use.
//! - `load`: bytes in one of three forms become a component.
//! - [`generation`]: one loaded guest, and the call for a decision.
//! - `memory`: decisions that were made before.
//! - [`decision`]: what it decided, checked against the rules of `wit/policy.wit`.

pub mod decision;
pub mod engine;
pub mod generation;
mod load;
mod memory;

pub use decision::{Candidate, Decision, Field};
pub use engine::{Engine, GuestLimits};
pub use generation::{Facts, Failure, Generation};

/// The default policy: the component that the build script made of `guest/`.
pub const DEFAULT_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_DEFAULT_GUEST"));

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "guest" });
}
