//! The guests that are in this program.

use std::io::Read;
use std::sync::LazyLock;

/// The default policy: the component that the build script made of `guest/`.
pub const DEFAULT_GUEST: &[u8] = include_bytes!(env!("INNKEEPER_DEFAULT_GUEST"));

/// The policy that decides by rules: the component that the build script made of `guest/rules/`.
/// Its data is a table of rules ([`Table::to_data`](innkeeper_guest::rules::Table::to_data)).
///
/// Compressed in this program, and decompressed when rules are used.
pub static RULES_GUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let compressed = include_bytes!(env!("INNKEEPER_RULES_GUEST"));
    let mut component = Vec::new();
    flate2::read::DeflateDecoder::new(&compressed[..])
        .read_to_end(&mut component)
        .expect("the build script compressed it");
    component
});
