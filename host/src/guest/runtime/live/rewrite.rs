//! A component becomes the core module that a live guest is made of.

use serde::{Deserialize, Serialize};

use super::ineligible::Ineligible;
use super::instrument::instrument;
use super::layout::Constants;
use super::links::Links;
use super::merge::merge;

/// A module that was rewritten, and what is called of it.
pub(in crate::guest::runtime) struct Rewritten {
    /// The module, to be compiled.
    pub(in crate::guest::runtime) module: Vec<u8>,
    /// What is to be known of it.
    pub(in crate::guest::runtime) form: LiveForm,
}

/// What has to be known of a module that was rewritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::guest::runtime) struct LiveForm {
    /// Whether something is called after a decision was read.
    pub(super) has_post_return: bool,
    /// Whether something is called in the beginning, which leaves marks.
    pub(super) has_start: bool,
    pub(super) globals: u32,
    /// Whether the last of the globals is the size of its memory.
    pub(super) has_size: bool,
    /// What is compiled into it.
    pub(super) constants: Constants,
}

/// Rewrites a component that was checked against the contract, for an engine whose guests may have this
/// many bytes of memory. One that grows in its decisions should have memory to spare.
pub(in crate::guest::runtime) fn rewrite(
    component: &[u8],
    memory_bytes: usize,
    has_spare: bool,
) -> Result<Rewritten, Ineligible> {
    let merged = merge(&Links::of(component)?)?;
    let instrumented = instrument(&merged, memory_bytes, has_spare)?;
    let form = LiveForm {
        has_post_return: merged.has_post_return,
        has_start: merged.has_start,
        globals: instrumented.globals,
        has_size: instrumented.has_size,
        constants: Constants::of(memory_bytes),
    };
    Ok(Rewritten { module: instrumented.module, form })
}
