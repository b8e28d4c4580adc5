//! Where a server listens: an address with a scheme, or for the administration a socket in the
//! file system.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::http::Scheme;

/// Where a server listens, and for requests of which scheme: for `https` it speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The scheme.
    pub scheme: Scheme,
    /// The address and the port.
    pub socket: SocketAddr,
}

impl fmt::Display for Address {
    /// As a URL without a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.socket)
    }
}

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The address and the port, of the one kind.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    /// As a URL, or as `unix:PATH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(f, "http://{address}/"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
