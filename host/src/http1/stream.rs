//! The socket of a connection, with a limit on every wait.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::task::coop::{consume_budget, unconstrained};
use tokio::time::{Instant, Sleep, sleep_until};

use super::turns::{SMALL_BYTES, Turn};
use crate::reply::body::{Step, Transfer};

/// Bytes to make room for when something has arrived: a request head of a
/// browser, or a few of a load generator's, in one system call.
const READ_BYTES: usize = 4 << 10;

/// A socket and the one timer that bounds its waits.
pub(super) struct Stream<'a> {
    socket: TcpStream,
    alarm: Alarm,
    turn: &'a Turn,
    /// How many bytes of an answer the kernel has ready for the client at most, beyond those
    /// that are on their way, if that was ever limited.
    ready_bytes: Option<u32>,
}

/// A timer that is moved as rarely as possible: that costs more than most reads and
/// writes. It may go off too early, and then is moved to where it should be.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
}

/// What came of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Some bytes, at least one.
    Bytes,
    /// The client has ended its half of the connection, or all of it.
    End,
    /// Nothing in time.
    Late,
}

/// Whether more follows what is sent: the kernel then waits for it to fill a
/// packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}

/// Why an answer could not be sent to its end. The connection is of no more use.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client took nothing for too long.
    Stalled,
    /// The client is gone.
    Gone(io::Error),
    /// The file ended before the promised length.
    FileCutShort,
    /// The file could not be read.
    FileFailed(io::Error),
}

impl<'a> Stream<'a> {
    pub(super) fn new(socket: TcpStream, turn: &'a Turn) -> Stream<'a> {
        let alarm = Alarm { sleep: Box::pin(sleep_until(Instant::now())) };
        Stream { socket, alarm, turn, ready_bytes: None }
    }

    /// Waits for a turn to do more than one answer or one piece of a file.
    pub(super) async fn turn(&mut self) {
        self.turn.wait().await;
        if let Some(most) = self.turn.ready_bytes()
            && self.ready_bytes.is_none_or(|now| most < now)
        {
            self.ready_bytes = Some(most);
            // `TCP_NOTSENT_LOWAT`, tcp(7). A system that cannot makes more ready.
            let _ = SockRef::from(&self.socket).set_tcp_notsent_lowat(most);
        }
    }

    /// Waits for bytes without a buffer to read them into, so that idle connections
    /// cost as little as possible, and then reads them into a new one.
    pub(super) async fn wake(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Arrival {
        loop {
            let readable = poll_fn(|context| self.socket.poll_read_ready(context));
            match limit(&mut self.alarm, deadline, readable).await {
                Some(Ok(())) => {}
                Some(Err(_)) => return Arrival::End,
                None => return Arrival::Late,
            }
            buffer.reserve(READ_BYTES);
            // Beside the task's budget: what it delayed would look like a guess,
            // for ever. Who calls this in a loop keeps to the budget there.
            match now_or_never(unconstrained(self.socket.read_buf(buffer))).await {
                Some(Ok(0) | Err(_)) => return Arrival::End,
                Some(Ok(_)) => return Arrival::Bytes,
                // It was no more than a guess: a new socket is taken to be
                // readable until it is tried.
                None => *buffer = Vec::new(),
            }
        }
    }

    /// Appends what arrives to `buffer`.
    pub(super) async fn read(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Arrival {
        buffer.reserve(READ_BYTES);
        match limit(&mut self.alarm, deadline, self.socket.read_buf(buffer)).await {
            Some(Ok(0) | Err(_)) => Arrival::End,
            Some(Ok(_)) => Arrival::Bytes,
            None => Arrival::Late,
        }
    }

    /// Whether all that has arrived was read.
    pub(super) fn is_read(&self) -> bool {
        rustix::io::ioctl_fionread(&self.socket).is_ok_and(|unread| unread == 0)
    }

    /// Sends bytes.
    pub(super) async fn send(
        &mut self,
        mut bytes: &[u8],
        more: More,
        stall: Duration,
    ) -> Result<(), Broken> {
        let flags = match more {
            More::Yes => SendFlags::NOSIGNAL | SendFlags::MORE,
            More::No => SendFlags::NOSIGNAL,
        };
        while !bytes.is_empty() {
            let sent = self
                .socket
                .try_io(Interest::WRITABLE, || Ok(rustix::net::send(&self.socket, bytes, flags)?));
            match sent {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) => self.wait_for_room(error, stall).await?,
            }
        }
        Ok(())
    }

    /// Sends two pieces, in one system call if the socket takes both.
    pub(super) async fn send_both(
        &mut self,
        mut head: &[u8],
        mut body: &[u8],
        stall: Duration,
    ) -> Result<(), Broken> {
        if body.len() as u64 > SMALL_BYTES {
            self.turn().await;
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
                    let of_head = sent.min(head.len());
                    head = &head[of_head..];
                    body = &body[sent - of_head..];
                }
                Err(error) => self.wait_for_room(error, stall).await?,
            }
        }
        self.send(head, More::No, stall).await?;
        self.send(body, More::No, stall).await
    }

