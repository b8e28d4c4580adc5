//! The version of the contract between host and guest, `wit/policy.wit`.
//!
//! A guest's export tells the version that it was made for. A published version never
//! changes, and as the host goes by the component model's rule for versions, 0.1.0 also
//! stands for every later 0.1.x. When 0.2.0 comes, its bindings stand beside those of
//! 0.1.0: both are turned into the same [`Decision`](crate::guest::decision::Decision), and a generation
//! knows which of the two its guest speaks. `host/tests/contract` keeps guests of each
//! published version.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::text;

/// What a guest exports.
pub const INTERFACE: &str = "innkeeper:policy/policy@0.1.0";

/// Why a component that does not export [`INTERFACE`] does not: a sentence for the person
/// who named it.
pub(in crate::guest) fn mismatch(
    component: &Component,
    engine: &Engine,
    error: wasmtime::Error,
) -> String {
    let (name, version) = INTERFACE.split_once('@').expect("the interface has a version");
    let exports = component.component_type();
    let other = exports
        .exports(engine)
        .filter_map(|(export, _)| export.strip_prefix(name)?.strip_prefix('@'))
        .find(|other| minor(other) != minor(version));
    match other {
        Some(other) => format!(
            "it was made for version {} of the contract, and this innkeeper knows {}.x; \
             build it with wit/policy.wit of version {version}, or use another innkeeper",
            text::short_name(other),
            minor(version)
        ),
        None => format!(
            "it does not export the world `guest` of wit/policy.wit: {}",
            text::error_line(error)
        ),
    }
}

/// What of a version has to be equal, as long as the first number is 0.
fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}
