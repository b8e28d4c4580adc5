//! What a guest must pass before its first request.
//!
//! - [`validate`]: compiles a guest, and checks it with its cases.
//! - [`check`]: the check itself; `warnings`: decisions that are allowed and unwise.
//! - [`report`]: the result for whoever uploaded the guest.

pub mod check;
pub mod report;
pub mod validate;
mod warnings;
