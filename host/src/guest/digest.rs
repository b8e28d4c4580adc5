//! The digest that identifies a guest, with the data that configures it.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 (FIPS 180-4) of a guest's file, or of what serves: a guest and its data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of what serves: of a guest without data its own, so that it is what `sha256sum`
    /// prints, else that of both.
    pub fn of_guest(guest: &[u8], data: Option<&[u8]>) -> Digest {
        match data {
            None => Digest::of(guest),
            Some(data) => Digest::of_parts([guest, data].into_iter()),
        }
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
