//! Bytes and text as one printable line: nothing in it moves a terminal's cursor or
//! forges a line of a log.

use std::fmt::{self, Write};

/// Shows bytes as text. What does not print, or is no UTF-8, is escaped as in Rust
/// (`\n`, `\u{1b}`, `\xff`).
pub(crate) struct Plain<'a>(pub(crate) &'a [u8]);

/// The same between double quotes, with quotes and backslashes escaped. Shows at most
/// `limit` bytes, and how many follow them.
pub(crate) struct Quoted<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) limit: usize,
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, "", f)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.bytes.split_at(self.bytes.len().min(self.limit));
        f.write_char('"')?;
        escape(shown, "\"\\", f)?;
        f.write_char('"')?;
        if rest.is_empty() { Ok(()) } else { write!(f, " and {} bytes more", rest.len()) }
    }
}

/// Writes bytes, with a backslash before each character of `special`.
fn escape(bytes: &[u8], special: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                _ if special.contains(character) => write!(f, "\\{character}")?,
                ' '..='~' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        write!(f, "{}", chunk.invalid().escape_ascii())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Plain, Quoted};

    #[test]
    fn unprintable_characters_are_escaped() {
        for (bytes, shown) in [
            ("caf\u{e9} \"a\" \\".as_bytes(), "caf\u{e9} \"a\" \\"),
            (b"a\nb\r\tc\0\x1b[2J", r"a\nb\r\tc\0\u{1b}[2J"),
            ("\u{9b}2J\u{202e}".as_bytes(), r"\u{9b}2J\u{202e}"),
            (b"a\xffb\xc3", r"a\xffb\xc3"),
        ] {
            assert_eq!(Plain(bytes).to_string(), shown);
        }
    }

    #[test]
    fn quoted_text_has_escaped_quotes_and_a_limit() {
        let quoted = |bytes, limit| Quoted { bytes, limit }.to_string();
        assert_eq!(quoted(b"a\"b\\c", 9), r#""a\"b\\c""#);
        assert_eq!(quoted(b"abc", 3), r#""abc""#);
        assert_eq!(quoted(b"abcd", 3), r#""abc" and 1 bytes more"#);
        assert_eq!(quoted("\u{e9}\u{e9}".as_bytes(), 3), "\"\u{e9}\\xc3\" and 1 bytes more");
    }
}
