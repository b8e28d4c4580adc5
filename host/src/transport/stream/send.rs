//! What is sent to a client: from memory and from files.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::Interest;
use tokio::time::Instant;

use super::{LOOKS_PER_STALL, More, SendError, Stream};
use crate::transport::progress::Look;
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;
use crate::transport::transfer::{Step, Transfer};

/// How long a client has to make room for more before it is taken for slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

impl Stream<'_> {
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
