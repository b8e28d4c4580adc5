//! What is wrong with a guest, as a sentence for logs and terminals: on one line and not
//! too long, whatever the guest calls its parts.

use std::fmt;

/// Characters of a sentence. Those of wasmtime and its tools have 100 to 300; with a name
/// from the guest in it one has as many as the guest likes.
const MAX_CHARACTERS: usize = 1_000;

/// The error, with its causes.
pub(super) fn of(error: impl fmt::Display) -> String {
    on_one_line(&format!("{error:#}"))
}

/// The beginning of a text.
pub(super) fn beginning(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{} (and {} bytes more)", &text[..end], text.len() - end),
        None => text.to_owned(),
    }
}

/// Line breaks become spaces, and what is not printable is escaped: else a name could
/// forge a line, or move a terminal's cursor.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            match character {
                '"' | '\'' | '\\' => line.push(character),
                _ => line.extend(character.escape_debug()),
            }
        }
    }
    beginning(&line, MAX_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHARACTERS, beginning, of};

    #[test]
    fn it_is_one_line() {
        assert_eq!(of("bad name `a`\nnot \"b\"\n\n  0: c"), "bad name `a` not \"b\" 0: c");
        assert_eq!(of("a\x1b[2Jb\u{202e}c\u{e9}"), "a\\u{1b}[2Jb\\u{202e}c\u{e9}");
    }

    #[test]
    fn it_has_a_bound() {
        let long = of("\u{e9}".repeat(MAX_CHARACTERS + 1));
        assert!(long.ends_with("\u{e9} (and 2 bytes more)"), "{long}");
        assert_eq!(beginning("abc", 3), "abc");
    }
}
