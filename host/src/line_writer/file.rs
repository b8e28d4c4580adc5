//! A file of lines, which can be reopened after it was moved away.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::output::Output;
use crate::named_file::{self, NamedFileError};

/// A file of lines. They are appended, so that several processes may share it, as an old one
/// and a new one do while a server is replaced.
pub struct LineFile {
    path: PathBuf,
    file: File,
}

impl LineFile {
    /// Opens it, and creates it if it is missing: readable by its group, as is usual for logs,
    /// and by no other user.
    pub fn open(path: &Path) -> io::Result<LineFile> {
        Ok(LineFile { path: path.to_owned(), file: open(path)? })
    }
}

fn open(path: &Path) -> io::Result<File> {
    named_file::append(path).map_err(|error| match error {
        NamedFileError::Io(error) => error,
        error => io::Error::other(error),
    })
}

impl Write for LineFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output for LineFile {
    fn reopen(&mut self) -> io::Result<()> {
        let named =
            |error| io::Error::other(format!("{} cannot be opened: {error}", self.path.display()));
        self.file = open(&self.path).map_err(named)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::LineFile;
    use crate::line_writer::Output;
    use std::fs;
    use std::io::Write;

    #[test]
    fn reopened_file_leaves_the_moved_one_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut log = LineFile::open(&path).expect("a file");
        log.write_all(b"a\n").expect("written");
        fs::rename(&path, &moved).expect("moved");
        log.write_all(b"b\n").expect("written");
        log.reopen().expect("a file");
        log.write_all(b"c\n").expect("written");
        assert_eq!(fs::read_to_string(&moved).expect("a file"), "a\nb\n");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "c\n");
    }
}
