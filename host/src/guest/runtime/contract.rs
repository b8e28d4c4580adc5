//! The version of the contract between host and guest, `wit/policy.wit`.
//!
//! A guest's export names the version that it was made for. A published version never
//! changes, and as the host goes by the component model's rule for versions, 0.1.0 also
//! stands for every later 0.1.x. When 0.2.0 comes, its bindings stand beside those of
//! 0.1.0: both are turned into the same [`Decision`](crate::guest::decision::Decision), and a
//! loaded guest knows which of the two it speaks. `host/tests/contract` keeps guests of each
//! published version.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::sections::exports;
use crate::text;

/// Exports that a message names.
const SHOWN: usize = 5;

/// What a guest exports.
pub const INTERFACE: &str = "innkeeper:policy/policy@0.1.0";

/// Why a component does not fit the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractError {
    /// It was made for this version, which is not supported. Escaped.
    OtherVersion(String),
    /// It does not export [`INTERFACE`], or with other types: wasmtime's message.
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

impl ContractError {
    /// The same with texts of one line that are not too long.
    pub(super) fn bounded(self) -> ContractError {
        match self {
            ContractError::OtherVersion(version) => {
                ContractError::OtherVersion(text::short_name(&version))
            }
            ContractError::NotExported(why) => ContractError::NotExported(text::error_line(why)),
            ContractError::Import(why) => ContractError::Import(text::error_line(why)),
        }
    }
}

/// Whether a component exports [`INTERFACE`], by name: what is no guest is not compiled first, which
/// may take half a minute. Types are compared when it is linked.
pub(super) fn check_exports(component: &[u8]) -> Result<(), ContractError> {
    let Some(names) = exports(component) else { return Ok(()) };
    let (name, version) = parts();
    let versions = names.iter().filter_map(|export| export.strip_prefix(name)?.strip_prefix('@'));
    let mut others = versions.clone().filter(|other| minor(other) != minor(version));
    if versions.count() > others.clone().count() {
        return Ok(());
    }
    if let Some(other) = others.next() {
        return Err(ContractError::OtherVersion(text::short_name(other)));
    }
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| text::short_name(name)).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    Err(ContractError::NotExported(match names.is_empty() {
        true => "it exports nothing".to_owned(),
        false => format!("it exports {}{more}, and not {INTERFACE}", shown.join(", ")),
    }))
}

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
