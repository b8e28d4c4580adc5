//! What is set outside the tables of sites: by a flag, a variable, or the file.

use std::ffi::OsString;

use super::effective::Origin;
use super::settings::rules::RuleOrigin;

/// What is set outside the tables of sites.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// The settings of sites that are set: the name of each inside, and the flags that set it.
    pub(super) flags: Vec<(String, Vec<OsString>, Origin)>,
    /// Where the rules among them come from.
    pub(super) rules: Vec<RuleOrigin>,
}
