//! Patterns of paths: `/a/:name/*`, as rules of static sites have them.
//!
//! A pattern has names between slashes. `:name` stands for one whole name, and `*` for any
//! characters, also slashes and none. Letter case matters. A `/` at the end does not: `/a` and
//! `/a/` are one pattern, and both match both paths. `/a/*` matches `/a` too.
//!
//! Percent-escapes of a pattern are decoded once, when it is parsed, and it is held against
//! decoded paths, as [`SitePath`](crate::SitePath) makes them.

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The names before the first `*`.
    names: Vec<Name>,
    /// What follows them, if there is a `*`: decoded, without a `/` before it or at its end.
    /// Every `*` is a wildcard.
    tail: Option<String>,
}

/// One name of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// This name.
    Literal(String),
    /// Any name, known by this placeholder.
    Placeholder(String),
}

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
    /// A placeholder is not a whole name, or stands behind a `*`.
    Placeholder,
    /// A placeholder stands in it twice, or is called `splat`.
    Twice,
    /// It has more than [`MAX_NAMES`] names, or is longer than [`MAX_BYTES`].
    TooLong,
    /// It has more than [`MAX_WILDCARDS`] `*`.
    TooManyWildcards,
}

/// Names of a pattern. No path of a site is deeper.
pub const MAX_NAMES: usize = 64;

/// Bytes of a pattern: as many as the longest request line.
pub const MAX_BYTES: usize = 8 << 10;

/// `*` of one pattern. Each may cost a pass over the path.
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
            PatternError::Placeholder => {
                "a placeholder is a whole part of the path, before any `*`, as in `/a/:name/b`"
            }
            PatternError::Twice => {
                "a placeholder stands in the pattern twice, or is called `:splat`, which is what \
                 `*` matches"
            }
            PatternError::TooLong => "the pattern has more than 64 names or 8,192 bytes",
            PatternError::TooManyWildcards => "the pattern has more than eight `*`",
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
        let mut pattern = Pattern { names: Vec::new(), tail: None };
        for written in rest.split('/').filter(|name| !name.is_empty()) {
            let name = decode(written).ok_or(PatternError::Escape)?;
            if name == "." || name == ".." || name.bytes().any(is_unusable) {
                return Err(PatternError::NamesNothing);
            }
            if let Some(tail) = &mut pattern.tail {
                if placeholder(written)? {
                    return Err(PatternError::Placeholder);
                }
                if !tail.is_empty() {
                    tail.push('/');
                }
                tail.push_str(&name);
            } else if written.contains('*') {
                if written.starts_with(':') {
                    return Err(PatternError::Placeholder);
                }
                pattern.tail = Some(name);
            } else if placeholder(written)? {
                let name = written.get(1..).unwrap_or_default();
                if name == "splat" || pattern.placeholders().any(|(_, other)| other == name) {
                    return Err(PatternError::Twice);
                }
                pattern.names.push(Name::Placeholder(name.to_owned()));
            } else {
                pattern.names.push(Name::Literal(name));
            }
        }
        if pattern.names.len() > MAX_NAMES {
            return Err(PatternError::TooLong);
        }
        let wildcards = |tail: &String| tail.bytes().filter(|&byte| byte == b'*').count();
        if pattern.tail.as_ref().is_some_and(|tail| wildcards(tail) > MAX_WILDCARDS) {
            return Err(PatternError::TooManyWildcards);
        }
        Ok(pattern)
    }

    /// The names before the first `*`.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// What follows the names, if there is a `*`: `*`, `*.html`, `a*/b*`.
    pub fn tail(&self) -> Option<&str> {
        self.tail.as_deref()
    }

    /// The placeholders, and which name of the path each stands for, counted from 0.
    pub fn placeholders(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names.iter().enumerate().filter_map(|(at, name)| match name {
            Name::Placeholder(placeholder) => Some((at, placeholder.as_str())),
            Name::Literal(_) => None,
        })
    }

    /// Whether the pattern matches this path: one below the root, decoded and without a `/` before
    /// it, as [`SitePath`](crate::SitePath) has it. If so, what its placeholders stand for.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        for expected in &self.names {
            let name = names.next()?;
            if matches!(expected, Name::Literal(literal) if literal != name) {
                return None;
            }
        }
        match &self.tail {
            None => names.next().is_none().then_some(Captures { path, splat: "" }),
            Some(tail) => {
                let splat = match_tail(tail, rest_of(path, self.names.len())?)?;
                Some(Captures { path, splat })
            }
        }
    }
}

/// What the placeholders of a pattern stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captures<'p> {
    /// The path that was matched.
    pub path: &'p str,
    /// What the first `*` stands for, with the `/` at the end of a directory's path.
    pub splat: &'p str,
}

impl<'p> Captures<'p> {
    /// The name at this place of the path, counted from 0.
    pub fn name(&self, at: usize) -> &'p str {
        self.path.split('/').nth(at).unwrap_or_default()
    }
}

/// What follows the first names of a path, without a `/` before it. `None` if it has fewer names.
pub(crate) fn rest_of(path: &str, names: usize) -> Option<&str> {
    let mut rest = path;
    for _ in 0..names {
        if rest.is_empty() {
            return None;
        }
        rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    }
    Some(rest)
}

