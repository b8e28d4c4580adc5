//! Header blocks (RFC 7541): written by literals alone, read without a dynamic table.

use super::huffman;

/// A name and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// Names and values of the static table (RFC 7541, appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Appends a field as a literal that is not indexed, whatever its bytes.
pub fn literal(block: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    block.push(0);
    for text in [name.as_ref(), value.as_ref()] {
        integer(block, 0, 7, text.len());
        block.extend_from_slice(text);
    }
}

/// Appends a number with so many bits in its first byte, behind these others (RFC 7541, section
/// 5.1).
pub fn integer(block: &mut Vec<u8>, first: u8, bits: u32, number: usize) {
    let byte = |number: usize| u8::try_from(number).unwrap();
    let most = (1 << bits) - 1;
    if number < most {
        block.push(first | byte(number));
        return;
    }
    block.push(first | byte(most));
    let mut rest = number - most;
    while rest >= 128 {
        block.push(byte(rest % 128) | 128);
        rest /= 128;
    }
    block.push(byte(rest));
}

/// The fields of a block. Panics if it is malformed, or uses a dynamic table.
pub fn decode(block: &[u8]) -> Vec<Field> {
    let (mut rest, mut fields) = (block, Vec::new());
    while let Some(&first) = rest.first() {
        let bits = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let number = read_integer(&mut rest, bits);
        match bits {
            7 => fields.push(entry(number)),
            5 => assert_eq!(number, 0, "our table has no room"),
            _ => {
                let name = match number {
                    0 => read_string(&mut rest),
                    _ => entry(number).0,
                };
                fields.push((name, read_string(&mut rest)));
            }
        }
    }
    fields
}

fn entry(index: usize) -> Field {
    let (name, value) = STATIC[index.checked_sub(1).expect("an index above 0")];
    (name.into(), value.into())
}

fn read_integer(rest: &mut &[u8], bits: u32) -> usize {
    let most = (1 << bits) - 1;
    let mut number = usize::from(read_byte(rest)) & most;
    let mut shift = 0;
    while number >= most {
        let byte = read_byte(rest);
        number += usize::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            break;
        }
    }
    number
}

fn read_string(rest: &mut &[u8]) -> Vec<u8> {
    let is_coded = rest.first().is_some_and(|byte| *byte >= 128);
    let length = read_integer(rest, 7);
    let (text, behind) = rest.split_at(length);
    *rest = behind;
    if is_coded { huffman::decode(text) } else { text.to_vec() }
}

fn read_byte(rest: &mut &[u8]) -> u8 {
    let (first, behind) = rest.split_first().expect("a whole block");
    *rest = behind;
    *first
}

#[test]
fn what_is_written_is_read() {
    let mut block = Vec::new();
    literal(&mut block, "x".repeat(300), "\r\n\0");
    literal(&mut block, "", "");
    let fields = decode(&block);
    assert_eq!(fields, [("x".repeat(300).into(), b"\r\n\0".to_vec()), Default::default()]);
}

/// RFC 7541, appendix C.6.1, with the literals that a dynamic table would keep.
#[test]
fn response_of_the_rfc_is_decoded() {
    let block = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff";
    let fields = decode(block);
    let text = |(name, value): &Field| {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    let fields: Vec<_> = fields.iter().map(text).collect();
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    assert_eq!(fields, [":status: 302", "cache-control: private", date]);
}
