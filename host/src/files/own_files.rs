//! Files that the server itself uses: keys, tokens, logs. Where they lie beneath a root, they are
//! not for clients.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
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

/// Such files with all paths by which each is reached: resolved once for all roots.
#[derive(Debug, Default)]
pub struct OwnFiles {
    files: Vec<OwnFile>,
    /// Each path, and the index of its file: sorted, so that those below a root are neighbours.
    paths: Vec<(Vec<u8>, usize)>,
}

impl OwnFiles {
    /// Resolves the paths of these. They need not be there yet.
    pub fn resolve(files: Vec<OwnFile>) -> OwnFiles {
        let mut folders = Folders::default();
        let mut paths = Vec::with_capacity(2 * files.len());
        for (index, file) in files.iter().enumerate() {
            let all = paths_of(&file.path, &mut folders).into_iter();
            paths.extend(all.map(|path| (bytes(&path), index)));
        }
        paths.sort();
        paths.dedup();
        OwnFiles { files, paths }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files beneath the root that has these paths, each with its paths below it. None is the
    /// root itself.
    pub fn below(&self, root: &[PathBuf]) -> Vec<(&OwnFile, String)> {
        let mut all = Vec::new();
        for root in root {
            let mut above = bytes(root);
            if !above.ends_with(b"/") {
                above.push(b'/');
            }
            let first = self.paths.partition_point(|(path, _)| *path < above);
            for (path, index) in &self.paths[first..] {
                let Some(below) = path.strip_prefix(&*above) else { break };
                if let Ok(below) = str::from_utf8(below)
                    && !below.is_empty()
                {
                    all.push((*index, below));
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(|(index, below)| (&self.files[index], below.to_owned())).collect()
    }
}

/// The paths of a root: as it is named, and without links.
pub fn root_paths(root: &Path) -> Vec<PathBuf> {
    [std::path::absolute(root), root.canonicalize()].into_iter().flatten().collect()
}

/// The paths below this root by which a file is reached; none where it lies elsewhere. The file
/// need not be there yet.
pub fn paths_below(root: &Path, file: &Path) -> Vec<String> {
    let own = OwnFile { flag: "", path: file.to_owned(), is_log: false };
    let own = OwnFiles::resolve(vec![own]);
    own.below(&root_paths(root)).into_iter().map(|(_, below)| below).collect()
}

/// All paths by which a file is reached.
fn paths_of(file: &Path, folders: &mut Folders) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut next = std::path::absolute(file).ok();
    // Each link on the way to it is a name of it, too.
    for _ in 0..=MAX_LINKS {
        let Some(path) = next.take() else { break };
        let folder_and_name = path.parent().zip(path.file_name());
        let real = folder_and_name.map(|(folder, name)| (folders.real(folder), name.to_owned()));
        all.push(path);
        let Some((folder, name)) = real else { break };
        let path = folder.join(name);
        next = fs::read_link(&path).ok().map(|target| without_dots(&folder.join(target)));
        all.push(path);
    }
    all
}

/// Its bytes, without a `/` at its end.
fn bytes(path: &Path) -> Vec<u8> {
    let path: PathBuf = path.components().collect();
    path.into_os_string().into_vec()
}

/// Folders without links, as far as they lead somewhere: a thousand sites have few.
#[derive(Default)]
struct Folders(HashMap<PathBuf, PathBuf>);

impl Folders {
    fn real(&mut self, folder: &Path) -> PathBuf {
        if let Some(known) = self.0.get(folder) {
            return known.clone();
        }
        let real = match folder.parent().zip(folder.file_name()) {
            Some((above, name)) => {
                let path = self.real(above).join(name);
                if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path }
            }
            None => real(folder),
        };
        self.0.insert(folder.to_owned(), real.clone());
        real
    }
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
