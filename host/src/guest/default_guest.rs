//! The guests that are in this program.

use std::io::Read;
use std::sync::{LazyLock, OnceLock};

use super::digest::Digest;

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

/// The digest of a guest's file. Those of the guests in this program are made once: a thousand sites
/// may have them.
pub(super) fn digest(guest: &[u8]) -> Digest {
    static DEFAULT: OnceLock<Digest> = OnceLock::new();
    static RULES: OnceLock<Digest> = OnceLock::new();
    let is_rules =
        || RULES_AT.get() == Some(&guest.as_ptr().addr()) && guest.len() == RULES_GUEST.len();
    if std::ptr::eq(guest, DEFAULT_GUEST) {
        *DEFAULT.get_or_init(|| Digest::of(guest))
    } else if is_rules() {
        *RULES.get_or_init(|| Digest::of(guest))
    } else {
        Digest::of(guest)
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_GUEST, RULES_GUEST, digest};
    use crate::guest::digest::Digest;

    #[test]
    fn digests_are_those_of_the_bytes() {
        for guest in [DEFAULT_GUEST, &RULES_GUEST] {
            for bytes in [guest, guest, &guest[..9], &guest[1..]] {
                assert_eq!(digest(bytes), Digest::of(bytes));
            }
        }
    }
}
