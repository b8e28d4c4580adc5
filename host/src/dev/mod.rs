//! The loop of a guest's author: when sources change, the guest is built, checked and deployed,
//! and the page in the browser reloads. The page shows an error, and the old guest goes on
//! serving.
//!
//! - [`state`]: the state that pages listen to.
//! - [`problem`]: what is wrong, as pages show it.
//! - [`sources`]: notices changes, and runs the build.

pub mod problem;
pub mod sources;
pub mod state;

pub use state::Dev;
