//! What a guest must pass before its first request.
//!
//! - [`validate`]: compiles a guest, and checks it with its cases.
//! - [`cases`]: files of cases, and their outcomes.
//! - [`check`]: the check; `request_lines`, `trials` with their `field_values`: what it asks;
//!   `twice`: it asks twice; `warnings`: decisions that are allowed and unwise.
//! - [`report`]: the result for a client that uploaded the guest; [`compare`]: what it decides
//!   differently from the one that serves.
//! - [`error`]: why a guest is not accepted.

pub mod cases;
pub mod check;
pub mod compare;
pub mod error;
mod field_values;
pub mod live_proof;
pub mod make_live;
pub mod report;
mod request_lines;
mod trials;
mod twice;
pub mod validate;
mod warnings;
