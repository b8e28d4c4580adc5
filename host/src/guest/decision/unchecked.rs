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
    Serve {
        candidates: Vec<UncheckedCandidate>,
        otherwise: Option<UncheckedRedirect>,
        fields: Vec<Field>,
    },
    NotFound,
    Redirect(UncheckedRedirect),
    Reply {
        status: u16,
        fields: Vec<Field>,
        body: Vec<u8>,
    },
}

/// A candidate of [`Unchecked::Serve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct UncheckedCandidate {
    pub(in crate::guest) page: UncheckedPage,
    pub(in crate::guest) status: u16,
    pub(in crate::guest) location: Option<String>,
    pub(in crate::guest) fields: Vec<Field>,
}

/// The page of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum UncheckedPage {
    Index(String),
    File(String),
}

/// Elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct UncheckedRedirect {
    pub(in crate::guest) status: u16,
    pub(in crate::guest) location: String,
    pub(in crate::guest) fields: Vec<Field>,
}
