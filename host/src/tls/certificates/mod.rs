//! Certificates and their keys: read from files, chosen by the name that a client asks for, and
//! replaced in one step when the files change.
//!
//! - [`options`]: which files there are, and what applies to them.

pub mod options;

pub use options::{ClientAuthorities, ClientPolicy, Options, PairFiles, UnknownName};
