//! Loads guests and asks them for decisions. The only code that knows wasmtime.
//!
//! - [`engine`] and `clock`: compile guests, bound what a running one may use.
//! - [`compiler`]: has guests compiled, by helpers.
//! - [`code_cache`]: compiled guests, kept on disk; `functions`: parts of one that is edited.
//! - `heap`: what compiling leaves is given back.
//! - [`contract`]: which guests are understood.
//! - [`load`]: bytes in one of three forms become a component.
//! - [`generation`]: one loaded guest, with all that belongs to it.
//!   - `digest`: tells it from others.
//!   - `instance`: runs it once.
//!   - [`interests`]: what of a request it reads.
//!   - [`decision`] and [`rules`]: what it decided, checked against the rules of
//!     `wit/policy.wit`.
//!   - `memory`: decisions that it made before.
//!   - `pace`: how long they take; `lanes`: where those are made that take long.
//! - `thread`: what a thread needs to run guests.
//! - `sentence`: what is wrong with a guest, on one line.
//! - [`cases`] and [`check`]: what a guest must pass before its first request; `warnings`:
//!   what it had better not do.
//! - [`serving`]: the generation that serves, and its replacement in one step.
//!   - [`history`]: what became of the guests that were to serve.
//!   - [`unfit`]: those that are not tried again.
//! - [`prove`]: whether a guest is fit to serve.
//! - [`swap`]: whoever wants another guest to serve is heard here.
//!   - `file_swap`, [`source`] and `watch`: from a file that changes to a generation that
//!     serves.
//!   - `hand_over`: from bytes that somebody hands over to one.
//!   - `succession`: one takes the place of another, which is freed.
//!   - [`trial`]: what is found out about a guest that somebody hands over.

pub mod cases;
pub mod check;
mod clock;
pub mod code_cache;
pub mod compiler;
pub mod contract;
pub mod decision;
mod digest;
pub mod engine;
mod file_swap;
mod functions;
pub mod generation;
mod hand_over;
mod heap;
pub mod history;
mod instance;
pub mod interests;
mod lanes;
pub mod load;
mod memory;
mod pace;
pub mod prove;
pub mod rules;
mod sentence;
pub mod serving;
pub mod source;
mod succession;
pub mod swap;
mod thread;
pub mod trial;
pub mod unfit;
mod warnings;
mod watch;

pub use decision::{Candidate, Decision, Field, Fields};
pub use digest::Digest;
pub use engine::{Engine, GuestLimits, PreparedEngine};
pub use generation::{Decided, Generation};
pub use instance::Failure;
pub use interests::Facts;
pub use serving::Serving;
pub use thread::prepare_thread;

/// The default policy: the component that the build script made of `guest/`.
pub const DEFAULT_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_DEFAULT_GUEST"));

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "guest" });
}
