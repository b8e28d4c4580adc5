//! The socket of a connection, with a limit on every wait.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::progress::{Look, Progress};
use super::send_queue;
use super::send_scheduler::{UNSCHEDULED_BYTES, WorkerScheduler};
use super::transfer::{Step, Transfer};
use super::unsent::Share;

/// Bytes to make room for when something has arrived: a request head of a
/// browser, or a few of a load generator's, in one system call.
pub(crate) const READ_BYTES: usize = 4 << 10;

/// Bytes to throw away at a time.
const DISCARDED_BYTES: usize = 16 << 10;

/// How long a client has to make room for more before it is taken for slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// The longest pause between two looks at what a client took, as a part of the time in which it
/// may take nothing.
const LOOKS_PER_STALL: u32 = 4;

/// A socket and the one timer that bounds its waits. Dropping it closes the connection, and
/// resets it if the client has not taken all that was sent.
pub(crate) struct Stream<'a> {
    socket: TcpStream,
    alarm: Alarm,
    scheduler: &'a WorkerScheduler,
    /// How long a client may take nothing.
    stall: Duration,
    progress: Progress,
    /// What the kernel holds for the client.
    unsent: Share<'a>,
}

/// What came of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Some bytes, at least one.
    Data,
    /// The client has ended its half of the connection.
    Eof,
    /// Nothing before the deadline.
    TimedOut,
    /// Nothing, and the client takes nothing of what was sent to it.
    Stalled,
    /// Nothing: the connection was reset.
    Disconnected,
}

/// Whether more follows what is sent: the kernel then waits for it to fill a
/// packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Yes,
    No,
}

/// Why a response could not be sent to its end. The connection is of no more use.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The client took nothing for too long.
    TimedOut,
    /// The connection was reset.
    Disconnected(io::Error),
    /// The file ended before the promised length.
    FileTruncated,
    /// The file could not be read.
    FileFailed(io::Error),
}

