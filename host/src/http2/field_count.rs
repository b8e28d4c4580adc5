//! Counts the fields of a header block (RFC 7541, section 6) without decoding them.

/// A header block that is being read, in pieces of any size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldCount {
    fields: u32,
    next: Next,
    /// Strings that follow the number that is being read.
    strings: u8,
    /// What came of the length of a string, and how far its next seven bits are shifted.
    length: usize,
    shift: u32,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// The first of a representation.
    #[default]
    First,
    /// More of a number whose value does not matter.
    Index,
    /// The first of a string's length, or more of it.
    Length,
    MoreLength,
    /// One of a string.
    Text,
}

impl FieldCount {
    /// Fields that have begun so far.
    pub(super) fn fields(&self) -> u32 {
        self.fields
    }

    /// Reads a piece.
    pub(super) fn read(&mut self, mut piece: &[u8]) {
        while let Some((&byte, rest)) = piece.split_first() {
            match self.next {
                Next::First => self.begin(byte),
                Next::Index if byte < 128 => self.end_number(),
                Next::Index => {}
                Next::Length => {
                    (self.length, self.shift) = (usize::from(byte & 127), 0);
                    match self.length {
                        127 => self.next = Next::MoreLength,
                        _ => self.begin_text(),
                    }
                }
                Next::MoreLength => {
                    // `h2` takes no number that is longer.
                    let more = usize::from(byte & 127).checked_shl(self.shift).unwrap_or(0);
                    self.length = self.length.saturating_add(more);
                    self.shift += 7;
                    if byte < 128 {
                        self.begin_text();
                    }
                }
                Next::Text => {
                    let skipped = self.length.min(piece.len());
                    self.length -= skipped;
                    piece = &piece[skipped..];
                    if self.length == 0 {
                        self.end_number();
                    }
                    continue;
                }
            }
            piece = rest;
        }
    }

    /// Begins a representation: its kind, and the first bits of a number.
    fn begin(&mut self, byte: u8) {
        let (bits, has_value) = match byte {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let most = (1_u8 << bits) - 1;
        let number = byte & most;
        // The size of the table is no field.
        self.fields += u32::from(bits != 5);
        self.strings = u8::from(has_value) + u8::from(has_value && number == 0);
        if number == most {
            self.next = Next::Index;
        } else {
            self.end_number();
        }
    }

    fn begin_text(&mut self) {
        self.next = Next::Text;
        if self.length == 0 {
            self.end_number();
        }
    }

    /// Goes on behind a number or a string.
    fn end_number(&mut self) {
        self.next = if self.strings > 0 { Next::Length } else { Next::First };
        self.strings = self.strings.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::FieldCount;

    #[test]
    fn fields_are_counted_however_they_are_represented() {
        let long_name = [b"\x00\x7f\x01".as_slice(), &[b'n'; 128], b"\x01v"].concat();
        let long_value = [b"\x04\x7f\x80\x01".as_slice(), &[0x82; 255]].concat();
        for (block, fields) in [
            (&b""[..], 0),
            // Indexed, with one byte and with several.
            (b"\x82\x86\xff\x80\x01\xbe", 4),
            // Literals: with and without an index of one byte and of several.
            (b"\x04\x02ab\x44\x00\x14\x01a", 3),
            (b"\x0f\x80\x01\x01a\x7f\x00\x00", 2),
            (b"\x00\x01a\x01b\x40\x01a\x00\x10\x00\x01b", 3),
            // Huffman-coded.
            (b"\x00\x83\x82\x82\x82\x81\xff\x82", 2),
            // The size of the table.
            (b"\x20\x3f\xe1\x1f\x82", 1),
            (&long_name, 1),
            (&long_value, 1),
        ] {
            for size in 1..=block.len().max(1) {
                let mut count = FieldCount::default();
                block.chunks(size).for_each(|piece| count.read(piece));
                assert_eq!(count.fields(), fields, "{block:02x?} in pieces of {size}");
            }
        }
    }
}
