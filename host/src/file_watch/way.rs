//! What a path leads through: directories, and links with their targets.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that a path may lead through, as on Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The links on the way to a file.
pub fn links_on_the_way(path: &Path) -> BTreeSet<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    entries_on_the_way(&path).into_iter().filter(|entry| entry.is_symlink()).collect()
}

/// Each directory entry that is looked up on the way to a file, links included.
pub(super) fn entries_on_the_way(path: &Path) -> BTreeSet<PathBuf> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components()
            .filter(|component| !matches!(component, Component::RootDir))
            .map(|component| component.as_os_str().to_owned())
            .collect()
    };
    let mut entries = BTreeSet::new();
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<_> = names(path).into();
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let entry = here.join(&name);
        entries.insert(entry.clone());
        match fs::read_link(&entry) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            }
            _ => here = entry,
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::entries_on_the_way;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn entries_include_links_and_their_targets() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a path");
        // As Kubernetes mounts a ConfigMap.
        fs::create_dir(folder.join("..2026")).expect("a folder");
        fs::write(folder.join("..2026/policy.wasm"), "").expect("a file");
        symlink("..2026", folder.join("..data")).expect("a link");
        symlink("..data/policy.wasm", folder.join("policy.wasm")).expect("a link");
        let entries = entries_on_the_way(&folder.join("policy.wasm"));
        for name in ["policy.wasm", "..data", "..2026", "..2026/policy.wasm"] {
            assert!(entries.contains(&folder.join(name)), "{name}: {entries:?}");
        }
        assert!(entries.contains(&folder));
    }

    #[test]
    fn circle_of_links_has_an_end() {
        let folder = tempfile::tempdir().expect("a folder");
        symlink("b", folder.path().join("a")).expect("a link");
        symlink("a", folder.path().join("b")).expect("a link");
        assert!(entries_on_the_way(&folder.path().join("a/c")).len() < 100);
    }
}
