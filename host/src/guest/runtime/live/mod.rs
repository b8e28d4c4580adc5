//! Live guests: an instance stays, and is put back to what it was after each decision, which takes a
//! tenth of the time of making a new one. The next decision finds what it would find in a fresh
//! instance; whatever cannot be put back, or is not certain, is decided on a fresh one.
//!
//! - [`source`]: what a live form is made of. [`rewrite`]: a component becomes one core module that
//!   leaves marks. `links`: the core instances that it makes; `merge`: one module of theirs; `shape`: what of it has to be known; `effects`:
//!   what its instructions change; [`ineligible`]: why not; `instrument`: its stores are preceded by
//!   marks; `added`: functions that are added; `layout`: where marks and requests are.
//! - [`code`]: machine code of that, with what is to be known of it.
//! - [`guest`]: a guest whose instances stay; `instance`: one of them; `lift`: reads its decision;
//!   [`instances`]: those that a worker has.
//!
//! Why this is as safe as a fresh instance is told in `docs/security.md`.

mod added;
pub(super) mod code;
mod effects;
pub(in crate::guest) mod guest;
mod index;
pub mod ineligible;
mod instance;
pub mod instances;
mod instrument;
mod layout;
mod lift;
mod links;
mod merge;
pub(super) mod rewrite;
pub mod shape;
pub(in crate::guest) mod source;
#[cfg(test)]
mod tests;
