//! The socket of a connection. The runtime watches it only once something has to be waited for: a
//! client that sends its request at once, and takes the response at once, costs no registration
//! (two system calls, a wake-up, and memory).

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::unix::AsyncFdReadyGuard;
use tokio::io::{Interest, ReadBuf};
use tokio::task::coop;

use super::watched::{Number, Watched};

/// A socket that does not block.
pub(crate) struct Socket {
    socket: Watched<TcpStream>,
    /// Whether the last read found less than it had room for, and nothing was waited for since: there
    /// was no more then.
    is_drained: bool,
    /// Whether the last write found no room. Else the runtime is not asked: when it has just begun to
    /// watch it knows of none.
    is_full: AtomicBool,
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
        Socket { socket: Watched::new(socket), is_drained: false, is_full: AtomicBool::new(false) }
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
            // A client that sends all the time must not keep the thread from others.
            let mut budget = None;
            let mut ready = match self.socket.watch() {
                Some(watch) => Some(ready!(watch.poll_read_ready(context))?),
                None => {
                    budget = Some(ready!(coop::poll_proceed(context)));
                    None
                }
            };
            match receive(self.socket.owner()) {
                Ok(read) => {
                    if let Some(budget) = budget {
                        budget.made_progress();
                    }
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

    /// Whether all that had arrived was read, as far as that is known, or now.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_drained || rustix::io::ioctl_fionread(self).is_ok_and(|unread| unread == 0)
    }

    /// Whether there may be room to send.
    pub(crate) fn poll_write_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Much may arrive meanwhile.
        self.is_drained = false;
        self.socket.begin(BOTH)?.poll_write_ready(context).map_ok(drop)
    }

    /// Writes to it, for which there may be no room. Nothing is tried while there is known to be none.
    pub(crate) fn try_write<R>(&self, write: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let written = match self.socket.watch() {
            Some(watch) if self.is_full.load(Ordering::Relaxed) => {
                watch.try_io(Interest::WRITABLE, |_| write())
            }
            _ => write(),
        };
        let is_full = matches!(&written, Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.is_full.store(is_full, Ordering::Relaxed);
        written
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
