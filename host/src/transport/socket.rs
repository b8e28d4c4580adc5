//! The socket of a connection. The runtime watches it only once something has to be waited for: a
//! client that sends its request at once, and takes the response at once, costs no registration
//! (two system calls, a wake-up, and memory).

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::unix::AsyncFdReadyGuard;
use tokio::io::{Interest, ReadBuf};

use super::watched::{Number, Watched};

/// A socket that does not block.
pub(crate) struct Socket {
    socket: Watched<TcpStream>,
    /// Whether the last read found less than it had room for: there was no more then.
    is_drained: bool,
}

/// Bytes to throw away at a time.
const DISCARDED_BYTES: usize = 16 << 10;

/// What is waited for.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.owner().as_fd()
    }
}

impl Socket {
    /// Of a connection that was accepted.
    pub(crate) fn new(socket: TcpStream) -> Socket {
        Socket { socket: Watched::new(socket), is_drained: false }
    }

    /// Whether there may be something to read. Before anything was waited for that is a guess.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.watch() {
            Some(watch) => watch.poll_read_ready(context).map_ok(drop),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads what is there, or waits until something is.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let read = ready!(self.poll_receive(context, room, |socket| {
            let (_, read) =
                rustix::net::recv(socket, buffer.initialize_unfilled(), RecvFlags::empty())?;
            Ok(read)
        }))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }

    /// Appends what is there to what has room for more, or waits until something is. The bytes that
    /// were read: none at the end.
    pub(crate) fn poll_append(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.capacity() - buffer.len();
        self.poll_receive(context, room, |socket| {
            let room = rustix::buffer::spare_capacity(buffer);
            let (_, read) = rustix::net::recv(socket, room, RecvFlags::empty())?;
            Ok(read)
        })
    }

    /// Throws away some of what is there, or waits until something is. The bytes that were thrown
    /// away: none at the end.
    pub(crate) fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_receive(context, DISCARDED_BYTES, |socket| {
            let mut room = [0; DISCARDED_BYTES];
            let (_, read) = rustix::net::recv(socket, &mut room[..], RecvFlags::empty())?;
            Ok(read)
        })
    }

    /// Receives, once there is something, into this much room.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        mut receive: impl FnMut(&TcpStream) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = match self.socket.watch() {
                Some(watch) => Some(ready!(watch.poll_read_ready(context))?),
                None => None,
            };
            match receive(self.socket.owner()) {
                Ok(read) => {
                    // The kernel tells of what comes after that.
                    self.is_drained = 0 < read && read < room;
                    if self.is_drained {
                        clear(&mut ready);
                    }
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::AGAIN) => {
                    clear(&mut ready);
                    self.is_drained = true;
                }
                Err(Errno::INTR) => continue,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            self.socket.begin(BOTH)?;
        }
    }

    /// Whether all that has arrived was read.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_drained || rustix::io::ioctl_fionread(self).is_ok_and(|unread| unread == 0)
    }

    /// Whether there may be room to send.
    pub(crate) fn poll_write_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.begin(BOTH)?.poll_write_ready(context).map_ok(drop)
    }

    /// Does something that the socket may not be ready for. If it is watched, nothing is done while it
    /// is known not to be.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self.socket.watch() {
            Some(watch) => watch.try_io(interest, |_| work()),
            None => work(),
        }
    }

    /// The error that the kernel has for it.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.owner().take_error()
    }
}

fn clear(ready: &mut Option<AsyncFdReadyGuard<'_, Number>>) {
    if let Some(ready) = ready {
        ready.clear_ready();
    }
}
