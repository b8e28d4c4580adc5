//! One line of a chunked body: a size with its extensions, or a trailer field.

use crate::http::token::is_token_byte;

/// Bytes of one line of a chunked body: a size with its extensions, or a trailer
/// field. No client is known to use extensions; all of them count as content too.
const MAX_CHUNK_LINE: usize = 256;

/// Hexadecimal digits of a chunk's size: what fits into 64 bits.
const MAX_SIZE_DIGITS: usize = 16;

/// A line of a chunked body, as far as it has arrived.
#[derive(Debug)]
pub(super) struct ChunkLine {
    /// Bytes before the line end.
    length: usize,
    /// Where in the line the next byte stands.
    place: Place,
    /// Whether its last byte is a CR.
    ends_in_cr: bool,
}

/// Where in a line of a chunked body a byte stands (RFC 9112, sections 7.1, 7.1.1 and
/// 7.1.2). What an extension says does not matter, but it has to be one: what is none may
/// be an end of the line, or no end, to another reader.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a chunk's size, whose digits so far give this number.
    Size { digits: usize, size: u64 },
    /// In blanks behind the size or a value. An extension must follow, or `5 6` would be
    /// 5 to one reader and 86 to another.
    Blanks { size: u64 },
    /// Behind the `;` of an extension, before its name.
    Semicolon { size: u64 },
    /// In its name.
    ExtensionName { size: u64 },
    /// In blanks behind its name: `=` must follow, or another extension.
    NameBlanks { size: u64 },
    /// Behind its `=`, before its value.
    Equals { size: u64 },
    /// In a value that is a token.
    Token { size: u64 },
    /// In a quoted value, which must end in its line.
    Quoted { size: u64 },
    /// Behind a backslash in that value.
    Escaped { size: u64 },
    /// Behind a quoted value.
    Unquoted { size: u64 },
    /// In the name of a trailer field, or at the end of the body.
    Name,
    /// In the value of a trailer field.
    Value,
}

impl ChunkLine {
    /// The line with a chunk's size.
    pub(super) fn size() -> ChunkLine {
        ChunkLine { length: 0, place: Place::Size { digits: 0, size: 0 }, ends_in_cr: false }
    }

    /// A trailer field, or the empty line that ends the body.
    pub(super) fn trailer() -> ChunkLine {
        ChunkLine { length: 0, place: Place::Name, ends_in_cr: false }
    }

    /// Takes the next byte. True when the line is complete; `None` if it is malformed.
    pub(super) fn push(&mut self, byte: u8) -> Option<bool> {
        match byte {
            b'\n' if self.ends_in_cr => return Some(true),
            // A bare CR.
            _ if self.ends_in_cr => return None,
            b'\r' => {
                self.ends_in_cr = true;
                return match self.place {
                    Place::Size { digits: 1.., .. }
                    | Place::ExtensionName { .. }
                    | Place::Token { .. }
                    | Place::Unquoted { .. }
                    | Place::Value => Some(false),
                    Place::Name if self.length == 0 => Some(false),
                    _ => None,
                };
            }
            _ => {}
        }
        self.length += 1;
        if self.length > MAX_CHUNK_LINE {
            return None;
        }
        self.place = self.place.behind(byte, self.length)?;
        Some(false)
    }

    /// Bytes before the line end.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Of a complete line with a chunk's size: the size, and the bytes of its extensions.
    pub(super) fn chunk(&self) -> Option<(u64, usize)> {
        match self.place {
            Place::Size { size, .. } => Some((size, 0)),
            Place::ExtensionName { size } | Place::Token { size } | Place::Unquoted { size } => {
                Some((size, self.length))
            }
            _ => None,
        }
    }
}

impl Place {
    /// Where the byte leads that is the line's nth. `None` if it may not stand there.
    fn behind(self, byte: u8, nth: usize) -> Option<Place> {
        let is_blank = matches!(byte, b' ' | b'\t');
        let is_token = is_token_byte(byte);
        // No control character, and so no LF without CR.
        let is_text = matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        match self {
            Place::Size { digits, size } => match char::from(byte).to_digit(16) {
                Some(digit) if digits < MAX_SIZE_DIGITS => {
                    Some(Place::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
                }
                None if digits > 0 => Place::Blanks { size }.behind(byte, nth),
                _ => None,
            },
            Place::Blanks { size } if byte == b';' => Some(Place::Semicolon { size }),
            Place::Blanks { .. } => is_blank.then_some(self),
            Place::Semicolon { .. } if is_blank => Some(self),
            Place::Semicolon { size } => is_token.then_some(Place::ExtensionName { size }),
            Place::ExtensionName { .. } if is_token => Some(self),
            Place::ExtensionName { size } | Place::NameBlanks { size } => match byte {
                b'=' => Some(Place::Equals { size }),
                b';' => Some(Place::Semicolon { size }),
                _ => is_blank.then_some(Place::NameBlanks { size }),
            },
            Place::Equals { .. } if is_blank => Some(self),
            Place::Equals { size } if byte == b'"' => Some(Place::Quoted { size }),
            Place::Equals { size } => is_token.then_some(Place::Token { size }),
            Place::Token { .. } if is_token => Some(self),
            Place::Token { size } | Place::Unquoted { size } => {
                Place::Blanks { size }.behind(byte, nth)
            }
            Place::Quoted { size } if byte == b'"' => Some(Place::Unquoted { size }),
            Place::Quoted { size } if byte == b'\\' => Some(Place::Escaped { size }),
            Place::Escaped { size } => is_text.then_some(Place::Quoted { size }),
            Place::Name if byte == b':' && nth > 1 => Some(Place::Value),
            Place::Name => is_token.then_some(self),
            Place::Quoted { .. } | Place::Value => is_text.then_some(self),
        }
    }
}
