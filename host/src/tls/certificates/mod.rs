//! Certificates and their keys: read from files, chosen by the name that a client asks for, and
//! replaced in one step when the files change.
//!
//! - [`options`]: which files there are, and what applies to them.
//! - [`pair`]: loads a certificate and its key, by `content` and `pem`; [`leaf`] is what a certificate says,
//!   [`name`] a name that it is for, [`chain`] what is wrong with the certificates behind it.
//! - [`store`]: the certificates that serve; `index` finds those for a name.
//! - [`keeper`]: replaces them when their files change; [`reloads`] is what became of that, `expiry`
//!   warns of those that were not renewed.
//! - [`status`]: what `/status` and metrics tell of them.
//! - [`client`]: who may issue certificates of clients, and what these say.
//! - [`error`]: why a file is not used.

pub mod chain;
pub mod client;
mod content;
pub mod error;
mod expiry;
mod index;
pub mod keeper;
pub mod leaf;
pub mod name;
pub mod options;
pub mod pair;
mod pem;
pub mod reloads;
pub mod status;
pub mod store;

pub use client::ClientAuth;
pub use error::CertificateError;
pub use keeper::Keeper;
pub use options::{ClientAuthorities, ClientPolicy, Options, PairFiles, UnknownName};
pub use pair::Pair;
pub use store::{PairId, Store, UnrecognizedName};
