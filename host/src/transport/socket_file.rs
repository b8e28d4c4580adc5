//! A Unix socket that proxies on the same machine connect to: its file, who may open it, and its
//! removal.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use socket2::Socket;

use super::ListenAddress;
use super::endpoint::{BindError, BindProblem, Bound};

/// Who may open the file of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// The bits of its mode.
    pub mode: u32,
    /// The number of the user that it belongs to; that of the process without one.
    pub user: Option<u32>,
    /// The number of its group; that of the process without one.
    pub group: Option<u32>,
}

/// Device, inode, and when it was made: another server's file may get the inode of this one.
type FileId = (u64, u64, i64, i64);

/// A file that is removed with its socket, unless another server has put its own there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    id: FileId,
}

/// Binds a socket to a path. A file that a server has left behind, as nothing listens to it, is
/// replaced. To be called while there is one thread.
pub(crate) fn bind(path: &Path, access: FileAccess) -> Result<(Socket, SocketFile), BindError> {
    let address = ListenAddress::Unix(path.to_owned());
    // For this user alone, until it is known who may open it.
    let Bound::Unix(listener) = Bound::bind(&address)? else {
        unreachable!("a path has a socket of its kind")
    };
    let give = || {
        if access.user.is_some() || access.group.is_some() {
            chown(path, access.user, access.group)?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(access.mode))?;
        id(path)
    };
    match give() {
        Ok(id) => Ok((listener.into(), SocketFile { path: path.to_owned(), id })),
        Err(error) => {
            // It is the one that was just made.
            let _ = std::fs::remove_file(path);
            Err(BindError { address, problem: BindProblem::Io(error) })
        }
    }
}

impl SocketFile {
    /// The one of a socket that was just bound to this address, if it has a file.
    pub(crate) fn of(address: &ListenAddress) -> Option<SocketFile> {
        let ListenAddress::Unix(path) = address else { return None };
        Some(SocketFile { id: id(path).ok()?, path: path.clone() })
    }

    /// Removes it. To be called when its socket is closed.
    pub(crate) fn remove(&self) {
        let removed = match id(&self.path) {
            Ok(id) if id == self.id => std::fs::remove_file(&self.path),
            // Another server has its own there.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let path = tracing::field::display(self.path.display());
            tracing::debug!(path, %error, "socket file is not removed");
        }
    }

    /// The directory that it is in.
    pub(crate) fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

fn id(path: &Path) -> io::Result<FileId> {
    // Nothing writes to a socket's file, so that the time of its last change is that of its making.
    let of = |file: std::fs::Metadata| (file.dev(), file.ino(), file.mtime(), file.mtime_nsec());
    std::fs::symlink_metadata(path).map(of)
}

#[cfg(test)]
mod tests {
    use super::{FileAccess, bind};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const ACCESS: FileAccess = FileAccess { mode: 0o660, user: None, group: None };

    #[test]
    fn file_has_its_mode_and_goes_unless_it_is_another_servers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("web.sock");
        let (socket, file) = bind(&path, ACCESS).expect("a socket");
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(bind(&path, ACCESS).is_err(), "it is in use");
        drop(socket);
        // The next server comes before this one is gone.
        let (_next, its_file) = bind(&path, ACCESS).expect("what is left behind is replaced");
        file.remove();
        assert!(path.exists(), "it is the next server's");
        its_file.remove();
        assert!(!path.exists());
    }
}
