//! Patterns of paths: `/a/:name/*`, as rules of static sites have them.
//!
//! A pattern has names between slashes. `:name` stands for a name or a part of one, at least one
//! character of it, and `*` for any characters, also slashes and none. Both take as much as they
//! can. Letter case matters. A `/` at the end does not: `/a` and `/a/` are one pattern, and both
//! match both paths. `/a/*` matches `/a` too.
//!
//! Percent-escapes of a pattern are decoded once, when it is parsed, and it is held against
//! decoded paths, as [`SitePath`](crate::SitePath) makes them.
//!
//! ```
//! use innkeeper_guest::pattern::Pattern;
//!
//! let pattern = Pattern::parse("/blog/:year/*").expect("a pattern");
//! let captures = pattern.matches("blog/2026/a/b").expect("a match");
//! let value = |name| captures.get(pattern.capture(name).expect("a placeholder"));
//! assert_eq!((value("year"), value("splat")), ("2026", "a/b"));
//! assert!(pattern.matches("blog").is_none());
//! ```

mod parse;
mod tail;

pub use parse::{MAX_BYTES, MAX_NAMES, MAX_PLACEHOLDERS, MAX_WILDCARDS, PatternError};
#[cfg(feature = "rules")]
pub(crate) use parse::{decode, placeholder, split};
pub(crate) use tail::Tail;
#[cfg(all(test, feature = "rules"))]
pub(crate) use tail::tests::steps;

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The names before the tail.
    names: Vec<Name>,
    /// From the first name that has a wildcard and is not a placeholder as a whole.
    tail: Option<Tail>,
    /// What the placeholders are called.
    placeholders: Vec<(String, Capture)>,
}

/// One name of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// This name.
    Literal(String),
    /// Any name: a placeholder.
    Any,
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// The name at this place of the path, counted from 0.
    Name(u16),
    /// The wildcard at this place of the tail, counted from 0.
    Wildcard(u16),
}

impl Pattern {
    /// What the placeholder of this name stands for: one of the pattern's own, or `splat`, which
    /// is the first `*`.
    pub fn capture(&self, name: &str) -> Option<Capture> {
        if name == "splat" {
            let at = self.tail.as_ref()?.splat()?;
            return Some(Capture::Wildcard(narrow(at)));
        }
        self.placeholders.iter().find(|(known, _)| known == name).map(|&(_, capture)| capture)
    }

    /// Placeholders, each of another name.
    #[cfg(feature = "rules")]
    pub(crate) fn placeholders(&self) -> usize {
        self.placeholders.len()
    }

    /// The names before the tail.
    #[cfg(feature = "rules")]
    pub(crate) fn names(&self) -> &[Name] {
        &self.names
    }

    /// What follows the names.
    #[cfg(feature = "rules")]
    pub(crate) fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// Whether it has neither a placeholder nor a `*`: it matches one path.
    pub fn is_exact(&self) -> bool {
        self.tail.is_none() && self.placeholders.is_empty()
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
        let wildcards = match &self.tail {
            None => names.next().is_none().then(Vec::new),
            Some(tail) => tail.matches(rest_of(path, self.names.len())?),
        };
        Some(Captures { path, wildcards: wildcards? })
    }
}

/// What the placeholders of a pattern stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captures<'p> {
    /// The path that was matched.
    pub(crate) path: &'p str,
    /// What each wildcard of the tail stands for.
    pub(crate) wildcards: Vec<&'p str>,
}

impl<'p> Captures<'p> {
    /// What a placeholder of the pattern stands for. A `*` at the end has the `/` at the end of a
    /// directory's path.
    pub fn get(&self, capture: Capture) -> &'p str {
        let found = match capture {
            Capture::Name(at) => self.path.split('/').nth(usize::from(at)),
            Capture::Wildcard(at) => self.wildcards.get(usize::from(at)).copied(),
        };
        found.unwrap_or_default()
    }
}

/// What follows the first names of a path, without a `/` before it. `None` if it has fewer names.
fn rest_of(path: &str, names: usize) -> Option<&str> {
    let mut rest = path;
    for _ in 0..names {
        if rest.is_empty() {
            return None;
        }
        rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    }
    Some(rest)
}

