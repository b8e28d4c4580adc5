//! What is wrong with a guest, as a sentence for logs and terminals: on one line and not
//! too long, whatever the guest calls its parts.

use std::fmt;

pub(super) use crate::text::beginning;
use crate::text::{escaped, one_line};

/// Characters of a sentence. Those of wasmtime and its tools have 100 to 300; with a name
/// from the guest in it one has as many as the guest likes.
const MAX_CHARACTERS: usize = 1_000;

/// Characters of a name. Those that toolchains give have 30.
const NAME_CHARACTERS: usize = 200;

/// The error, with its causes.
pub(super) fn of(error: impl fmt::Display) -> String {
    beginning(&one_line(&format!("{error:#}")), MAX_CHARACTERS)
}

/// A name that the guest gave.
pub(super) fn name(text: &str) -> String {
    beginning(&escaped(text), NAME_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHARACTERS, NAME_CHARACTERS, name, of};

    #[test]
    fn it_is_one_line() {
        assert_eq!(of("bad name `a`\nnot \"b\"\n\n  0: c"), "bad name `a` not \"b\" 0: c");
        assert_eq!(of("a\x1b[2Jb\u{202e}c\u{e9}"), "a\\u{1b}[2Jb\\u{202e}c\u{e9}");
        assert_eq!(name("a\nb\x1b"), "a\\nb\\u{1b}");
    }

    #[test]
    fn it_has_a_bound() {
        let long = of("\u{e9}".repeat(MAX_CHARACTERS + 1));
        assert!(long.ends_with("\u{e9} (and 2 bytes more)"), "{long}");
        assert!(name(&"a".repeat(NAME_CHARACTERS + 1)).ends_with("a (and 1 bytes more)"));
    }
}
