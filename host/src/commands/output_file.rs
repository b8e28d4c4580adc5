//! A file that a command writes: all of it, or none.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

/// Who may read a file, at most. The umask may take more away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner alone.
    Owner,
    /// Those that may read each file that it is made of, and the one that it replaces.
    OfSources,
}

/// Writes a file, or replaces it in one step. `sources` are the files that it is made of, which it
/// must not replace.
pub(super) fn write(
    path: &Path,
    bytes: &[u8],
    sources: &[&Path],
    readers: Readers,
) -> anyhow::Result<()> {
    let target = target(path, sources)?;
    let known = sources.iter().copied().chain([target.as_path()]);
    let modes = known.filter_map(|path| Some(fs::metadata(path).ok()?.permissions().mode()));
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::OfSources => modes.fold(0o666, |all, mode| all & (mode | 0o600)),
    };
    let unfinished =
        unfinished(&target).ok_or_else(|| anyhow!("{} is no name of a file", path.display()))?;
    let written = create(&unfinished, bytes, mode).and_then(|()| fs::rename(&unfinished, &target));
    if written.is_err() {
        // Without it there is nothing to clear away.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// What is written: the file that a link leads to.
fn target(path: &Path, sources: &[&Path]) -> anyhow::Result<PathBuf> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        metadata => metadata.with_context(|| format!("cannot write {}", path.display()))?,
    };
    if !metadata.is_file() {
        bail!("cannot write {}: it is not a regular file", path.display());
    }
    let target =
        fs::canonicalize(path).with_context(|| format!("cannot write {}", path.display()))?;
    let is_target = |source: &&&Path| fs::canonicalize(source).is_ok_and(|it| it == target);
    match sources.iter().find(is_target) {
        Some(source) => bail!("{} would be replaced: name another file", source.display()),
        None => Ok(target),
    }
}

/// A name beside the file that no other process has.
fn unfinished(target: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(target.file_name()?);
    name.push(format!(".{:016x}", RandomState::new().hash_one(std::process::id())));
    Some(target.with_file_name(name))
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::Readers;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn file_is_replaced_as_a_whole_or_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |path: &Path, bytes: &[u8], sources: &[&Path]| {
            super::write(path, bytes, sources, Readers::OfSources)
        };
        let names = || fs::read_dir(folder.path()).expect("a folder").count();
        write(&path("new"), b"one", &[]).expect("written");
        write(&path("new"), b"two", &[]).expect("replaced");
        std::os::unix::fs::symlink(path("new"), path("link")).expect("a link");
        write(&path("link"), b"three", &[]).expect("what it leads to is replaced");
        assert_eq!(fs::read(path("new")).expect("bytes"), b"three");
        assert!(path("link").is_symlink());
        let message = |path: &Path, sources: &[&Path]| {
            format!("{:#}", write(path, b"x", sources).expect_err("refused"))
        };
        assert!(message(&path("link"), &[&path("new")]).contains("would be replaced"));
        assert!(message(Path::new("/dev/null"), &[]).contains("not a regular file"));
        assert!(message(folder.path(), &[]).contains("not a regular file"));
        assert!(message(&path("no/such"), &[]).contains("cannot write"));
        assert_eq!((fs::read(path("new")).expect("bytes"), names()), (b"three".to_vec(), 2));
    }

    #[test]
    fn file_is_read_by_those_who_may_read_its_sources() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (open, closed, new) = (path("open"), path("closed"), path("new"));
        for (file, mode) in [(&open, 0o644), (&closed, 0o640)] {
            fs::write(file, "").expect("a file");
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let check = |sources: &[&Path], readers, most: u32| {
            super::write(&new, b"x", sources, readers).expect("written");
            let mode = fs::metadata(&new).expect("a file").permissions().mode() & 0o777;
            // The umask of the tests is not known.
            assert_eq!((mode & !most, mode & 0o600), (0, 0o600), "{mode:o}");
        };
        check(&[&open], Readers::OfSources, 0o644);
        check(&[&open, &closed], Readers::OfSources, 0o640);
        check(&[&open], Readers::OfSources, 0o640);
        check(&[&open], Readers::Owner, 0o600);
    }
}
