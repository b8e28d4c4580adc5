//! The digest that identifies a guest, with the data that configures it.

use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::default_guest::{BuiltIn, built_in};

/// The SHA-256 (FIPS 180-4) of a guest's file, or of what serves: a guest and its data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of what serves: of a guest and its data.
    pub fn of_guest(guest: &[u8], data: Option<&[u8]>) -> Digest {
        Identity::of(guest, data).digest()
    }

    /// The digest of these parts, each with its length: what is in one of them cannot stand
    /// for another part.
    pub(super) fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Digest(hasher.finalize().into())
    }

    /// Its first bytes, which are what people compare.
    pub fn short(self) -> [u8; 6] {
        self.0[..6].try_into().expect("a digest has 32 bytes")
    }
}

/// What serves, by the digests of its parts: equal ones make equal decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The digest of the guest's file.
    pub guest: Digest,
    /// That of the data that configures it, if there is any.
    pub data: Option<Digest>,
}

impl Identity {
    /// That of a guest with this data.
    pub fn of(guest: &[u8], data: Option<&[u8]>) -> Identity {
        Identity { guest: of_file(guest), data: data.map(Digest::of) }
    }

    /// That of the same guest with other data.
    pub fn with(self, data: &[u8]) -> Identity {
        Identity { data: Some(Digest::of(data)), ..self }
    }

    /// The digest of both. Without data it is the guest's own, which `sha256sum` prints.
    pub fn digest(self) -> Digest {
        match self.data {
            None => self.guest,
            Some(data) => Digest::of_parts([&self.guest.0[..], &data.0].into_iter()),
        }
    }
}

/// The digest of a guest's file. Those of the guests in this program are made once: a thousand sites
/// may have them.
fn of_file(guest: &[u8]) -> Digest {
    static DEFAULT: OnceLock<Digest> = OnceLock::new();
    static RULES: OnceLock<Digest> = OnceLock::new();
    match built_in(guest) {
        Some(BuiltIn::Default) => *DEFAULT.get_or_init(|| Digest::of(guest)),
        Some(BuiltIn::Rules) => *RULES.get_or_init(|| Digest::of(guest)),
        None => Digest::of(guest),
    }
}

/// The first twelve digits: what people compare. `{:#}` writes all of them.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if f.alternate() { &self.0[..] } else { &self.0[..6] };
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Identity};
    use crate::guest::{DEFAULT_GUEST, RULES_GUEST};

    #[test]
    fn digests_of_files_are_those_of_their_bytes() {
        for guest in [DEFAULT_GUEST, &RULES_GUEST] {
            for bytes in [guest, guest, &guest[..9], &guest[1..]] {
                assert_eq!(Identity::of(bytes, None).guest, Digest::of(bytes));
            }
        }
    }
}
