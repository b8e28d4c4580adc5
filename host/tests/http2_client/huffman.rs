//! The Huffman code of HPACK (RFC 7541, appendix B), read only.

/// Bits of the code of each byte, and of the end of a string. The code is canonical: shorter codes
/// come first, and those of one length in the order of their bytes, so lengths are all it needs.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The bytes that are coded so. Panics if they are not coded well.
pub fn decode(coded: &[u8]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let mut bits = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut decoded = Vec::new();
    loop {
        // Codes of one length are numbers in a row; the next length begins behind the last, doubled.
        let (mut code, mut length, mut first, mut at) = (0_u32, 0, 0_u32, 0);
        loop {
            let Some(bit) = bits.next() else {
                let is_padding = length < 8 && code == (1 << length) - 1;
                assert!(is_padding, "a string ends within a code: {coded:02x?}");
                return decoded;
            };
            (code, length, first) = (code << 1 | u32::from(bit), length + 1, first << 1);
            let count = order[at..].iter().take_while(|&&one| LENGTHS[one] == length).count();
            let codes = u32::try_from(count).unwrap();
            if let Some(offset) = code.checked_sub(first).filter(|&offset| offset < codes) {
                let symbol = order[at + offset as usize];
                decoded.push(u8::try_from(symbol).expect("no end of a string within it"));
                break;
            }
            (first, at) = (first + codes, at + count);
        }
    }
}

#[test]
fn examples_of_the_rfc_are_decoded() {
    let cases: [(&[u8], &[u8]); 3] = [
        (b"www.example.com", b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
        (b"302", b"\x64\x02"),
        (b"Mon, 21 Oct 2013 20:13:21 GMT",
            b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff"),
    ];
    for (plain, coded) in cases {
        assert_eq!(decode(coded).escape_ascii().to_string(), plain.escape_ascii().to_string());
    }
}
