//! The path of a URL, decoded once and resolved, as a path below the site's root.

use crate::percent::{self, is_unreserved};

/// A path below the root that can name a file or a directory.
///
/// It is valid UTF-8, and none of its names is empty, `.` or `..`, or contains
/// `/`, a backslash or an ASCII control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePath {
    /// The names with `/` between them, and one at the end of a directory's
    /// path. The root is empty.
    path: String,
}

/// Why a URL's path has no [`SitePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A `%` without two hexadecimal digits after it.
    Escape,
    /// It is well formed and names no file: it leads above the root, or has a name
    /// that no file of a site should have.
    NamesNothing,
}

impl SitePath {
    /// Decodes and resolves the path of a URL, which begins with `/`.
    ///
    /// Percent-escapes are decoded exactly once, before any check: `%2e%2e` is `..`,
    /// and `%252e` is the name `%2e`. An escaped `/` does not separate names
    /// (RFC 3986, section 2.2) and cannot be part of a name either.
    ///
    /// Dot segments are resolved as in RFC 3986, section 5.2.4, with one
    /// difference: `..` at the root names nothing instead of being dropped.
    /// Every browser drops it before it sends a request, so a client that sends it
    /// tries to leave the root. Empty segments count while dots are resolved, as they
    /// do in a browser, and are dropped afterwards: `/a//b` is `/a/b`.
    ///
    /// One buffer and one pass over the bytes: a path of slashes alone costs hardly
    /// more than any other of its length.
    pub fn resolve(path: &str) -> Result<SitePath, Fault> {
        // The names so far, also empty ones, each followed by a `/`.
        let mut names: Vec<u8> = Vec::with_capacity(path.len() + 1);
        let mut start = 0;
        let mut depth = 0_usize;
        let (mut names_nothing, mut has_empty) = (false, false);
        let mut bytes = path.strip_prefix('/').unwrap_or(path).bytes();
        let is_directory = loop {
            let next = bytes.next();
            match next {
                None | Some(b'/') => {}
                Some(b'%') => {
                    let byte = escaped(bytes.next(), bytes.next())?;
                    names_nothing |= is_unusable(byte);
                    names.push(byte);
                    continue;
                }
                Some(byte) => {
                    names_nothing |= is_unusable(byte);
                    names.push(byte);
                    continue;
                }
            }
            // A name has ended.
            let is_directory = match names.get(start..) {
                Some([b'.']) => {
                    names.truncate(start);
                    true
                }
                Some([b'.', b'.']) => {
                    names.truncate(start);
                    // Above the root once is above the root for good.
                    names_nothing |= depth == 0;
                    depth = depth.saturating_sub(1);
                    names.pop();
                    while names.last().is_some_and(|&byte| byte != b'/') {
                        names.pop();
                    }
                    true
                }
                name => {
                    let is_empty = name.is_none_or(<[u8]>::is_empty);
                    has_empty |= is_empty;
                    names.push(b'/');
                    depth += 1;
                    is_empty
                }
            };
            start = names.len();
            if next.is_none() {
                break is_directory;
            }
        };
        if names_nothing {
            return Err(Fault::NamesNothing);
        }
        if has_empty {
            let mut before = b'/';
            names.retain(|&byte| {
                let is_kept = byte != b'/' || before != b'/';
                before = byte;
                is_kept
            });
        }
        if !is_directory {
            names.pop();
        }
        let path = String::from_utf8(names).map_err(|_| Fault::NamesNothing)?;
        Ok(SitePath { path })
    }

    /// Whether the URL named a directory: its path ends in `/`, or is the root.
    pub fn is_directory(&self) -> bool {
        self.path.is_empty() || self.path.ends_with('/')
    }

    /// The names of the path, from the root down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|name| !name.is_empty())
    }

    /// Whether a name begins with a dot. The first name may be this one.
    pub fn has_dot_file_but(&self, allowed: &str) -> bool {
        has_dot_file_but(&self.path, allowed)
    }

    /// The path as text: names with `/` between them, and one at the end of a
    /// directory's path.
    pub fn into_string(self) -> String {
        self.path
    }
}

/// Whether a name of a path begins with a dot. The first name may be the allowed one.
pub(crate) fn has_dot_file_but(path: &str, allowed: &str) -> bool {
    let rest = match path.strip_prefix(allowed) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    };
    let mut before = b'/';
    // One pass over the bytes, as in `resolve`.
    rest.bytes().any(|byte| {
        let is_dot_file = byte == b'.' && before == b'/';
        before = byte;
        is_dot_file
    })
}

/// Escapes a path for a URL: each byte but `/` and the unreserved characters becomes a
/// percent-escape (RFC 3986, sections 2.1 and 2.3).
///
/// The caller must not begin a URL with two slashes: a host would follow them.
pub fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    percent::escape(path, |byte| byte == b'/' || is_unreserved(byte), &mut escaped);
    escaped
}