    /// Sends part of a file; `sent` counts its bytes as they go.
    pub(super) async fn send_file(
        &mut self,
        mut transfer: Transfer<'_>,
        stall: Duration,
        sent: &mut u64,
    ) -> Result<(), Broken> {
        loop {
            if transfer.is_remote() {
                return self.send_pieces(transfer, stall, sent).await;
            }
            if !transfer.is_cached() {
                // Others would wait for the disk too.
                transfer.fetch().await.map_err(Broken::FileFailed)?;
            }
            if transfer.left() > SMALL_BYTES {
                self.turn().await;
            }
            let step = self.socket.try_io(Interest::WRITABLE, || transfer.step(&self.socket));
            match step {
                Ok(Step::Moved(count)) => *sent += count as u64,
                Ok(Step::Done) => return Ok(()),
                Ok(Step::CutShort) => return Err(Broken::FileCutShort),
                Err(error) if is_of_the_file(&error) => return Err(Broken::FileFailed(error)),
                Err(error) => self.wait_for_room(error, stall).await?,
            }
        }
    }

    /// The same from a file system on which moving bytes may wait for somebody. A piece is
    /// read when there is room for it, so that who takes nothing holds none.
    async fn send_pieces(
        &mut self,
        mut transfer: Transfer<'_>,
        stall: Duration,
        sent: &mut u64,
    ) -> Result<(), Broken> {
        while transfer.left() > 0 {
            if transfer.left() > SMALL_BYTES {
                self.turn().await;
            }
            self.wait_for_room(io::ErrorKind::WouldBlock.into(), stall).await?;
            let piece = transfer.read().await.map_err(Broken::FileFailed)?;
            if piece.is_empty() {
                return Err(Broken::FileCutShort);
            }
            self.send(&piece, More::No, stall).await?;
            *sent += piece.len() as u64;
        }
        Ok(())
    }

    /// Ends the connection in the way that lets the client read the last answer:
    /// our half is closed, and what the client still sends is read and thrown
    /// away until it closes its half too (RFC 9112, section 9.6). Otherwise the
    /// kernel would answer it with a reset, which destroys what is not yet read.
    pub(super) async fn close(mut self, drain: Duration) {
        if self.socket.shutdown().await.is_err() {
            return;
        }
        let deadline = Instant::now() + drain;
        let mut discarded = Vec::new();
        // A client that sends faster than we read never lets a wait begin.
        while Instant::now() < deadline
            && self.wake(&mut discarded, deadline).await == Arrival::Bytes
        {
            discarded.clear();
            consume_budget().await;
        }
    }

    /// Waits for room in the socket's buffer, if that is what sending failed for.
    async fn wait_for_room(&mut self, error: io::Error, stall: Duration) -> Result<(), Broken> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => {}
            _ => return Err(Broken::Gone(error)),
        }
        let _stalled = self.turn.stalled();
        let deadline = Instant::now() + stall;
        let writable = poll_fn(|context| self.socket.poll_write_ready(context));
        match limit(&mut self.alarm, deadline, writable).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Broken::Gone(error)),
            None => Err(Broken::Stalled),
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

impl Alarm {
    /// Whether it is past the deadline. If not, the task is woken when it is.
    fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// Waits for a future until the deadline.
async fn limit<F: Future>(alarm: &mut Alarm, deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => alarm.poll(deadline, context).map(|()| None),
    })
    .await
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
