//! Code that breaks a rule: none. The list is for a change that takes several commits.

use super::Rule;

/// A rule, the code that breaks it, and why.
pub const EXCEPTIONS: &[(Rule, &str, &str)] = &[];