/// A small number: patterns are short.
fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAMES, MAX_PLACEHOLDERS, Pattern, PatternError};

    /// Whether the pattern matches, and what `*` stands for.
    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<&str>) {
        let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
        let splat = parsed
            .matches(path)
            .map(|captures| parsed.capture("splat").map_or("", |splat| captures.get(splat)));
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
        check("/*a*b*", "xaxayb", Some("xax"));
        check("/*a*b*", "xbya", None);
        check("/x-*/y", "x-/y", Some(""));
        // Both ends do not overlap.
        check("/ab*ba", "aba", None);
    }

    #[test]
    fn placeholder_stands_for_a_name_or_a_part_of_one() {
        #[track_caller]
        fn check(pattern: &str, path: &str, expected: Option<&[(&str, &str)]>) {
            let pattern = Pattern::parse(pattern).expect("a pattern");
            let captures = pattern.matches(path);
            assert_eq!(captures.is_some(), expected.is_some(), "{pattern:?} on {path:?}");
            let Some(captures) = captures else { return };
            for (name, value) in expected.unwrap_or_default() {
                let capture = pattern.capture(name).expect("a placeholder");
                assert_eq!(captures.get(capture), *value, "{name} of {pattern:?} on {path:?}");
            }
        }
        let date = [("year", "2026"), ("month", "11"), ("splat", "x/y")];
        check("/a/:year/:month/*", "a/2026/11/x/y", Some(&date));
        check("/a/:year/:month/*", "a/2026", None);
        check("/blog-:year", "blog-2026", Some(&[("year", "2026")]));
        check("/blog-:year", "blog-2026/", Some(&[("year", "2026")]));
        check("/blog-:year", "blog-", None);
        check("/blog-:year", "blog-2026/x", None);
        check("/:slug.html", "a.b.html", Some(&[("slug", "a.b")]));
        check("/:a-:b/*", "x-y-z/w", Some(&[("a", "x-y"), ("b", "z"), ("splat", "w")]));
        check("/*/:last", "a/b/c", Some(&[("splat", "a/b"), ("last", "c")]));
        check("/:a:b", "\u{e9}\u{e8}", Some(&[("a", "\u{e9}"), ("b", "\u{e8}")]));
        check("/:a", "", None);
        check("/:a", "x/y", None);
        // No placeholder at all.
        check("/at/12:30", "at/12:30", Some(&[]));
        check("/:80", ":80", Some(&[]));
    }

    #[test]
    fn escapes_are_decoded_once() {
        check("/a%20b", "a b", Some(""));
        check("/%2541", "%41", Some(""));
        check("/caf%C3%A9", "caf\u{e9}", Some(""));
        check("/caf\u{e9}", "caf\u{e9}", Some(""));
        check("/a%2A", "a*", Some(""));
        check("/a%2A", "ab", None);
        check("/%3Aa", ":a", Some(""));
        check("/%3Aa", "b", None);
    }

    #[test]
    fn text_that_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::NoSlash),
            ("a", PatternError::NoSlash),
            ("/%", PatternError::Escape),
            ("/%ff", PatternError::Escape),
            ("/a/../b", PatternError::NamesNothing),
            ("/*/%2e%2E", PatternError::NamesNothing),
            ("/a%2Fb", PatternError::NamesNothing),
            ("/a\\b", PatternError::NamesNothing),
            ("/a\0", PatternError::NamesNothing),
            ("/:a/:a", PatternError::Twice),
            ("/:a/*/:a", PatternError::Twice),
            ("/:splat", PatternError::Twice),
            ("/*********", PatternError::TooManyWildcards),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Pattern::parse(&"/a".repeat(MAX_NAMES + 1)), Err(PatternError::TooLong));
        let placeholders = |number| (0..number).map(|at| format!("/:p{at}")).collect::<String>();
        assert!(Pattern::parse(&placeholders(MAX_PLACEHOLDERS)).is_ok());
        let error = Pattern::parse(&placeholders(MAX_PLACEHOLDERS + 1));
        assert_eq!(error, Err(PatternError::TooManyPlaceholders));
    }
}
