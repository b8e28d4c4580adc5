//! Links on the way to a root: where they may lead next, the sandbox lets the server read.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that a path may lead through, as on Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Directories that hold far more than releases of a site.
const TOO_WIDE: [&str; 23] = [
    "/",
    "/boot",
    "/data",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
    "/vol",
];

/// The directories that the targets of links on the way to this root are in: `releases` for
/// `current -> releases/42`. The next release is beneath one of them. One that is not beneath the
/// link's own directory, holds far more, or the user's own files, is left out.
pub(super) fn beneath_links(root: &Path) -> Vec<PathBuf> {
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    let is_narrow = |folder: &PathBuf| {
        !TOO_WIDE.iter().any(|wide| folder == Path::new(wide))
            && !home.as_ref().is_some_and(|home| home.starts_with(folder))
    };
    let mut folders: Vec<_> = targets(root)
        .iter()
        // Following a link needs no right, and what it leads to is a target of its own.
        .filter(|(_, target)| !target.is_symlink())
        .filter_map(|(link, target)| {
            let (beside, above) = (link.parent()?.canonicalize(), target.parent()?.canonicalize());
            above.ok().filter(|above| beside.is_ok_and(|beside| above.starts_with(beside)))
        })
        .filter(is_narrow)
        .collect();
    folders.sort();
    // Those beneath another one come right behind it.
    folders.dedup_by(|next, before| next.starts_with(before));
    folders
}

/// Each link on the way, and what it leads to.
fn targets(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    let names = |path: &Path| -> Vec<OsString> {
        let names = path.components().filter(|component| *component != Component::RootDir);
        names.map(|component| component.as_os_str().to_owned()).collect()
    };
    let Ok(root) = std::path::absolute(root) else { return Vec::new() };
    let mut rest: VecDeque<_> = names(&root).into();
    let mut here = PathBuf::from("/");
    let mut targets = Vec::new();
    while let Some(name) = rest.pop_front() {
        let entry = here.join(&name);
        match fs::read_link(&entry) {
            Ok(target) if targets.len() < MAX_LINKS && name != ".." => {
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
                targets.push((entry, here.join(&target)));
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
            }
            _ if name == ".." => drop(here.pop()),
            _ => here = entry,
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::beneath_links;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn next_target_of_each_link_is_beneath() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a path");
        fs::create_dir_all(folder.join("releases/42/public")).expect("a folder");
        fs::create_dir_all(folder.join("..2026/html")).expect("a folder");
        symlink("releases/42", folder.join("current")).expect("a link");
        symlink(folder.join("current"), folder.join("live")).expect("a link");
        symlink("..2026", folder.join("..data")).expect("a link");
        symlink("..data/html", folder.join("html")).expect("a link");
        symlink("/", folder.join("all")).expect("a link");
        fs::create_dir(folder.join("elsewhere")).expect("a folder");
        symlink("../releases/42", folder.join("elsewhere/site")).expect("a link");
        let of = |path: &str| beneath_links(&folder.join(path));
        for root in ["current", "current/public", "live", "live/public"] {
            assert_eq!(of(root), [folder.join("releases")], "{root}");
        }
        // As Kubernetes mounts a volume.
        assert_eq!(of("html"), std::slice::from_ref(&folder));
        for root in ["releases/42", "all", "elsewhere/site"] {
            assert!(of(root).is_empty(), "{root}");
        }
    }
}
