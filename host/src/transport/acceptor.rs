//! Accepts connections, of TCP or of a Unix socket. What is accepted is a stream either way, and no
//! code behind this knows which.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::http::UNIX_CLIENT;

/// A socket that listens, in a runtime.
pub(crate) enum Acceptor {
    /// Of TCP.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

impl Acceptor {
    /// Hands a socket to the runtime that this is called in.
    pub(crate) fn new(socket: Socket) -> io::Result<Acceptor> {
        Ok(match socket.domain()? {
            Domain::UNIX => Acceptor::Unix(UnixListener::from_std(socket.into())?),
            _ => Acceptor::Tcp(TcpListener::from_std(socket.into())?),
        })
    }

    /// The next connection, and the address of its client.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        match self {
            Acceptor::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                // An inherited socket may be one for both versions of IP.
                Ok((stream, client.ip().to_canonical()))
            }
            Acceptor::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // Only what is done with any stream is done with it.
                let stream = std::net::TcpStream::from(OwnedFd::from(stream.into_std()?));
                Ok((TcpStream::from_std(stream)?, UNIX_CLIENT))
            }
        }
    }
}
