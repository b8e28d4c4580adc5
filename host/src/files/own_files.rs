//! Files that the server itself uses: keys, tokens, logs. Where they lie beneath a root, they are
//! not for clients.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that are followed to a file at most, as the kernel does (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A file or a directory that the server itself uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// The flag of the setting that names it, or has it as its default.
    pub flag: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a log: old ones lie beside it, with a date or a number behind the name.
    pub is_log: bool,
}

/// The paths below this root by which a file is reached; none where it lies elsewhere. The file
/// need not be there yet.
pub fn paths_below(root: &Path, file: &Path) -> Vec<String> {
    let (stated, found) = (std::path::absolute(root), root.canonicalize());
    let mut all = Vec::new();
    let mut note = |path: &Path| {
        for root in [&stated, &found].into_iter().flatten() {
            if let Ok(below) = path.strip_prefix(root)
                && let Some(below) = below.to_str().filter(|below| !below.is_empty())
            {
                all.push(below.to_owned());
            }
        }
    };
    let mut next = std::path::absolute(file).ok();
    // Each link on the way to it is a name of it, too.
    for _ in 0..=MAX_LINKS {
        let Some(path) = next.take() else { break };
        note(&path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { break };
        let folder = real(folder);
        let path = folder.join(name);
        note(&path);
        next = fs::read_link(&path).ok().map(|target| without_dots(&folder.join(target)));
    }
    all.sort();
    all.dedup();
    all
}

/// The path without links, as far as it leads somewhere.
fn real(path: &Path) -> PathBuf {
    let there = |above: &Path| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    };
    let real = path.ancestors().find_map(there);
    real.map_or_else(|| path.to_owned(), |real| real.components().collect())
}

/// The path without `.` and `..`, as far as it can be told by its names.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::paths_below;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn file_is_found_by_each_of_its_paths_below_the_root() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("root/keys/..new")).expect("folders");
        for file in ["root/plain", "root/keys/..new/key", "outside"] {
            fs::write(at(file), "x").expect("a file");
        }
        symlink("root", at("link")).expect("a link");
        // As Kubernetes mounts secrets.
        symlink("..new", at("root/keys/..data")).expect("a link");
        symlink("..data/key", at("root/keys/key")).expect("a link");
        symlink(at("root/plain"), at("to-plain")).expect("a link");
        symlink("../outside", at("root/to-outside")).expect("a link");
        for root in ["root", "link"] {
            for (file, paths) in [
                ("root/plain", &["plain"][..]),
                ("link/plain", &["plain"]),
                ("to-plain", &["plain"]),
                ("root/later", &["later"]),
                ("link/later/still", &["later/still"]),
                ("root/keys/key", &["keys/..data/key", "keys/..new/key", "keys/key"]),
                ("root/to-outside", &["to-outside"]),
                ("outside", &[]),
                ("root", &[]),
                ("", &[]),
            ] {
                assert_eq!(paths_below(&at(root), &at(file)), paths, "{root} {file}");
            }
        }
    }
}
