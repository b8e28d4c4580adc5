//! The version of the contract between host and guest, `wit/policy.wit`.
//!
//! A guest's export names the version that it was made for. A published version never
//! changes, and as the host goes by the component model's rule for versions, 0.1.0 also
//! stands for every later 0.1.x. When 0.2.0 comes, its bindings stand beside those of
//! 0.1.0: both are turned into the same [`Decision`](crate::guest::decision::Decision), and a
//! loaded guest knows which of the two it speaks. `host/tests/contract` keeps guests of each
//! published version.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::text;

/// What a guest exports.
pub const INTERFACE: &str = "innkeeper:policy/policy@0.1.0";

/// Why a component does not fit the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractError {
    /// It was made for this version, which is not supported. Escaped.
    OtherVersion(String),
    /// It does not export [`INTERFACE`], or with other types; wasmtime's message.
    NotExported(String),
    /// An import cannot be stubbed; wasmtime's message.
    Import(String),
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContractError::OtherVersion(other) => {
                let (_, version) = parts();
                write!(
                    f,
                    "the guest was made for version {other} of the contract, and this innkeeper \
                     supports {}.x; build it with wit/policy.wit of version {version}, or use \
                     another innkeeper",
                    minor(version)
                )
            }
            ContractError::NotExported(why) => {
                write!(f, "the guest does not export the world `guest` of wit/policy.wit: {why}")
            }
            ContractError::Import(why) => {
                write!(f, "the guest imports what cannot be stubbed: {why}")
            }
        }
    }
}

impl std::error::Error for ContractError {}

/// Why a component that does not export [`INTERFACE`] does not.
pub(super) fn mismatch(
    component: &Component,
    engine: &Engine,
    error: wasmtime::Error,
) -> ContractError {
    let (name, version) = parts();
    let exports = component.component_type();
    let other = exports
        .exports(engine)
        .filter_map(|(export, _)| export.strip_prefix(name)?.strip_prefix('@'))
        .find(|other| minor(other) != minor(version));
    match other {
        Some(other) => ContractError::OtherVersion(text::short_name(other)),
        None => ContractError::NotExported(text::error_line(error)),
    }
}

/// The name of the interface, and its version.
fn parts() -> (&'static str, &'static str) {
    INTERFACE.split_once('@').expect("the interface has a version")
}

/// What of a version has to be equal, as long as the first number is 0.
fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}
