//! Codes that take the key to make: HMAC-SHA-256 (RFC 2104), compared in constant
//! time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A code.
pub(crate) type Code = [u8; 32];

/// The code of a message that consists of these parts.
///
/// The first part names the use of the code, so that a code has one use.
pub(crate) fn code(key: &[u8], parts: &[&[u8]]) -> Code {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two codes are the same. The time of the comparison does not depend on where
/// they differ.
pub(crate) fn is_same(one: &Code, other: &Code) -> bool {
    one.ct_eq(other).into()
}

/// Whether a code is one of these. All are compared, also after the one that matches.
pub(crate) fn is_among(code: &Code, known: &[Code]) -> bool {
    known.iter().fold(subtle::Choice::from(0), |found, one| found | one.ct_eq(code)).into()
}

/// Parses a code from 64 hexadecimal digits in lower case.
pub(crate) const fn hex(text: &str) -> Option<Code> {
    let text = text.as_bytes();
    let mut code = [0; 32];
    if text.len() != 2 * code.len() {
        return None;
    }
    let mut index = 0;
    while index < code.len() {
        let (Some(high), Some(low)) = (digit(text[2 * index]), digit(text[2 * index + 1])) else {
            return None;
        };
        code[index] = high << 4 | low;
        index += 1;
    }
    Some(code)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{code, hex, is_among, is_same};

    #[test]
    fn examples_of_rfc_4231_have_their_codes() {
        // Sections 4.2, 4.3 and 4.7: a short key, a text one, and one longer than a block.
        let long_key = [0xaa; 131];
        let cases: [(&[u8], &[u8], &str); 3] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &long_key,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, expected) in cases {
            let (start, end) = message.split_at(3);
            assert_eq!(Some(code(key, &[message])), hex(expected));
            assert_eq!(Some(code(key, &[start, end])), hex(expected));
        }
    }

    #[test]
    fn code_that_differs_anywhere_is_not_the_same() {
        let one = code(b"key", &[b"a"]);
        assert!(is_same(&one, &one));
        for index in 0..one.len() {
            let mut other = one;
            other[index] ^= 1;
            assert!(!is_same(&one, &other));
            assert!(!is_among(&other, &[one]));
        }
        assert!(is_among(&one, &[[0; 32], one, [1; 32]]));
        assert!(!is_among(&one, &[]));
    }

    #[test]
    fn text_that_is_no_code_is_none() {
        let good = "0f".repeat(32);
        assert_eq!(hex(&good), Some([0x0f; 32]));
        for bad in ["", &good[1..], &format!("{good}0"), &"0F".repeat(32), &"0g".repeat(32)] {
            assert_eq!(hex(bad), None, "{bad}");
        }
    }
}
