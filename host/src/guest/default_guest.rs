//! The guest that is in this program.

/// The default policy: the component that the build script made of `guest/`.
pub const DEFAULT_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_DEFAULT_GUEST"));