/// What the first `*` of a tail stands for, if the tail matches this text.
///
/// A `*` stands for as little as it can, and the last one for the rest; with a single `*` there is
/// no choice. Each character is looked at once for each character of the tail, at worst.
pub(crate) fn match_tail<'p>(tail: &str, text: &'p str) -> Option<&'p str> {
    if tail == "*" {
        return Some(text);
    }
    // A `/` at the end is significant to a `*` there alone.
    let whole = text;
    let text = if tail.ends_with('*') { text } else { text.strip_suffix('/').unwrap_or(text) };
    let (before, behind) = tail.split_once('*')?;
    let text = text.strip_prefix(before)?;
    let Some((between, last)) = behind.rsplit_once('*') else {
        return text.strip_suffix(behind);
    };
    let mut rest = text.strip_suffix(last)?;
    let mut splat = None;
    for part in between.split('*') {
        let at = rest.find(part)?;
        let (skipped, behind) = rest.split_at_checked(at)?;
        splat.get_or_insert(skipped);
        rest = behind.strip_prefix(part)?;
    }
    splat.or(Some(whole))
}

/// Whether a name, as it was written, is a placeholder.
fn placeholder(written: &str) -> Result<bool, PatternError> {
    let Some(name) = written.strip_prefix(':') else { return Ok(false) };
    match name.as_bytes() {
        // A time, `:30`, is no placeholder.
        [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => {}
        _ => return Ok(false),
    }
    if name.bytes().all(is_name_byte) { Ok(true) } else { Err(PatternError::Placeholder) }
}

/// Whether the byte may stand in the name of a placeholder.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Decodes percent-escapes, once. `None` for a malformed one, or if the outcome is no text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The value of one hexadecimal digit.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether no name of a path has this byte.
pub(crate) fn is_unusable(byte: u8) -> bool {
    byte == b'/' || byte == b'\\' || byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, Pattern, PatternError, match_tail};

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<&str>) {
        let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
        let splat = parsed.matches(path).map(|captures| captures.splat);
        assert_eq!(splat, expected, "{pattern} on {path:?}");
    }

    #[test]
    fn slash_at_the_end_does_not_matter() {
        for pattern in ["/a/b", "/a/b/", "/a//b"] {
            check(pattern, "a/b", Some(""));
            check(pattern, "a/b/", Some(""));
            check(pattern, "a", None);
            check(pattern, "a/b/c", None);
        }
        check("/", "", Some(""));
        check("/", "a", None);
    }

    #[test]
    fn star_stands_for_the_rest() {
        check("/*", "", Some(""));
        check("/*", "a/b/", Some("a/b/"));
        check("/news/*", "news", Some(""));
        check("/news/*", "news/", Some(""));
        check("/news/*", "news/a/b", Some("a/b"));
        check("/news/*", "newsletter", None);
        check("/news*", "newsletter", Some("letter"));
    }

    #[test]
    fn star_between_others_stands_for_any_characters() {
        check("/*.html", "a/b.html", Some("a/b"));
        check("/*.html", "a/b.html/", Some("a/b"));
        check("/*.html", "a/b.htm", None);
        check("/a/*/z", "a/b/c/z", Some("b/c"));
        check("/a/*/z", "a/z", None);
        check("/*a*b*", "xaybz", Some("x"));
        check("/*a*b*", "xbya", None);
        // Both ends do not overlap.
        check("/ab*ba", "aba", None);
    }

    #[test]
    fn placeholder_stands_for_one_name() {
        let pattern = Pattern::parse("/a/:year/:month/*").expect("a pattern");
        assert_eq!(pattern.placeholders().collect::<Vec<_>>(), [(1, "year"), (2, "month")]);
        let captures = pattern.matches("a/2026/11/x/y").expect("a match");
        assert_eq!((captures.name(1), captures.name(2)), ("2026", "11"));
        assert_eq!(captures.splat, "x/y");
        assert_eq!(pattern.matches("a/2026"), None);
        check("/:a", "", None);
        check("/:a", "x/y", None);
        // No placeholder at all.
        check("/at/12:30", "at/12:30", Some(""));
        check("/:80", ":80", Some(""));
    }

    #[test]
    fn escapes_are_decoded_once() {
        check("/a%20b", "a b", Some(""));
        check("/%2541", "%41", Some(""));
        check("/caf%C3%A9", "caf\u{e9}", Some(""));
        check("/caf\u{e9}", "caf\u{e9}", Some(""));
    }

    #[test]
    fn text_that_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::NoSlash),
            ("a", PatternError::NoSlash),
            ("/%", PatternError::Escape),
            ("/%ff", PatternError::Escape),
            ("/a/../b", PatternError::NamesNothing),
            ("/a%2Fb", PatternError::NamesNothing),
            ("/a\\b", PatternError::NamesNothing),
            ("/a\0", PatternError::NamesNothing),
            ("/:a.html", PatternError::Placeholder),
            ("/:a*", PatternError::Placeholder),
            ("/*/:a", PatternError::Placeholder),
            ("/:a/:a", PatternError::Twice),
            ("/:splat", PatternError::Twice),
            ("/*********", PatternError::TooManyWildcards),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Pattern::parse(&"/a".repeat(MAX_NAMES + 1)), Err(PatternError::TooLong));
    }

    #[test]
    fn pattern_made_to_blow_up_is_linear() {
        let text = "a".repeat(8_000);
        let began = std::time::Instant::now();
        for _ in 0..100 {
            assert_eq!(match_tail("*a*a*a*a*a*a*a*b", &text), None);
            assert_eq!(match_tail("*ab*ab*ab*ab*ab*ab*", &text), None);
        }
        assert!(began.elapsed().as_secs() < 5);
    }
}
