//! Base64 (RFC 4648, section 4), as credentials and stored passwords have it.

/// The digits, by value.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether a text has `=` at its end, so that its length is a multiple of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// It must have.
    Required,
    /// It must not have.
    None,
}

/// The bytes of a text; `None` if it is not in base64. What a text could have in another way is
/// not accepted: other characters, and bits that no byte has.
pub fn decode(text: &str, padding: Padding) -> Option<Vec<u8>> {
    let text = match padding {
        Padding::None => text,
        Padding::Required if !text.len().is_multiple_of(4) => return None,
        Padding::Required => match text.strip_suffix('=') {
            Some(text) => text.strip_suffix('=').unwrap_or(text),
            None => text,
        },
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    // Bits that belong to no byte yet, and how many.
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes() {
        bits = bits << 6 | value(digit)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            // At most eight bits are left above these.
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
            bits &= (1 << count) - 1;
        }
    }
    // A digit more than the bytes have, or bits of the last one that are not 0.
    (count < 6 && bits == 0).then_some(bytes)
}

/// Appends bytes to a text.
pub fn encode(bytes: &[u8], padding: Padding, text: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        for (place, byte) in group.iter_mut().skip(1).zip(chunk) {
            *place = *byte;
        }
        let bits = u32::from_be_bytes(group);
        for number in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * number) & 63) as usize];
            match padding {
                _ if number <= chunk.len() => text.push(char::from(digit)),
                Padding::Required => text.push('='),
                Padding::None => {}
            }
        }
    }
}

/// The value of a digit.
fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Padding, decode, encode};

    #[test]
    fn examples_of_rfc_4648_are_decoded_and_encoded() {
        // Section 10, and section 9.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l+"),
            (b"\x14\xfb\x9c\x03\xd9", "FPucA9k="),
            (b"\x14\xfb\x9c\x03", "FPucAw=="),
            (b"\xff\xff\xff", "////"),
        ] {
            for (padding, text) in
                [(Padding::Required, text), (Padding::None, text.trim_end_matches('='))]
            {
                let mut encoded = String::new();
                encode(bytes, padding, &mut encoded);
                assert_eq!(encoded, text);
                assert_eq!(decode(text, padding).as_deref(), Some(bytes), "{text}");
            }
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Zg===",
            "Zm8",
            "Zm9vY",
            "=",
            "==",
            "====",
            "Z===",
            "Zm=v",
            "Zg==Zg==",
            "Zm9v\n",
            " Zm9",
            "Zm9-",
            "Zm9_",
            "Zm9\u{e4}", // Bits that no byte has.
            "Zh==",
            "Zm9=",
        ] {
            assert_eq!(decode(text, Padding::Required), None, "{text:?}");
        }
        for text in ["Z", "Zh", "Zm9vY", "Zg==", "Zm9", "Zm9v="] {
            assert_eq!(decode(text, Padding::None), None, "{text:?}");
        }
    }
}
