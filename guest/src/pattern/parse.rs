//! The text of a pattern, parsed.

use super::tail::Token;
use super::{Capture, Name, Pattern, Tail, narrow};
use crate::path::is_unusable;
use crate::percent;

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It does not begin with `/`.
    NoSlash,
    /// A `%` without two hexadecimal digits, or escapes of what is no text.
    Escape,
    /// No path has a name like this: `.`, `..`, or one with a backslash, a control character or an
    /// escaped `/`.
    NamesNothing,
    /// A placeholder stands in it twice, or is called `splat`.
    Twice,
    /// It has more than [`MAX_NAMES`] names, or is longer than [`MAX_BYTES`].
    TooLong,
    /// It has more than [`MAX_WILDCARDS`] wildcards beside whole names.
    TooManyWildcards,
    /// It has more than [`MAX_PLACEHOLDERS`].
    TooManyPlaceholders,
}

/// Names of a pattern. No path of a site is deeper.
pub const MAX_NAMES: usize = 64;

/// Bytes of a pattern: as many as the longest request line.
pub const MAX_BYTES: usize = 8 << 10;

/// Placeholders of one pattern.
pub const MAX_PLACEHOLDERS: usize = 16;

/// Wildcards in the tail of one pattern. Each may cost a pass over the path.
pub const MAX_WILDCARDS: usize = 8;

impl PatternError {
    /// What is wrong, in words.
    pub fn text(self) -> &'static str {
        match self {
            PatternError::NoSlash => "the pattern does not begin with `/`",
            PatternError::Escape => {
                "the pattern has a malformed percent-escape; write `%25` for a `%`"
            }
            PatternError::NamesNothing => {
                "the pattern has a name that no path has, such as `..`; it can never match"
            }
            PatternError::Twice => {
                "a placeholder stands in the pattern twice, or is called `:splat`, which is what \
                 `*` matches"
            }
            PatternError::TooLong => "the pattern has more than 64 names or 8,192 bytes",
            PatternError::TooManyWildcards => {
                "the pattern has more than eight `*` and placeholders that are parts of names"
            }
            PatternError::TooManyPlaceholders => "the rule has more than 16 placeholders",
        }
    }
}

impl Pattern {
    /// Parses a pattern, as it was written.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if text.len() > MAX_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut pattern = Pattern { names: Vec::new(), tail: None, placeholders: Vec::new() };
        let mut tail = Vec::new();
        let mut wildcards = 0;
        for written in rest.split('/').filter(|name| !name.is_empty()) {
            let start = tail.len();
            if start > 0 {
                push_text(&mut tail, "/");
            }
            let mut rest = written;
            let mut is_first = true;
            loop {
                let (before, wildcard, behind) = split(rest);
                let before = decode(before).ok_or(PatternError::Escape)?;
                if before.bytes().any(is_unusable)
                    || is_first && behind.is_none() && (before == "." || before == "..")
                {
                    return Err(PatternError::NamesNothing);
                }
                match (wildcard, behind) {
                    // A name as a whole, before the tail.
                    (_, None) if is_first && start == 0 => {
                        pattern.names.push(Name::Literal(before));
                    }
                    (Some(name), Some("")) if is_first && start == 0 && before.is_empty() => {
                        let at = pattern.names.len();
                        pattern.know(name, Capture::Name(narrow(at)))?;
                        pattern.names.push(Name::Any);
                    }
                    (wildcard, Some(_)) => {
                        push_text(&mut tail, &before);
                        match wildcard {
                            Some(name) => {
                                pattern.know(name, Capture::Wildcard(narrow(wildcards)))?;
                                tail.push(Token::Part);
                            }
                            None => tail.push(Token::Any),
                        }
                        wildcards += 1;
                    }
                    (_, None) => push_text(&mut tail, &before),
                }
                is_first = false;
                match behind {
                    Some("") | None => break,
                    Some(behind) => rest = behind,
                }
            }
        }
        if pattern.names.len() > MAX_NAMES {
            return Err(PatternError::TooLong);
        }
        if wildcards > MAX_WILDCARDS {
            return Err(PatternError::TooManyWildcards);
        }
        pattern.tail = (!tail.is_empty()).then(|| Tail::new(tail));
        Ok(pattern)
    }

    /// Notes a placeholder.
    fn know(&mut self, name: &str, capture: Capture) -> Result<(), PatternError> {
        if name == "splat" || self.capture(name).is_some() {
            return Err(PatternError::Twice);
        }
        if self.placeholders.len() >= MAX_PLACEHOLDERS {
            return Err(PatternError::TooManyPlaceholders);
        }
        self.placeholders.push((name.to_owned(), capture));
        Ok(())
    }
}

fn push_text(tail: &mut Vec<Token>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Token::Text(before)) = tail.last_mut() {
        before.push_str(text);
    } else {
        tail.push(Token::Text(text.to_owned()));
    }
}

/// Splits a text at its first `*` or placeholder: what stands before it, the name of a placeholder,
/// and what stands behind it.
pub(crate) fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let bytes = text.bytes().enumerate();
    for (at, byte) in bytes {
        let behind = text.get(at + 1..).unwrap_or_default();
        let before = text.get(..at).unwrap_or_default();
        if byte == b'*' {
            return (before, None, Some(behind));
        }
        if byte == b':'
            && let Some(name) = placeholder(behind)
        {
            return (before, Some(name), behind.get(name.len()..));
        }
    }
    (text, None, None)
}

/// The name of the placeholder at the start of a text, which follows a colon. The name begins with
/// a letter: a time, `12:30`, has none.
pub(crate) fn placeholder(text: &str) -> Option<&str> {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = text.bytes().take_while(is_inner).count();
    let name = text.get(..length)?;
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_').then_some(name)
}

/// Decodes percent-escapes, once. `None` for a malformed one, or if the outcome is no text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => percent::byte(bytes.next()?, bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
