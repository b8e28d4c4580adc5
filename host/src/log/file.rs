//! Where the access log goes: standard output, or a file that can be opened anew.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::named_file::{self, NamedFileError};

/// What the log is written to.
pub trait Out: Write + Send {
    /// Begins anew where its name leads to now. Where there is no name that means
    /// nothing.
    fn reopen(&mut self) -> io::Result<()>;
}

impl Out for io::Stdout {
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Out for Box<dyn Out> {
    fn reopen(&mut self) -> io::Result<()> {
        (**self).reopen()
    }
}

/// A log file. Lines are appended, so that several processes may share it, as an old
/// one and a new one do while a server is replaced.
pub struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens it, and makes it if it is not there: readable by its group, as others
    /// expect of logs, and by nobody else.
    pub fn open(path: &Path) -> io::Result<LogFile> {
        Ok(LogFile { path: path.to_owned(), file: open(path)? })
    }
}

fn open(path: &Path) -> io::Result<File> {
    named_file::append(path).map_err(|error| match error {
        NamedFileError::Io(error) => error,
        error => io::Error::other(error),
    })
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Out for LogFile {
    fn reopen(&mut self) -> io::Result<()> {
        let named =
            |error| io::Error::other(format!("{} cannot be opened: {error}", self.path.display()));
        self.file = open(&self.path).map_err(named)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFile, Out};
    use std::fs;
    use std::io::Write;

    #[test]
    fn what_was_moved_away_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut log = LogFile::open(&path).expect("a file");
        log.write_all(b"a\n").expect("written");
        fs::rename(&path, &moved).expect("moved");
        log.write_all(b"b\n").expect("written");
        log.reopen().expect("a file");
        log.write_all(b"c\n").expect("written");
        assert_eq!(fs::read_to_string(&moved).expect("a file"), "a\nb\n");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "c\n");
    }
}
