//! What innkeeper holds against inputs that nobody thought of: the bodies of the fuzz
//! targets. Each takes any bytes, and panics if something does not hold.
//!
//! - [`head`]: heads and framing, against [`reference::request`].
//! - [`path`]: what a path opens beneath the root, against [`reference::walk`].
//! - [`fields`]: ranges, conditions, codings, against [`reference::fields`].
//! - [`decide`]: the default policy, natively and as wasm.
//! - [`load`]: bytes that are, or are not, a guest.
//! - [`live`]: guests whose instances are put back, and fresh ones.
//! - [`connection`]: whole connections, however their bytes are split.
//! - [`records`]: the same over TLS, in records of any size.
//! - [`frames`]: HTTP/2.
//! - [`rules`]: files of rules, and what is decided by them.
//!
//! They are also run by `host/tests/fuzz.rs`, on stable Rust and for some seconds: so
//! everything here is named by `super` and needs no fuzzer, and what needs more of wasm-smith than
//! [`modules`] does is in a file of its own, [`smith`], which that test does without.

pub mod connection;
pub mod decide;
pub mod fields;
pub mod frames;
pub mod head;
pub mod live;
pub mod load;
pub mod modules;
pub mod path;
pub mod pieces;
pub mod records;
pub mod reference;
pub mod rules;
pub mod smith;
