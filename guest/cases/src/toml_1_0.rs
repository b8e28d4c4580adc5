//! Refuses the additions of TOML 1.1, so that every language can read a table: Python's
//! `tomllib` and most editors know TOML 1.0.
//!
//! The `toml` crate has no mode for 1.0, so this looks at the events of its parser.
//! TOML 1.1 added four things: line breaks and comments in inline tables, a comma after
//! their last entry, the escapes `\e` and `\xHH`, and times without seconds.

use std::fmt;

use toml_parser::Source;
use toml_parser::decoder::Encoding;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// How deep tables and lists may be nested; `toml` has the same limit.
const MAX_DEPTH: u32 = 80;

/// An addition of TOML 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// An inline table goes over several lines.
    LineBreak,
    /// An inline table has a comma after its last entry.
    LastComma,
    /// A string has `\e` or `\xHH`.
    Escape,
    /// A time has no seconds.
    ShortTime,
}

/// Checks a text that `toml` can read. The error is the offset of the first addition in
/// bytes, and which one it is.
pub fn check(text: &str) -> Result<(), (usize, Newer)> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let (mut seen, mut first) = (Seen::default(), None);
    let mut look = |event: Event| {
        let raw = source.get(event.span()).map_or("", |raw| raw.as_str());
        first = first.or_else(|| seen.newer(event, raw));
    };
    let mut guard = RecursionGuard::new(&mut look, MAX_DEPTH);
    // `toml` refuses text that is no TOML at all.
    parse_document(&tokens, &mut guard, &mut ());
    first.map_or(Ok(()), Err)
}

/// The state after the events so far.
#[derive(Default)]
struct Seen {
    /// For each open value, whether it is an inline table. The last is the innermost.
    open: Vec<bool>,
    /// The offset of a comma, if only white space followed it.
    comma: Option<usize>,
}

impl Seen {
    fn newer(&mut self, event: Event, raw: &str) -> Option<(usize, Newer)> {
        let (at, comma) = (event.span().start(), self.comma.take());
        match event.kind() {
            EventKind::ValueSep => self.comma = Some(at),
            EventKind::Whitespace => self.comma = comma,
            _ => {}
        }
        let newer = match event.kind() {
            EventKind::InlineTableOpen => {
                self.open.push(true);
                return None;
            }
            EventKind::ArrayOpen => {
                self.open.push(false);
                return None;
            }
            EventKind::ArrayClose => {
                self.open.pop();
                return None;
            }
            EventKind::InlineTableClose => {
                self.open.pop();
                return comma.map(|at| (at, Newer::LastComma));
            }
            EventKind::Newline if self.open.last() == Some(&true) => Newer::LineBreak,
            EventKind::Scalar | EventKind::SimpleKey => match event.encoding() {
                None if is_short_time(raw) => Newer::ShortTime,
                Some(Encoding::BasicString | Encoding::MlBasicString) if has_newer_escape(raw) => {
                    Newer::Escape
                }
                _ => return None,
            },
            _ => return None,
        };
        Some((at, newer))
    }
}

/// Whether a string, as it is written, has an escape of TOML 1.1.
fn has_newer_escape(raw: &str) -> bool {
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && matches!(characters.next(), Some('e' | 'x')) {
            return true;
        }
    }
    false
}

/// Whether a value is a time whose minutes no seconds follow. A key never has a colon.
fn is_short_time(raw: &str) -> bool {
    raw.find(':').is_some_and(|at| raw.as_bytes().get(at + 3) != Some(&b':'))
}

/// The addition, and what to write instead.
impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Newer::LineBreak => {
                "TOML 1.0 has { … } on one line; write it so, or write the entry as a [[case]] \
                 of several lines"
            }
            Newer::LastComma => "TOML 1.0 has no comma before the } of { … }; leave it out",
            Newer::Escape => "TOML 1.0 has no escapes \\e and \\xHH; write \\u00HH",
            Newer::ShortTime => "TOML 1.0 has no time without seconds; write 07:32:00",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Newer, check};

    #[test]
    fn only_what_toml_1_0_allows_is_allowed() {
        for (text, newer) in [
            ("a = { b = 1, c = { d = 2 } }\n", None),
            ("a = [\n  { b = [ 1,\n 2, ] },\n  # a comment\n]\n", None),
            ("a = { b = [\n1,\n2,\n], c = 3 }", None),
            ("a = { b = \"\"\"\n\"\"\" }", None),
            ("a = { }\nb = [ { }, ]", None),
            ("[a]\nb = 1\n[[c]]\nd = 07:32:01\n", None),
            ("a = 1979-05-27T07:32:00-07:00", None),
            (r#"a = "\\e\\x41 \u001B""#, None),
            (r"a = '\e\x41'", None),
            ("\"a:b\" = 1", None),
            ("a = { b = 1,\n c = 2 }", Some(Newer::LineBreak)),
            ("a = [ { b = [1,\n2],\n c = 2 } ]", Some(Newer::LineBreak)),
            ("a = { b = 1 # a comment\n}", Some(Newer::LineBreak)),
            ("a = { b = 1, }", Some(Newer::LastComma)),
            ("a = { b = { c = 1 , } }", Some(Newer::LastComma)),
            (r#"a = "\e[2J""#, Some(Newer::Escape)),
            (r#"a = "\\\x41""#, Some(Newer::Escape)),
            (r#""\x41" = 1"#, Some(Newer::Escape)),
            ("a = \"\"\"\n\\e\"\"\"", Some(Newer::Escape)),
            ("a = 07:32", Some(Newer::ShortTime)),
            ("a = 1979-05-27T07:32-07:00", Some(Newer::ShortTime)),
            ("a = 1979-05-27 07:32Z", Some(Newer::ShortTime)),
        ] {
            toml::from_str::<toml::Table>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(check(text).err().map(|(_, newer)| newer), newer, "{text}");
        }
    }

    #[test]
    fn place_is_that_of_the_line_break_comma_or_value() {
        assert_eq!(check("a = { b = 1,\n c = 2 }"), Err((12, Newer::LineBreak)));
        assert_eq!(check("a = { b = 1 , }"), Err((12, Newer::LastComma)));
        assert_eq!(check("a = 1\nb = 07:32"), Err((10, Newer::ShortTime)));
    }
}
