//! What a guest must pass before its first request.
//!
//! - [`validate`]: compiles a guest, and checks it with its cases.
//! - [`cases`]: files of cases, and their outcomes.
//! - [`check`]: the check; `request_lines`: what it asks; `warnings`: decisions that are allowed
//!   and unwise.
//! - [`report`]: the result for a client that uploaded the guest; [`compare`]: what it decides
//!   differently from the one that serves.
//! - [`error`]: why a guest is not accepted.

pub mod cases;
pub mod check;
pub mod compare;
pub mod error;
pub mod report;
mod request_lines;
pub mod validate;
mod warnings;
