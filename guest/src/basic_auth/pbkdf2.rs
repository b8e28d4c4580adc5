//! Stretched passwords: PBKDF2 (RFC 8018, section 5.2) with HMAC-SHA-256 (RFC 2104).
//!
//! On the compression function of crate sha2 itself: an iteration is two calls of it and nothing
//! else, which a guest's deadline allows twice as many of as of two whole HMACs.

use sha2::compress256;
use sha2::digest::generic_array::GenericArray;

/// Bytes that are compressed at once.
const BLOCK_BYTES: usize = 64;

/// The state before the first block (FIPS 180-4, section 5.3.3).
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

type State = [u32; 8];

/// A digest of SHA-256.
pub(super) type Digest = [u8; 32];

/// The first 32 bytes that PBKDF2 derives; with 0 iterations the same as with 1.
pub(super) fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Digest {
    let mut key = [0; BLOCK_BYTES];
    if password.len() > BLOCK_BYTES {
        fill(&mut key, &sha256(INITIAL, 0, password));
    } else {
        fill(&mut key, password);
    }
    let inner = compress(INITIAL, key.map(|byte| byte ^ 0x36));
    let outer = compress(INITIAL, key.map(|byte| byte ^ 0x5c));
    let first = sha256(inner, BLOCK_BYTES, &[salt, &1_u32.to_be_bytes()].concat());
    // Both hashes of an HMAC of 32 bytes end with one such block.
    let mut block = [0; BLOCK_BYTES];
    fill(&mut block, &first);
    block[32] = 0x80;
    fill(&mut block[56..], &(8 * (BLOCK_BYTES as u64 + 32)).to_be_bytes());
    let mut last = compress(outer, block);
    let mut derived = last;
    for _ in 1..iterations {
        fill(&mut block, &bytes(last));
        let message = compress(inner, block);
        fill(&mut block, &bytes(message));
        last = compress(outer, block);
        derived.iter_mut().zip(last).for_each(|(word, last)| *word ^= last);
    }
    bytes(derived)
}

/// The digest of `data`, of which `before` bytes, whole blocks, are in the state already.
fn sha256(mut state: State, before: usize, data: &[u8]) -> Digest {
    let bits = 8 * (before as u64 + data.len() as u64);
    // Behind the data: a bit that is 1, and the length in the last eight bytes of a block.
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(BLOCK_BYTES) - 8, 0);
    padded.extend_from_slice(&bits.to_be_bytes());
    let (blocks, _) = padded.as_chunks::<BLOCK_BYTES>();
    for block in blocks {
        state = compress(state, *block);
    }
    bytes(state)
}

fn compress(mut state: State, block: [u8; BLOCK_BYTES]) -> State {
    compress256(&mut state, &[GenericArray::from(block)]);
    state
}

/// Replaces the first bytes.
fn fill(block: &mut [u8], start: &[u8]) {
    block.iter_mut().zip(start).for_each(|(place, byte)| *place = *byte);
}

fn bytes(state: State) -> Digest {
    let mut bytes = [0; 32];
    let (places, _) = bytes.as_chunks_mut::<4>();
    places.iter_mut().zip(state).for_each(|(place, word)| *place = word.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{INITIAL, derive, sha256};
    use sha2::{Digest as _, Sha256};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn examples_of_rfc_7914_are_derived() {
        // Section 11: the first 32 of 64 bytes.
        let expected = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(hex(&derive(b"passwd", b"salt", 1)), expected);
        assert_eq!(hex(&derive(b"passwd", b"salt", 0)), expected);
        let expected = "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56";
        assert_eq!(hex(&derive(b"Password", b"NaCl", 80_000)), expected);
    }

    /// By `hashlib.pbkdf2_hmac` of Python.
    #[test]
    fn password_longer_than_a_block_is_hashed_first() {
        assert_eq!(
            hex(&derive(&[b'p'; 64], &[b's'; 100], 3)),
            "4ab5c02204d3c2e27eac2874d313a3b6d9e564ccf9638bce1753b267a22b313d"
        );
        assert_eq!(
            hex(&derive(&[b'p'; 65], b"", 2)),
            "391f9214a442e95f0c7ed708c44a0bd98876e5d4bd49eab3075db06f95a5a806"
        );
    }

    #[test]
    fn digest_is_that_of_sha2() {
        for length in 0..200_u8 {
            let data: Vec<u8> = (0..length).collect();
            assert_eq!(sha256(INITIAL, 0, &data)[..], Sha256::digest(&data)[..], "{length}");
        }
    }
}