/// Whether no file name may contain this byte: a separator of some system, or a control
/// character, which could forge a line of a log or a listing.
pub(crate) fn is_unusable(byte: u8) -> bool {
    byte == b'/' || byte == b'\\' || byte.is_ascii_control()
}

/// The byte of a percent-escape, by what stands behind the `%`.
fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, Fault> {
    high.zip(low).and_then(|(high, low)| percent::byte(high, low)).ok_or(Fault::Escape)
}

#[cfg(test)]
mod tests {
    use super::{Fault, SitePath, escape};

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let resolved = match SitePath::resolve(path) {
            Ok(path) => path.into_string(),
            Err(Fault::Escape) => "(escape)".to_owned(),
            Err(Fault::NamesNothing) => "(nothing)".to_owned(),
        };
        assert_eq!(resolved, expected, "for {path:?}");
    }

    #[test]
    fn dot_segments_are_resolved_as_in_rfc_3986() {
        // Section 5.2.4.
        check("/a/b/c/./../../g", "a/g");
        // Section 5.4.1: references resolved against `http://a/b/c/d;p?q`.
        check("/b/c/./g", "b/c/g");
        check("/b/c/g/", "b/c/g/");
        check("/b/c/.", "b/c/");
        check("/b/c/./", "b/c/");
        check("/b/c/..", "b/");
        check("/b/c/../", "b/");
        check("/b/c/../g", "b/g");
        check("/b/c/../..", "");
        check("/b/c/../../g", "g");
        // Section 5.4.2.
        check("/b/c/g.", "b/c/g.");
        check("/b/c/..g", "b/c/..g");
        check("/b/c/./g/.", "b/c/g/");
        check("/b/c/g/../h", "b/c/h");
        check("/b/c/g;x=1/../y", "b/c/y");
    }

    #[test]
    fn one_pass_resolves_as_a_list_of_names_does() {
        // The slow, obvious way: name by name.
        let resolve = |path: &str| {
            let mut names: Vec<&str> = Vec::new();
            let mut is_directory = true;
            for name in path.split('/').skip(1) {
                is_directory = matches!(name, "" | "." | "..");
                match name {
                    "." => {}
                    ".." => drop(names.pop()?),
                    name => names.push(name),
                }
            }
            names.retain(|name| !name.is_empty());
            let end = if is_directory && !names.is_empty() { "/" } else { "" };
            Some(names.join("/") + end)
        };
        // All paths of up to seven of these names.
        let parts = ["", ".", "..", "a", "bc"];
        for mut number in 0..5_usize.pow(7) * 7 {
            let mut path = String::new();
            let count = number % 7 + 1;
            number /= 7;
            for _ in 0..count {
                path = path + "/" + parts[number % 5];
                number /= 5;
            }
            let resolved = SitePath::resolve(&path).ok().map(SitePath::into_string);
            assert_eq!(resolved, resolve(&path), "{path}");
        }
    }

    #[test]
    fn path_above_the_root_names_nothing() {
        check("/..", "(nothing)");
        check("/../g", "(nothing)");
        check("/b/../../b", "(nothing)");
        check("/%2E%2e/g", "(nothing)");
    }

    #[test]
    fn empty_segments_are_dropped_after_dots_are_resolved() {
        check("//", "");
        check("//a//b//", "a/b/");
        check("/a//../b", "a/b");
        check("/a/..//b", "b");
    }

    #[test]
    fn escapes_are_decoded_once() {
        check("/a%20b", "a b");
        check("/%41%62", "Ab");
        check("/100%25", "100%");
        check("/%252e%252e/x", "%2e%2e/x");
        check("/a+b", "a+b");
        check("/%E4%BD%A0", "\u{4f60}");
    }

    #[test]
    fn malformed_escape_is_its_own_fault() {
        check("/%", "(escape)");
        check("/%4", "(escape)");
        check("/%g0", "(escape)");
        check("/%4/1", "(escape)");
        check("/../%", "(escape)");
    }

    #[test]
    fn name_that_no_file_should_have_names_nothing() {
        check("/a%2fb", "(nothing)");
        check("/a\\b", "(nothing)");
        check("/a%5Cb", "(nothing)");
        check("/a%00", "(nothing)");
        check("/a%0A", "(nothing)");
        check("/%ff", "(nothing)");
        check("/%ed%a0%80", "(nothing)");
    }

    #[test]
    fn escaped_path_resolves_to_itself() {
        assert_eq!(escape("a/b-c._~/"), "a/b-c._~/");
        assert_eq!(escape("100% \u{e9}?#\"<"), "100%25%20%C3%A9%3F%23%22%3C");
        for path in ["a b/c", "%41", "a+b&c=d;e", "\u{4f60}/\u{597d}.html", "docs/"] {
            check(&["/", &escape(path)].concat(), path);
        }
    }
}
