//! Files of a root that are never served, whatever a guest decides: those that rules are read from,
//! and those that the server itself uses.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::encodings::CODINGS;
use super::own_files::OwnFiles;
use crate::lock::lock;

/// Paths below a root that are never served: they are missing, with all that is beneath them and
/// their compressed forms, and no listing shows them.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// The paths of the root.
    root: Vec<PathBuf>,
    parts: Mutex<Parts>,
    all: ArcSwap<Names>,
}

/// The paths that are hidden, by who wants it.
#[derive(Debug, Default)]
struct Parts {
    /// The server, as these are its own files: whether each is a log.
    own: Vec<(String, bool)>,
    /// Rules.
    others: Vec<String>,
}

/// Paths that are hidden, in the form to be compared.
#[derive(Debug, Default)]
struct Names {
    /// Whether the same with a number or a date behind it is hidden, too.
    is_log: HashMap<String, bool>,
    /// The letters of ASCII with which one of them begins, as bits.
    first: u128,
}

impl Hidden {
    /// In the root with these paths, none yet.
    pub(super) fn beneath(root: Vec<PathBuf>) -> Hidden {
        Hidden { root, ..Hidden::default() }
    }

    /// Hides these files of the server and no others of it, as far as they lie beneath this root.
    pub(super) fn set_own<'o>(&self, files: impl IntoIterator<Item = &'o OwnFiles>) {
        let below = files.into_iter().flat_map(|files| files.below(&self.root));
        let own = below.map(|(file, path)| (path, file.is_log)).collect();
        self.change(|parts| parts.own = own);
    }

    /// Hides these and no others, besides those of the server. Lookups that a busy worker has
    /// cached are valid for their moment.
    pub(super) fn set(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) {
        let others = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        self.change(|parts| parts.others = others);
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = lock(&self.parts);
        change(&mut parts);
        let own = parts.own.iter().map(|(path, is_log)| (path, *is_log));
        let all = own.chain(parts.others.iter().map(|path| (path, false)));
        self.all.store(Arc::new(Names::of(all)));
    }

    /// Whether this path below the root is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        let hidden = self.all.load();
        if hidden.is_log.is_empty() {
            return false;
        }
        // Most paths begin with another letter, and need not be folded.
        let first = path.as_bytes().first().map(u8::to_ascii_lowercase);
        if first.is_none_or(|first| first.is_ascii() && hidden.first & 1 << first == 0) {
            return false;
        }
        let path = folded(path);
        // Where case does not count, other letters than those of ASCII may not count either.
        let bare: String = path.chars().filter(char::is_ascii).collect();
        let uncompressed =
            |path| CODINGS.iter().find_map(|coding| str::strip_suffix(path, coding.extension()));
        [(&path, false), (&bare, true)].into_iter().any(|(path, is_bare)| {
            let has = |path| hidden.has(path, is_bare);
            has(path) || uncompressed(path).is_some_and(has)
        })
    }
}

impl Names {
    fn of<'p>(paths: impl Iterator<Item = (&'p String, bool)>) -> Names {
        let mut names = Names::default();
        for (path, is_log) in paths {
            let path = folded(path);
            if let Some(first) = path.bytes().next().filter(u8::is_ascii) {
                names.first |= 1 << first;
            }
            *names.is_log.entry(path).or_default() |= is_log;
        }
        names
    }

    /// Whether this path, a folder above it, or the log whose old one it is, is one of them. In a path
    /// of ASCII alone names of ASCII alone are found.
    fn has(&self, path: &str, is_ascii: bool) -> bool {
        let is_one = |end: usize| {
            let is_log = self.is_log.get_key_value(&path[..end]);
            is_log.filter(|(name, _)| name.is_ascii() == is_ascii).map(|(_, is_log)| *is_log)
        };
        let bytes = path.as_bytes();
        let ends = bytes.iter().enumerate().any(|(at, byte)| match byte {
            b'/' => is_one(at).is_some(),
            b'.' | b'-' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                is_one(at) == Some(true)
            }
            _ => false,
        });
        ends || is_one(path.len()).is_some()
    }
}

/// The path as a file system may read it that tells fewer names apart: without regard to case, and
/// without dots and spaces at the end of a name (FAT).
fn folded(path: &str) -> String {
    let names = path.trim_matches('/').split('/').map(|name| name.trim_end_matches(['.', ' ']));
    let names: Vec<_> = names.map(|name| name.chars().map(lower).collect::<String>()).collect();
    names.join("/")
}

/// A letter in lower case, if that is one letter.
fn lower(letter: char) -> char {
    match letter {
        // The two that case makes letters of ASCII.
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => {
            let mut lower = letter.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(letter)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hidden;
    use crate::files::{OwnFile, OwnFiles};

    #[test]
    fn own_files_stay_hidden_and_old_logs_with_them() {
        let own = |path: &str, is_log| OwnFile { flag: "x", path: path.into(), is_log };
        let hidden = Hidden::beneath(vec!["/a/root".into()]);
        hidden.set_own([&OwnFiles::resolve(vec![
            own("/a/root/k.pem", false),
            own("/a/root/l/a.log", true),
            own("/a/b", false),
        ])]);
        for paths in [&[][..], &["_headers"]] {
            hidden.set(paths);
            for path in ["k.pem", "k.pem.gz", "l/a.log", "l/A.log.1", "l/a.log-20261130.gz"] {
                assert!(hidden.has(path), "{path}");
            }
            for path in ["k.pem.1", "l", "l/a.log.html", "l/a-1.log", "b"] {
                assert!(!hidden.has(path), "{path}");
            }
            assert_eq!(hidden.has("_headers"), !paths.is_empty());
        }
    }

    #[test]
    fn forms_of_hidden_names_and_what_is_beneath_are_hidden() {
        let hidden = Hidden::default();
        assert!(!hidden.has("_redirects"));
        hidden.set(["_redirects", "conf/users", "\u{e9}t\u{e9}", "\u{7b26}"]);
        for path in [
            "_redirects",
            "_redirects.gz",
            "_redirects.br",
            "_Redirects.ZST",
            "_redirects/a",
            "_REDIRECTS",
            "_redirect\u{17f}",
            "_redirects\u{200d}",
            "_redirects. ",
            "conf/users",
            "conf/Users.gz",
            "\u{c9}t\u{e9}.gz",
            "\u{7b26}",
        ] {
            assert!(hidden.has(path), "{path}");
        }
        for path in [
            "",
            "_redirects2",
            "a/_redirects",
            "_redirects.gz.txt",
            "conf",
            "users",
            "\u{e8}t\u{e9}",
            "\u{7b27}",
        ] {
            assert!(!hidden.has(path), "{path}");
        }
    }
}
