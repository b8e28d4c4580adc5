//! The guests that are in this program.

/// The default policy: the component that the build script made of `guest/`.
pub const DEFAULT_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_DEFAULT_GUEST"));

/// The policy that decides by rules: the component that the build script made of `guest/rules/`.
/// Its data is a table of rules ([`Table::to_data`](innkeeper_guest::rules::Table::to_data)).
pub const RULES_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_RULES_GUEST"));
