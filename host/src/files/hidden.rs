//! Files of a root that are never served, whatever a guest decides: those that rules are read from.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::encodings::CODINGS;

/// Paths below a root that are never served: they are missing, with all that is beneath them and
/// their compressed forms, and no listing shows them.
#[derive(Debug, Default)]
pub(super) struct Hidden(ArcSwap<Vec<String>>);

impl Hidden {
    /// Hides these and no others. Lookups that a busy worker has cached are valid for their moment.
    pub(super) fn set(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) {
        self.0.store(Arc::new(paths.into_iter().map(|path| folded(path.as_ref())).collect()));
    }

    /// Whether this path below the root is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        let hidden = self.0.load();
        let first = path.as_bytes().first().map(u8::to_ascii_lowercase);
        // Most paths begin with another letter, and need not be folded.
        let begins = |hidden: &String| hidden.as_bytes().first().copied() == first;
        if first.is_none_or(|first| first.is_ascii()) && !hidden.iter().any(begins) {
            return false;
        }
        let path = folded(path);
        // Where case does not count, other letters than those of ASCII may not count either.
        let bare: String = path.chars().filter(char::is_ascii).collect();
        let uncompressed =
            |path| CODINGS.iter().find_map(|coding| str::strip_suffix(path, coding.extension()));
        let is_at = |path: &str, hidden: &str| {
            let rest = path.strip_prefix(hidden);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        hidden.iter().any(|hidden| {
            let path = if hidden.is_ascii() { &bare } else { &path };
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
