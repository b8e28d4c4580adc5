//! Escapes text for people: one line, without characters that a terminal obeys.
//!
//! A name with a line feed could forge a line of a log, one with ESC moves the cursor of a
//! terminal, and one with U+202E shows what follows backwards. Text that may hold such
//! characters is escaped where it comes in, and once more where lines go out.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a character shows itself and does nothing else.
fn is_plain(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ => {
            let mut escaped = character.escape_debug();
            escaped.next() == Some(character) && escaped.next().is_none()
        }
    }
}

/// The text, with what is not plain written as `\n`, `\u{1b}` or the like.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    // Writing to memory does not fail.
    let _ = Escaping(&mut line).write_str(text);
    Cow::Owned(line)
}

/// The text on one line: line breaks, and all white space, become single spaces. The rest is
/// escaped.
pub fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    escaped(&words.join(" ")).into_owned()
}

/// The beginning of a text.
pub fn beginning(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{} (and {} bytes more)", &text[..end], text.len() - end),
        None => text.to_owned(),
    }
}

/// Characters of an error. Those of compilers have 100 to 300; with a name
/// from a guest in it one has as many as the guest likes.
const ERROR_CHARACTERS: usize = 1_000;

/// Characters of a name. Those that toolchains give have 30.
const NAME_CHARACTERS: usize = 200;

/// The error with its causes, on one line and not too long, whatever a guest calls its parts.
pub fn error_line(error: impl fmt::Display) -> String {
    beginning(&one_line(&format!("{error:#}")), ERROR_CHARACTERS)
}

/// A name that a stranger gave, escaped and not too long.
pub fn short_name(text: &str) -> String {
    beginning(&escaped(text), NAME_CHARACTERS)
}

/// Escapes what is written through it. It takes no memory of its own: near the end of memory
/// there may be an event to log.
pub struct Escaping<W>(pub W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|character| !is_plain(character)) {
            let (plain, other) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = other.chars();
            for part in characters.next().into_iter().flat_map(char::escape_debug) {
                self.0.write_char(part)?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Escapes what is written through it as in a string of JSON, between its quotes. It takes no
/// memory of its own.
pub struct JsonEscaping<W>(pub W);

impl<W: Write> Write for JsonEscaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let needs_escape = |character| matches!(character, '"' | '\\') || !is_plain(character);
        while let Some(at) = rest.find(needs_escape) {
            let (plain, other) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = other.chars();
            match characters.next() {
                Some(character @ ('"' | '\\')) => {
                    self.0.write_char('\\')?;
                    self.0.write_char(character)?;
                }
                Some(character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
                None => {}
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Appends bytes so that they can end neither the line nor the quotes that they are in, and mean
/// nothing to a terminal: all but printable ASCII as `\xHH`, and `"` and `\` with a backslash.
pub fn escape_bytes(text: &mut Vec<u8>, bytes: &[u8]) {
    for run in bytes.chunk_by(|&one, &other| is_plain_byte(one) && is_plain_byte(other)) {
        match run {
            [b'"' | b'\\'] => text.extend_from_slice(&[b'\\', run[0]]),
            [byte] if !is_plain_byte(*byte) => {
                text.extend_from_slice(b"\\x");
                text.extend_from_slice(&hex(*byte));
            }
            plain => text.extend_from_slice(plain),
        }
    }
}

/// Bytes that are text, or should be: what is not printable ASCII is shown as `\xHH`.
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
        for run in self.0.chunk_by(|one, other| is_printable(one) && is_printable(other)) {
            match run {
                [byte] if !is_printable(byte) => write!(f, "\\x{byte:02x}")?,
                printable => f.write_str(&String::from_utf8_lossy(printable))?,
            }
        }
        Ok(())
    }
}

/// Whether a byte means itself and nothing else, in a line, in quotes and on a terminal.
pub fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// The two digits of a byte.
pub fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// JSON in whose strings the same characters are escaped as JSON has it: a reader gets what was
/// written.
pub fn plain_json(json: &str) -> Cow<'_, str> {
    let is_kept = |character| character == '\n' || is_plain(character);
    if json.chars().all(is_kept) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_kept(character) {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to memory does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(text)
}

/// A client in a log: its address, or `unix:` for the unspecified one, which clients of Unix sockets
/// have. nginx writes them so.
pub struct Client(pub std::net::IpAddr);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_unspecified() { f.write_str("unix:") } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ERROR_CHARACTERS, Escaping, JsonEscaping, NAME_CHARACTERS, beginning, error_line, escaped,
        one_line, plain_json, short_name,
    };
    use std::fmt::Write;

    #[test]
    fn characters_that_a_terminal_obeys_are_escaped() {
        for (text, shown) in [
            ("caf\u{e9} \"a\" 'b' \\ \u{6f22}", "caf\u{e9} \"a\" 'b' \\ \u{6f22}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\x1b[2J\x7f\0", "\\u{1b}[2J\\u{7f}\\0"),
            // A command of its own in terminals that know C1.
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{202e}\u{2066}\u{200f}", "\\u{202e}\\u{2066}\\u{200f}"),
            (
                "\u{2028}\u{2029}\u{85}\u{feff}\u{200b}",
                "\\u{2028}\\u{2029}\\u{85}\\u{feff}\\u{200b}",
            ),
        ] {
            assert_eq!(escaped(text), shown);
            let mut written = String::new();
            write!(Escaping(&mut written), "{text}").expect("memory");
            assert_eq!(written, shown);
        }
        assert_eq!(one_line(" a\n\n  b\u{85}c\x1b "), "a b c\\u{1b}");
        assert_eq!(beginning("\u{e9}\u{e9}", 1), "\u{e9} (and 2 bytes more)");
        assert_eq!(beginning("abc", 3), "abc");
    }

    #[test]
    fn error_is_one_line_with_a_bound() {
        assert_eq!(error_line("bad name `a`\nnot \"b\"\n\n  0: c"), "bad name `a` not \"b\" 0: c");
        assert_eq!(error_line("a\x1b[2Jb\u{202e}c\u{e9}"), "a\\u{1b}[2Jb\\u{202e}c\u{e9}");
        let long = error_line("\u{e9}".repeat(ERROR_CHARACTERS + 1));
        assert!(long.ends_with("\u{e9} (and 2 bytes more)"), "{long}");
    }

    #[test]
    fn name_is_escaped_with_a_bound() {
        assert_eq!(short_name("a\nb\x1b"), "a\\nb\\u{1b}");
        let long = short_name(&"a".repeat(NAME_CHARACTERS + 1));
        assert!(long.ends_with("a (and 1 bytes more)"), "{long}");
    }

    #[test]
    fn plain_json_reads_as_the_text_that_was_written() {
        let text = "caf\u{e9}\n\x1b\u{7f}\u{9b}\u{202e}\u{e0001}";
        let json = serde_json::to_string_pretty(&[text]).expect("JSON");
        let plain = plain_json(&json);
        let mut streamed = String::new();
        write!(JsonEscaping(&mut streamed), "{text}\"\\").expect("memory");
        let streamed: String = serde_json::from_str(&format!("\"{streamed}\"")).expect("JSON");
        assert_eq!(streamed, format!("{text}\"\\"));
        assert!(!plain.contains(['\x1b', '\u{7f}', '\u{9b}', '\u{202e}', '\u{e0001}']), "{plain}");
        let read: Vec<String> = serde_json::from_str(&plain).expect("JSON");
        assert_eq!(read, [text]);
    }
}
