//! What breaks a rule today: the list is to become empty.

use super::Rule;

/// A rule, who breaks it, and why.
pub const EXCEPTIONS: &[(Rule, &str, &str)] = &[];
