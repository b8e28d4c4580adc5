//! Sections of a WebAssembly binary, and the names that a component exports. They are read before
//! anything is compiled, by heads alone.

use std::iter;

use wasmparser::{BinaryReader, ComponentExportSectionReader};

/// Bytes of the preamble: magic number, version, layer.
const PREAMBLE_BYTES: usize = 8;

/// The section of a component that holds its exports.
const EXPORTS: u8 = 11;

/// The last section is cut off, or its length is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truncated;

/// The sections of a core module (WebAssembly core specification, section 5.5) or of a component,
/// which has the same frame: number and content of each.
pub(super) fn sections(wasm: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Truncated>> {
    let mut rest = wasm.get(PREAMBLE_BYTES..).unwrap_or_default();
    iter::from_fn(move || {
        let (id, after_id) = rest.split_first()?;
        let section = leb128_u32(after_id).and_then(|(size, body)| body.split_at_checked(size));
        rest = section.map_or(&[], |(_, next)| next);
        Some(section.map(|(content, _)| (*id, content)).ok_or(Truncated))
    })
}

/// The names that a component exports; `None` if they cannot be read. What is not valid is left
/// to the compiler to tell.
pub(super) fn exports(component: &[u8]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for section in sections(component) {
        let (id, content) = section.ok()?;
        if id == EXPORTS {
            let reader = ComponentExportSectionReader::new(BinaryReader::new(content, 0)).ok()?;
            for export in reader {
                names.push(export.ok()?.name.name);
            }
        }
    }
    Some(names)
}

/// Reads an unsigned 32-bit number in LEB128 and gives it with what follows.
pub(super) fn leb128_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Truncated, exports, sections};
    use crate::guest::DEFAULT_GUEST;

    #[test]
    fn sections_end_with_the_one_that_is_cut_off() {
        let read = |bytes: &'static [u8]| sections(bytes).collect::<Vec<_>>();
        assert_eq!(read(b"\0asm\x01\0\0\0"), []);
        assert_eq!(read(b"\0asm"), []);
        assert_eq!(read(b"\0asm\x01\0\0\0\x00\x02ab\x07\0"), [Ok((0, &b"ab"[..])), Ok((7, b""))]);
        assert_eq!(read(b"\0asm\x01\0\0\0\x07\0\x00\x03ab"), [Ok((7, &b""[..])), Err(Truncated)]);
        for cut in [&b"\0asm\x01\0\0\0\x00"[..], b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(read(cut), [Err(Truncated)]);
        }
    }

    #[test]
    fn exports_of_a_whole_component_are_read() {
        let names = exports(DEFAULT_GUEST).expect("a component");
        assert!(names.contains(&"innkeeper:policy/policy@0.1.0"), "{names:?}");
        assert_eq!(exports(&DEFAULT_GUEST[..DEFAULT_GUEST.len() - 1]), None);
    }
}
