//! The guests that are in this program.

use std::io::Read;
use std::sync::{LazyLock, OnceLock};

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
    let _ = RULES_AT.set(component.as_ptr_range().start.addr());
    component
});

/// Where the bytes of the second one are, once they are.
static RULES_AT: OnceLock<usize> = OnceLock::new();

/// The guests of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    Default,
    Rules,
}

/// Which of them these bytes are, if they are at their place.
pub(super) fn built_in(guest: &[u8]) -> Option<BuiltIn> {
    let is_at = |address: &usize| *address == guest.as_ptr().addr();
    if std::ptr::eq(guest, DEFAULT_GUEST) {
        Some(BuiltIn::Default)
    } else if RULES_AT.get().is_some_and(is_at) && guest.len() == RULES_GUEST.len() {
        Some(BuiltIn::Rules)
    } else {
        None
    }
}
