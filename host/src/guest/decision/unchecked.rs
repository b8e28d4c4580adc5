//! A decision as a guest returned it: no rule of the contract has been applied yet.
//!
//! The types are ours and the same for each version of the contract, so that the rules do not
//! depend on the version that a guest was made for.

use super::Field;

/// The cases of `wit/policy.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Unchecked {
    Index(String),
    File(String),
    Serve { candidates: Vec<UncheckedCandidate>, status: u16, fields: Vec<Field> },
    NotFound,
    Redirect { status: u16, location: String, fields: Vec<Field> },
    Reply { status: u16, fields: Vec<Field>, body: Vec<u8> },
}

/// A candidate of [`Unchecked::Serve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum UncheckedCandidate {
    Index(String),
    File(String),
}
