//! A file that a command writes: all of it, or none.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

/// Writes a file, or replaces it in one step. `sources` are files that it must not replace.
pub(super) fn write(path: &Path, bytes: &[u8], sources: &[&Path]) -> anyhow::Result<()> {
    let target = target(path, sources)?;
    let unfinished =
        unfinished(&target).ok_or_else(|| anyhow!("{} is no name of a file", path.display()))?;
    let written = create(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &target));
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

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::write;
    use std::fs;
    use std::path::Path;

    #[test]
    fn file_is_replaced_as_a_whole_or_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
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
}
