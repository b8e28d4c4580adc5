//! Accepts connections, of TCP or of a Unix socket. What is accepted is a stream either way, and no
//! code behind this knows which.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Socket as Listener};
use tokio::io::Interest;

use super::defer_accept;
use super::watched::Watched;
use crate::http::UNIX_CLIENT;

/// A socket that listens, in a runtime.
pub(crate) struct Acceptor {
    listener: Watched<Listener>,
    /// Whether it is in the file system.
    is_unix: bool,
}

impl Acceptor {
    /// Hands a socket that does not block to the runtime that this is called in.
    pub(crate) fn new(socket: Listener) -> io::Result<Acceptor> {
        let is_unix = socket.domain()? == Domain::UNIX;
        let mut listener = Watched::new(socket);
        listener.begin(Interest::READABLE)?;
        Ok(Acceptor { listener, is_unix })
    }

    /// Has connections be accepted before their client has sent something.
    pub(crate) fn accept_at_once(&self) {
        if !self.is_unix {
            // Another kind of socket does so anyway.
            let _ = defer_accept::set(self.listener.owner(), Duration::ZERO);
        }
    }

    /// The next connection, which does not block, and the address of its client.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        loop {
            let Some(watch) = self.listener.watch() else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            let mut ready = watch.readable().await?;
            let accepted = ready.try_io(|_| {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                Ok(acceptfrom_with(self.listener.owner(), flags)?)
            });
            // It was no more than a guess.
            let Ok(accepted) = accepted else { continue };
            let (socket, client) = accepted?;
            let client = match client.and_then(|client| SocketAddr::try_from(client).ok()) {
                // An inherited socket may be one for both versions of IP.
                Some(client) => client.ip().to_canonical(),
                None if self.is_unix => UNIX_CLIENT,
                None => return Err(io::Error::other("a client without an address")),
            };
            // Only what is done with any stream is done with one of a Unix socket.
            return Ok((TcpStream::from(socket), client));
        }
    }
}
