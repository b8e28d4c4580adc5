//! A listener on one address, or on a socket in the file system that only this user may open.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::Mode;

use super::ListenAddress;
use super::listener::try_bind;
use crate::named_file;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: ListenAddress,
    /// What is wrong.
    pub problem: BindProblem,
}

/// What is wrong with an address.
#[derive(Debug)]
pub enum BindProblem {
    /// Another program listens there.
    InUse,
    /// There is a file of that name, which is no socket.
    NoSocket,
    /// The system refuses it.
    Io(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match &self.problem {
            BindProblem::InUse => {
                f.write_str("another program listens there; stop it, or choose another")
            }
            BindProblem::NoSocket => {
                f.write_str("there is a file of that name, which is no socket; choose another name")
            }
            BindProblem::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}

/// A socket that listens, before there is a runtime.
pub enum Bound {
    /// At an address.
    Tcp(std::net::TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

/// A socket that listens.
pub enum Listener {
    /// At an address.
    Tcp(tokio::net::TcpListener),
    /// In the file system.
    Unix(tokio::net::UnixListener),
}

impl Bound {
    /// Binds. To be called while there is one thread: the mode of new files is the process's.
    pub fn bind(address: &ListenAddress) -> Result<Bound, BindError> {
        let error = |cause: io::Error| {
            let is_used = cause.kind() == io::ErrorKind::AddrInUse;
            let problem = match address {
                ListenAddress::Unix(path) if is_used && !is_socket(path) => BindProblem::NoSocket,
                _ if is_used => BindProblem::InUse,
                _ => BindProblem::Io(cause),
            };
            BindError { address: address.clone(), problem }
        };
        match address {
            ListenAddress::Tcp(address) => bind_tcp(*address).map(Bound::Tcp).map_err(error),
            ListenAddress::Unix(path) => bind_unix(path).map(Bound::Unix).map_err(error),
        }
    }

    /// Whether the address could be bound, without a trace. `false` if another program, maybe a
    /// server that this one is to replace, listens there.
    pub fn check(address: &ListenAddress) -> Result<bool, BindError> {
        let error = |problem| BindError { address: address.clone(), problem };
        let path = match address {
            ListenAddress::Tcp(address) => {
                return match try_bind(*address) {
                    Ok(()) => Ok(true),
                    Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => Ok(false),
                    Err(cause) => Err(error(BindProblem::Io(cause))),
                };
            }
            ListenAddress::Unix(path) => path,
        };
        // A path that is too long for a socket is refused here already.
        if let Err(cause) = std::os::unix::net::SocketAddr::from_pathname(path) {
            return Err(error(BindProblem::Io(cause)));
        }
        if is_socket(path) {
            return Ok(is_left_over(path));
        }
        match path.symlink_metadata() {
            Ok(_) => Err(error(BindProblem::NoSocket)),
            Err(_) => match named_file::can_create(path) {
                Ok(()) => Ok(true),
                Err(cause) => Err(error(BindProblem::Io(cause))),
            },
        }
    }

    /// The port that was found, if any would do.
    pub fn address(&self, asked: &ListenAddress) -> ListenAddress {
        match self {
            Bound::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| asked.clone(), ListenAddress::Tcp)
            }
            Bound::Unix(_) => asked.clone(),
        }
    }

    /// Hands it to the runtime that this is called in.
    pub fn listen(self) -> io::Result<Listener> {
        Ok(match self {
            Bound::Tcp(listener) => Listener::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Bound::Unix(listener) => Listener::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bind = || {
        // No other user may connect, not even for a moment.
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        bound
    };
    let listener = match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            std::fs::remove_file(path)?;
            bind()?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Whether this is a socket that a server has left behind: no program listens to it.
fn is_left_over(path: &Path) -> bool {
    is_socket(path)
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::{BindProblem, Bound, ListenAddress, bind_unix};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn socket_is_for_its_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin");
        let first = bind_unix(&path).expect("a socket");
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let address = ListenAddress::Unix(path.clone());
        let error = Bound::bind(&address).err().expect("it is in use");
        assert!(matches!(error.problem, BindProblem::InUse), "{error}");
        drop(first);
        bind_unix(&path).expect("what was left over is replaced");
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "precious").expect("written");
        let error = Bound::bind(&address).err().expect("it is a file");
        assert!(matches!(error.problem, BindProblem::NoSocket), "{error}");
        assert_eq!(fs::read(&path).expect("a file"), b"precious");
    }
}
