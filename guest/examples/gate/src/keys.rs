//! The secrets: the key, and the users. These values are public: replace them, as
//! `README.md` says, and keep this file and the built guest secret.

use crate::mac::{Code, hex};

/// The key of all codes, as text: `openssl rand -hex 32`.
pub(crate) const KEY: &[u8] = b"6f1c0b7e2d9a4c58a3e0f7b1946d2c85e17a0b3f9c6d48527e8f1a2b3c4d5e6f";

/// The lowest version of a valid link. A higher one ends all older links.
pub(crate) const VERSION: u64 = 7;

/// For each user the code of `user NAME:PASSWORD`. A password must be long and random:
/// with this file, or the built guest, many millions can be tried in a second.
pub(crate) const USERS: [Code; 2] = [
    // alice, "open sesame"
    known("1417114abbb74b38d37117a5a36fdaf28709fb253ab2c4e709110b2a8e7ac8df"),
    // zoë, "pässword: 1"
    known("c3ad197f8698590127db4a7bed22ab3a85a6458a23bf7798135915b4de80db7d"),
];

/// A code of this file. A malformed one does not compile.
const fn known(text: &str) -> Code {
    match hex(text) {
        Some(code) => code,
        None => panic!("a code is 64 hexadecimal digits, in lower case"),
    }
}
