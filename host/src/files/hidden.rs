//! Files of a root that are never served, whatever a guest decides: those that rules are read from,
//! and those that the server itself uses.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::encodings::CODINGS;
use super::own_files::{OwnFile, paths_below};

/// Paths below a root that are never served: they are missing, with all that is beneath them and
/// their compressed forms, and no listing shows them.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// Those of the server. They are hidden as long as the root is open.
    own: Vec<Name>,
    all: ArcSwap<Vec<Name>>,
}

/// A path that is hidden.
#[derive(Clone, Debug)]
struct Name {
    path: String,
    /// Whether the same with a number or a date behind it is, too.
    is_log: bool,
}

impl Hidden {
    /// Hides the files that the server itself uses, as far as they lie beneath this root.
    pub(super) fn own(root: &Path, files: &[OwnFile]) -> Hidden {
        let names = |file: &OwnFile| {
            let is_log = file.is_log;
            let name = move |path: String| Name { path: folded(&path), is_log };
            paths_below(root, &file.path).into_iter().map(name)
        };
        let own: Vec<_> = files.iter().flat_map(names).collect();
        Hidden { all: ArcSwap::from_pointee(own.clone()), own }
    }

    /// Hides these and no others, besides those of the server. Lookups that a busy worker has
    /// cached are valid for their moment.
    pub(super) fn set(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) {
        let name = |path: &str| Name { path: folded(path), is_log: false };
        let more = paths.into_iter().map(|path| name(path.as_ref()));
        self.all.store(Arc::new(self.own.iter().cloned().chain(more).collect()));
    }

    /// Whether this path below the root is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        let hidden = self.all.load();
        let first = path.as_bytes().first().map(u8::to_ascii_lowercase);
        // Most paths begin with another letter, and need not be folded.
        let begins = |hidden: &Name| hidden.path.as_bytes().first().copied() == first;
        if first.is_none_or(|first| first.is_ascii()) && !hidden.iter().any(begins) {
            return false;
        }
        let path = folded(path);
        // Where case does not count, other letters than those of ASCII may not count either.
        let bare: String = path.chars().filter(char::is_ascii).collect();
        let uncompressed =
            |path| CODINGS.iter().find_map(|coding| str::strip_suffix(path, coding.extension()));
        let is_at = |path: &str, hidden: &Name| {
            let is_old = |rest: &str| {
                let rest = rest.strip_prefix(['.', '-']);
                rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
            };
            let rest = path.strip_prefix(&hidden.path);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || hidden.is_log && is_old(rest)
            })
        };
        hidden.iter().any(|hidden| {
            let path = if hidden.path.is_ascii() { &bare } else { &path };
            is_at(path, hidden) || uncompressed(path).is_some_and(|path| is_at(path, hidden))
        })
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
    use crate::files::OwnFile;
    use std::path::Path;

    #[test]
    fn own_files_stay_hidden_and_old_logs_with_them() {
        let own = |path: &str, is_log| OwnFile { flag: "x", path: path.into(), is_log };
        let hidden = Hidden::own(
            Path::new("/a/root"),
            &[own("/a/root/k.pem", false), own("/a/root/l/a.log", true), own("/a/b", false)],
        );
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
