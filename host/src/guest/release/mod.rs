//! Puts guests in service, and takes them out again.
//!
//! - [`active`]: the guest that serves, replaced in one step.
//! - [`deploy`]: the entrance: reload, upload, roll back.
//!   - [`source`] and `file_deployer`: from a file that changes to a guest in service.
//!   - `upload`: from uploaded bytes to a guest in service.
//!   - `activate`: one guest takes the place of another, which is freed.
//! - [`history`]: the latest deployments; [`rejected`]: guests that are not tried again.

mod activate;
pub mod active;
pub mod deploy;
mod file_deployer;
pub mod history;
pub mod rejected;
pub mod source;
mod upload;
