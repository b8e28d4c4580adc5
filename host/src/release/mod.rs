//! Puts guests and the files of roots in service, and takes them out again.
//!
//! - [`generation`]: a guest and files; [`active`]: the one that serves, replaced in one step.
//! - [`deploy`]: the entrance: reload, upload, roll back; [`Crew`]: the threads, for all sites.
//!   - [`source`]: where guests come from; [`guest_files`]: files that an operator names;
//!     [`part_file`]: one of them.
//!   - `source_deployer`: from files that change to a guest in service.
//!   - `upload`: from uploaded bytes to a guest in service.
//!   - `root`: where the path of the root leads.
//!   - `activate`: one generation takes the place of another; `retire`: which is freed.
//! - [`history`]: the latest deployments; [`rejected`]: guests that are not tried again.

mod activate;
pub mod active;
mod crew;
pub mod deploy;
pub mod generation;
pub mod guest_files;
pub mod history;
pub mod part_file;
pub mod rejected;
mod retire;
mod root;
pub mod source;
mod source_deployer;
mod upload;

pub use active::Active;
pub use crew::Crew;
pub use generation::Generation;
