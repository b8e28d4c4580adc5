//! Reads small files of a root by their names, for rules that a site brings along.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::beneath::{Patience, Root};
use super::caches::Caches;
use super::hidden::Hidden;
use super::lookup::{Files, INDEX_NAMES};
use super::own_files::{OwnFile, OwnFiles};
use crate::named_file::{self, NamedFileError};

/// Reads files beneath one root: the directory that is served, also where its path leads to
/// another one by now.
#[derive(Clone)]
pub struct RootReader {
    root: Arc<Root>,
    hidden: Arc<Hidden>,
    caches: Arc<Caches>,
}

impl Files {
    /// What reads files beneath this root.
    pub fn reader(&self) -> RootReader {
        let (root, hidden) = (Arc::clone(&self.root), Arc::clone(&self.hidden));
        RootReader { root, hidden, caches: Arc::clone(&self.caches) }
    }
}

impl RootReader {
    /// Whether both read beneath the same root.
    pub fn is_same(&self, other: &RootReader) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// Whether there is a regular file of this name. It may wait for the disk.
    pub fn has(&self, name: &str) -> bool {
        let found = self.root.look(name, Patience::WaitForDisk);
        found.is_ok_and(|found| found.kind == FileType::RegularFile)
    }

    /// Whether this directory has an index page; `""` is the root.
    pub fn has_index(&self, directory: &str) -> bool {
        let directory = directory.trim_end_matches('/');
        let slash = if directory.is_empty() { "" } else { "/" };
        INDEX_NAMES.iter().any(|name| self.has(&[directory, slash, name].concat()))
    }

    /// Reads a file of at most `limit` bytes; `None` if there is nothing of this name. What is no
    /// file, a link that leads nowhere, and one that leads out of the root are errors. It may wait
    /// for the disk.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, NamedFileError> {
        match self.root.look(name, Patience::WaitForDisk) {
            Ok(found) if found.kind == FileType::RegularFile => {
                named_file::read_all(&found.file, limit).map(Some)
            }
            Ok(found) => Err(NamedFileError::no_file(found.file.metadata()?.file_type())),
            Err(Errno::NOENT) if self.root.is_link(name) => {
                Err(io::Error::new(io::ErrorKind::NotFound, "it is a link that leads nowhere")
                    .into())
            }
            Err(Errno::NOENT) => Ok(None),
            // A socket, or a device without driver.
            Err(Errno::NXIO | Errno::NODEV) => Err(NamedFileError::NoFile("a socket")),
            Err(Errno::XDEV) => Err(io::Error::other("it is a link out of the root").into()),
            Err(Errno::LOOP) => Err(io::Error::other("it is a link, which is not followed").into()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Has these paths below the root never served, and no others; and these files beneath no root of
    /// the process.
    pub fn hide(
        &self,
        paths: impl IntoIterator<Item = impl AsRef<str>>,
        files: impl IntoIterator<Item = PathBuf>,
    ) {
        self.hidden.set(paths);
        let own = |path| OwnFile { flag: "--rules", path, is_log: false };
        let files = OwnFiles::resolve(files.into_iter().map(own).collect());
        self.caches.hiding.set_of_rules(&self.hidden, files);
    }
}

#[cfg(test)]
mod tests {
    use crate::files::{CacheSizes, Caches, Files, Options};
    use crate::in_flight;
    use std::fs;
    use std::num::NonZeroUsize;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn only_regular_files_beneath_the_root_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("folder")).expect("folders");
        fs::write(folder.path().join("secret"), "x").expect("a file");
        fs::write(root.join("file"), "text").expect("a file");
        symlink("file", root.join("link")).expect("a link");
        symlink("../secret", root.join("out")).expect("a link");
        let caches = Caches::new(NonZeroUsize::MIN, CacheSizes::default(), &in_flight::FILES);
        let files = Files::open(&root, Options::default(), &caches).expect("a root");
        let read = |name| files.reader().read(name, 4).map_err(|error| error.to_string());
        assert_eq!(read("file"), Ok(Some(b"text".to_vec())));
        assert_eq!(read("link"), Ok(Some(b"text".to_vec())));
        let has = |name| files.reader().has(name);
        assert!(has("link") && !has("none") && !has("folder") && !has("out"));
        assert!(!files.reader().has_index("folder/"));
        fs::write(root.join("folder/index.htm"), "text").expect("a file");
        assert!(files.reader().has_index("folder/") && !files.reader().has_index(""));
        assert_eq!(read("none"), Ok(None));
        symlink("nowhere", root.join("dangling")).expect("a link");
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let _socket = UnixListener::bind(root.join("socket")).expect("a socket");
        for (name, told) in [
            ("folder", "it is not a regular file but a directory"),
            ("fifo", "it is not a regular file but a FIFO"),
            ("socket", "it is not a regular file but a socket"),
            ("dangling", "it is a link that leads nowhere"),
        ] {
            assert_eq!(read(name), Err(told.to_owned()));
        }
        assert_eq!(read("out"), Err("it is a link out of the root".to_owned()));
        fs::write(root.join("file"), "texts").expect("a file");
        assert!(read("file").expect_err("too long").contains("larger"));
    }
}