impl<'a> Stream<'a> {
    /// Of a client that may take nothing for so long (`stall`).
    pub(crate) fn new(
        socket: TcpStream,
        scheduler: &'a WorkerScheduler,
        stall: Duration,
    ) -> Stream<'a> {
        let progress = Progress::new(stall, Instant::now());
        let unsent = Share::of(&scheduler.unsent);
        Stream { socket, alarm: Alarm::new(), scheduler, stall, progress, unsent }
    }

    /// Waits for a slot, to do more than one response or one piece of a file.
    pub(crate) async fn slot(&mut self) {
        self.scheduler.slot().await;
        self.unsent.yield_to_crowd(&self.socket);
    }

    /// Waits for a slot, to send a piece of what is large.
    pub(crate) async fn slot_to_send(&mut self) {
        self.unsent.count();
        self.slot().await;
    }

    /// Looks at what the client has taken of what was sent.
    pub(crate) fn look(&mut self) -> Look {
        self.look_at(Instant::now())
    }

    fn look_at(&mut self, now: Instant) -> Look {
        self.progress.look(send_queue::unacknowledged(&self.socket), now)
    }

    /// Gives back what the client was given to be faster, as it took all that was sent and asks
    /// for no more.
    pub(crate) fn rest(&mut self) {
        self.unsent.end(&self.socket);
    }

    /// When to look again, after this pause or earlier. The pause becomes longer each time.
    pub(crate) fn next_look(&self, now: Instant, pause: &mut Duration) -> Instant {
        let next = now + *pause;
        *pause = (*pause * 2).min(self.stall / LOOKS_PER_STALL);
        next.min(self.progress.deadline(now))
    }

    /// How far the client has come with what was sent.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits for bytes without a buffer to read them into, so that idle connections
    /// cost as little as possible, and then reads them into a new one.
    pub(crate) async fn wake(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Read {
        loop {
            if let Err(read) = self.readable(deadline).await {
                return read;
            }
            buffer.reserve(READ_BYTES);
            // Beside the task's budget: what it delayed would look like a guess,
            // for ever. Who calls this in a loop keeps to the budget there.
            match now_or_never(unconstrained(self.socket.read_buf(buffer))).await {
                Some(Ok(0)) => return Read::Eof,
                Some(Err(_)) => return Read::Disconnected,
                Some(Ok(_)) => return Read::Data,
                // It was no more than a guess: a new socket is taken to be
                // readable until it is tried.
                None => *buffer = Vec::new(),
            }
        }
    }

    /// Waits until the socket may have something to read. `Err` is what came instead.
    async fn readable(&mut self, deadline: Instant) -> Result<(), Read> {
        let readable = poll_fn(|context| self.socket.poll_read_ready(context));
        match self.alarm.limit(deadline, readable).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Read::Disconnected),
            None => Err(Read::TimedOut),
        }
    }

    /// Appends what arrives to `buffer`.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Read {
        buffer.reserve(READ_BYTES);
        match self.alarm.limit(deadline, self.socket.read_buf(buffer)).await {
            Some(Ok(0)) => Read::Eof,
            Some(Err(_)) => Read::Disconnected,
            Some(Ok(_)) => Read::Data,
            None => Read::TimedOut,
        }
    }

    /// Whether all that has arrived was read.
    pub(crate) fn is_read(&self) -> bool {
        rustix::io::ioctl_fionread(&self.socket).is_ok_and(|unread| unread == 0)
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], more: More) -> Result<(), SendError> {
        let flags = match more {
            More::Yes => SendFlags::NOSIGNAL | SendFlags::MORE,
            More::No => SendFlags::NOSIGNAL,
        };
        while !bytes.is_empty() {
            let sent = self
                .socket
                .try_io(Interest::WRITABLE, || Ok(rustix::net::send(&self.socket, bytes, flags)?));
            match sent {
                Ok(sent) => {
                    self.progress.hand_over(sent);
                    bytes = &bytes[sent..];
                }
                Err(error) => Box::pin(self.wait_for_room(error)).await?,
            }
        }
        Ok(())
    }

    /// Sends two pieces, in one system call if the socket takes both.
    pub(crate) async fn send_both(
        &mut self,
        mut head: &[u8],
        mut body: &[u8],
    ) -> Result<(), SendError> {
        if body.len() as u64 > UNSCHEDULED_BYTES {
            self.slot_to_send().await;
        }
        while !head.is_empty() && !body.is_empty() {
            let sent = self.socket.try_io(Interest::WRITABLE, || {
                let pieces = [IoSlice::new(head), IoSlice::new(body)];
                let mut none = SendAncillaryBuffer::default();
                let flags = SendFlags::NOSIGNAL;
                Ok(rustix::net::sendmsg(&self.socket, &pieces, &mut none, flags)?)
            });
            match sent {
                Ok(sent) => {
                    self.progress.hand_over(sent);
                    let of_head = sent.min(head.len());
                    head = &head[of_head..];
                    body = &body[sent - of_head..];
                }
                Err(error) => Box::pin(self.wait_for_room(error)).await?,
            }
        }
        self.send(head, More::No).await?;
        self.send(body, More::No).await
    }

    /// Sends part of a file. The caller boxes it: an idle connection would have room for it.
    pub(crate) async fn send_file(&mut self, mut transfer: Transfer<'_>) -> Result<(), SendError> {
        loop {
            if transfer.is_remote() {
                return self.send_pieces(transfer).await;
            }
            if !transfer.is_cached() {
                // Others would wait for the disk too.
                transfer.fetch().await.map_err(SendError::FileFailed)?;
            }
            if transfer.left() > UNSCHEDULED_BYTES {
                self.slot_to_send().await;
            }
            let step = self.socket.try_io(Interest::WRITABLE, || transfer.step(&self.socket));
            match step {
                Ok(Step::Moved(count)) => self.progress.hand_over(count),
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Truncated) => return Err(SendError::FileTruncated),
                Err(error) if is_of_the_file(&error) => return Err(SendError::FileFailed(error)),
                Err(error) => self.wait_for_room(error).await?,
            }
        }
    }

    /// The same from a file system that may wait for a server or another process. A piece is read
    /// when the socket has room for it, so that a client that takes nothing holds no memory.
    async fn send_pieces(&mut self, mut transfer: Transfer<'_>) -> Result<(), SendError> {
        while transfer.left() > 0 {
            if transfer.left() > UNSCHEDULED_BYTES {
                self.slot_to_send().await;
            }
            self.wait_for_room(io::ErrorKind::WouldBlock.into()).await?;
            let piece = transfer.read().await.map_err(SendError::FileFailed)?;
            if piece.is_empty() {
                return Err(SendError::FileTruncated);
            }
            self.send(&piece, More::No).await?;
        }
        Ok(())
    }

    /// Ends our half of the connection. The client reads what was sent, and its end.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        // tokio's takes a connection that was reset for one that was ended.
        rustix::net::shutdown(&self.socket, Shutdown::Write)?;
        // The end is acknowledged as a byte is.
        self.progress.hand_over(1);
        Ok(())
    }

    /// Waits for bytes, and throws them away.
    pub(crate) async fn discard(&mut self, deadline: Instant) -> Read {
        loop {
            if let Err(read) = self.readable(deadline).await {
                return read;
            }
            let discarded = self.socket.try_io(Interest::READABLE, || {
                Ok(rustix::io::read(&self.socket, &mut [0; DISCARDED_BYTES])?)
            });
            match discarded {
                Ok(0) => return Read::Eof,
                Ok(_) => return Read::Data,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Read::Disconnected,
            }
        }
    }

    /// Whether the connection was reset. What it had not taken stays in its queue then.
    pub(crate) fn is_broken(&self) -> bool {
        !matches!(self.socket.take_error(), Ok(None))
    }

    /// Waits until then.
    pub(crate) async fn sleep(&mut self, until: Instant) {
        self.alarm.sleep(until).await;
    }

    /// Waits for room in the socket's buffer, if that is what sending failed for, for as long
    /// as the client takes something now and then.
    ///
    /// That there is room tells too little: the kernel tells so only when a third of a buffer
    /// of megabytes is free, for which a slow client needs minutes.
    async fn wait_for_room(&mut self, error: io::Error) -> Result<(), SendError> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => {}
            _ => return Err(SendError::Disconnected(error)),
        }
        self.unsent.count();
        let began = Instant::now();
        self.look_at(began);
        let before = self.progress.taken();
        let (mut now, mut pause) = (began, SLOW_AFTER.min(self.stall / LOOKS_PER_STALL));
        loop {
            let next = self.next_look(now, &mut pause);
            let writable = poll_fn(|context| self.socket.poll_write_ready(context));
            match self.alarm.limit(next, writable).await {
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(SendError::Disconnected(error)),
                None => {}
            }
            now = Instant::now();
            if self.look_at(now) == Look::Stalled {
                return Err(SendError::TimedOut);
            }
            let held = self.progress.handed() - self.progress.taken();
            self.unsent.shrink(&self.socket, held);
        }
        if self.unsent.may_grow() {
            now = Instant::now();
            self.look_at(now);
            let taken = self.progress.taken() - before;
            self.unsent.grow(&self.socket, taken, now - began);
        }
        Ok(())
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.progress.is_over() && send_queue::unacknowledged(&self.socket) > 0 {
            send_queue::reset_on_close(&self.socket);
        }
    }
}

/// Whether moving bytes from a file to a socket failed for the file: no socket gives one of
/// these. A disk, a file system that was damaged, and those of FUSE, NFS and others whose
/// server is gone.
fn is_of_the_file(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::IO
                | Errno::NODEV
                | Errno::NXIO
                | Errno::NODATA
                | Errno::UCLEAN
                | Errno::NOTCONN
                | Errno::STALE
                | Errno::REMOTEIO
                | Errno::BADMSG
        )
    )
}

/// Polls a future once. `None` if it is not ready.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
