//! Certificates and their keys: read from files, chosen by the name that a client asks for, and
//! replaced in one step when the files change.
//!
//! - [`options`]: which files there are, and what applies to them.
//! - [`pair`]: loads a certificate and its key, by `pem`; [`leaf`] is what a certificate says,
//!   [`name`] a name that it is for, [`chain`] what is wrong with the certificates behind it.
//! - [`store`]: the certificates that serve; `index` finds those for a name.
//! - [`client`]: who may issue certificates of clients, and what these say.
//! - [`error`]: why a file is not used.

pub mod chain;
pub mod client;
pub mod error;
mod index;
pub mod leaf;
pub mod name;
pub mod options;
pub mod pair;
mod pem;
pub mod store;

pub use client::ClientAuth;
pub use error::CertificateError;
pub use options::{ClientAuthorities, ClientPolicy, Options, PairFiles, UnknownName};
pub use pair::Pair;
pub use store::{PairId, Store, UnrecognizedName};
