//! Opens the files that an operator names: without waiting, and only if they are regular files.
//!
//! To open a FIFO waits until its other end is opened, to open a device may do anything, and to read
//! either may never end. So the kind of a file is checked before it is opened and again on its
//! handle, and the length that is read has a bound.

use std::fmt;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, access};

use crate::file_watch::stamp_of;
use crate::sandbox::advice;
use crate::sandbox::opener::{self, How};

/// Links that are followed, as in Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Why a file is not read.
#[derive(Debug)]
pub enum NamedFileError {
    /// It cannot be opened or read.
    Io(io::Error),
    /// It is not a regular file but this.
    NoFile(&'static str),
    /// It has more bytes than this.
    TooLarge(u64),
    /// It is no text.
    NoText,
    /// It changed while it was read.
    Changed,
}

impl NamedFileError {
    /// The kind of the error, as far as the system has one.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            NamedFileError::Io(error) => error.kind(),
            NamedFileError::NoFile(_) | NamedFileError::NoText => io::ErrorKind::InvalidInput,
            NamedFileError::TooLarge(_) => io::ErrorKind::FileTooLarge,
            NamedFileError::Changed => io::ErrorKind::ResourceBusy,
        }
    }

    /// That of what has this type, and is no regular file.
    pub fn no_file(kind_of_file: FileType) -> NamedFileError {
        NamedFileError::NoFile(kind(kind_of_file))
    }

    /// The error of a file that the server reads, with what to do about it.
    pub fn with_advice(&self) -> impl fmt::Display + '_ {
        let says_more = matches!(self, NamedFileError::Io(error) if advice::is_refusal(error));
        fmt::from_fn(move |f| match self.kind() {
            io::ErrorKind::PermissionDenied if !says_more => write!(
                f,
                "{self}; the server's user must be able to read it, and to pass all folders on \
                 its path"
            ),
            _ => write!(f, "{self}"),
        })
    }
}

impl fmt::Display for NamedFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedFileError::Io(error) => write!(f, "{error}"),
            NamedFileError::NoFile(what) => write!(f, "it is not a regular file but {what}"),
            NamedFileError::TooLarge(limit) if *limit >= 1 << 20 => {
                write!(f, "it is larger than {} MiB", limit >> 20)
            }
            NamedFileError::TooLarge(limit) => write!(f, "it is larger than {} KiB", limit >> 10),
            NamedFileError::NoText => f.write_str("it is not text in UTF-8"),
            NamedFileError::Changed => {
                f.write_str("it changed while it was read; rename a finished file over it")
            }
        }
    }
}

impl std::error::Error for NamedFileError {}

impl From<io::Error> for NamedFileError {
    fn from(error: io::Error) -> NamedFileError {
        NamedFileError::Io(error)
    }
}

/// Opens a file to read it.
pub fn open(path: &Path) -> Result<(File, Metadata), NamedFileError> {
    let is_file = |metadata: &Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(NamedFileError::NoFile(kind(metadata.file_type()))),
    };
    is_file(&fs::metadata(path)?)?;
    // It may be another by now.
    let file = opener::open(path, How::Read)?;
    let metadata = file.metadata()?;
    is_file(&metadata)?;
    Ok((file, metadata))
}

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, NamedFileError> {
    read_all(&open(path)?.0, limit)
}

/// The same of one that may be replaced meanwhile. Written in place, half of what is read may be of
/// the one and half of the other, and could pass for either.
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>, NamedFileError> {
    let (file, before) = open(path)?;
    let bytes = read_all(&file, limit)?;
    match stamp_of(&before) == stamp_of(&file.metadata()?) {
        true => Ok(bytes),
        false => Err(NamedFileError::Changed),
    }
}

/// Reads a file of at most `limit` bytes that is text.
pub fn read_text(path: &Path, limit: u64) -> Result<String, NamedFileError> {
    String::from_utf8(read(path, limit)?).map_err(|_| NamedFileError::NoText)
}

/// Reads an open file of at most `limit` bytes.
pub fn read_all(file: &File, limit: u64) -> Result<Vec<u8>, NamedFileError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(NamedFileError::TooLarge(limit)) } else { Ok(bytes) }
}

/// Opens a file to append to it, and makes it if it is not there: readable by its group, as
/// others expect of logs, and by no other user. A character device
/// is accepted, such as a terminal: to write to it may wait, to open it does not.
pub fn append(path: &Path) -> Result<File, NamedFileError> {
    let may_be_written = |metadata: &Metadata| {
        let kind_of_file = metadata.file_type();
        match kind_of_file.is_file() || kind_of_file.is_char_device() {
            true => Ok(()),
            false => Err(NamedFileError::NoFile(kind(kind_of_file))),
        }
    };
    match fs::metadata(path) {
        Ok(metadata) => may_be_written(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let file = opener::open(path, How::Append)?;
    may_be_written(&file.metadata()?)?;
    // Writes may block from now on: they are made by a thread that does nothing else.
    let flags = rustix::fs::fcntl_getfl(&file).map_err(io::Error::from)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(io::Error::from)?;
    Ok(file)
}

/// Whether [`append`] would open this file. It is neither changed nor made.
pub fn can_append(path: &Path) -> Result<(), NamedFileError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            let kind_of_file = metadata.file_type();
            if !kind_of_file.is_file() && !kind_of_file.is_char_device() {
                return Err(NamedFileError::NoFile(kind(kind_of_file)));
            }
            Ok(access(path, Access::WRITE_OK).map_err(io::Error::from)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(can_create(&target(path))?),
        Err(error) => Err(error.into()),
    }
}

/// The path that links lead to, also where nothing is there: a file is made at the end of a link
/// that dangles.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
}

/// Whether something of this name could be made: whether its directory may be written.
pub fn can_create(path: &Path) -> io::Result<()> {
    // A name that ends with a slash is that of a directory.
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !fs::metadata(parent)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(parent, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::{append, read, read_text};

    #[test]
    fn only_regular_files_are_opened_and_without_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        fs::write(path("file"), "text").expect("a file");
        std::os::unix::fs::symlink("file", path("link")).expect("a link");
        for (named, told) in [
            (path("fifo"), "it is not a regular file but a FIFO"),
            (path("socket"), "it is not a regular file but a socket"),
            (folder.path().to_owned(), "it is not a regular file but a directory"),
        ] {
            assert_eq!(read(&named, 9).expect_err("refused").to_string(), told);
            assert_eq!(append(&named).expect_err("refused").to_string(), told);
        }
        let device = read(Path::new("/dev/zero"), 9).expect_err("refused");
        assert_eq!(device.to_string(), "it is not a regular file but a device");
        append(Path::new("/dev/null")).expect("a device of characters");
        assert_eq!(read_text(&path("link"), 4).expect("text"), "text");
        assert_eq!(
            read(&path("file"), 3).expect_err("long").to_string(),
            "it is larger than 0 KiB"
        );
        fs::write(path("file"), b"\xff").expect("a file");
        assert_eq!(
            read_text(&path("file"), 3).expect_err("no text").to_string(),
            "it is not text in UTF-8"
        );
    }
}
