//! What is sent to a client: from memory and from files.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice, Write};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use super::{More, SendError, Stream};
use crate::transport::progress::Progress;
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;
use crate::transport::session::{SEALED_BYTES, Session};
use crate::transport::socket::Socket;
use crate::transport::transfer::{Step, Transfer};

/// Content of a file that becomes records with one slot. Two pieces take some 100 µs.
const SLOT_BYTES: usize = 2 * SEALED_BYTES;

thread_local! {
    /// A piece of a file on its way into records: no connection keeps room for it.
    static PIECE: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEALED_BYTES].into());
}

impl Stream<'_> {
    /// Sends bytes.
    pub(crate) async fn send(&mut self, mut bytes: &[u8], more: More) -> Result<(), SendError> {
        if more == More::Yes && self.session.as_mut().is_some_and(|session| session.hold(bytes)) {
            return Ok(());
        }
        while !bytes.is_empty() || self.is_unsent() {
            match self.step(bytes, &[], more) {
                Ok(sent) => bytes = &bytes[sent..],
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
        while !head.is_empty() || !body.is_empty() || self.is_unsent() {
            match self.step(head, body, More::No) {
                Ok(sent) => {
                    let of_head = sent.min(head.len());
                    head = &head[of_head..];
                    body = &body[sent - of_head..];
                }
                Err(error) => Box::pin(self.wait_for_room(error)).await?,
            }
        }
        Ok(())
    }

    /// Whether something that was taken to be sent was not handed to the kernel: records, or
    /// what was held back for more.
    pub(super) fn is_unsent(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_unsent())
    }

    /// Sends some bytes of two pieces. Returns how many of them need not be sent again.
    pub(super) fn step(&mut self, head: &[u8], body: &[u8], more: More) -> io::Result<usize> {
        let flags = match more {
            More::Yes => SendFlags::NOSIGNAL | SendFlags::MORE,
            More::No => SendFlags::NOSIGNAL,
        };
        if let Some(session) = &mut self.session {
            // Those of before, so that there are never more. Tickets leave with content.
            if session.has_content() {
                write_records(&self.socket, session, &mut self.progress)?;
            }
            let sealed = session.seal(head, body, self.unsent.piece_bytes())?;
            let written = write_records(&self.socket, session, &mut self.progress);
            if sealed == 0 {
                written?;
            }
            // What else comes of it, the next step tells.
            return Ok(sealed);
        }
        let sent = self.socket.try_write(|| send(&self.socket, head, body, flags));
        sent.inspect(|&sent| self.progress.hand_over(sent))
    }

    /// Sends part of a file. The caller boxes it: an idle connection would have room for it.
    pub(crate) async fn send_file(&mut self, mut transfer: Transfer<'_>) -> Result<(), SendError> {
        loop {
            if transfer.is_remote() {
                return self.send_pieces(transfer).await;
            }
            if self.is_secure() {
                return self.send_sealed(transfer).await;
            }
            if !transfer.is_cached() {
                // Others would wait for the disk too.
                transfer.fetch().await.map_err(SendError::FileFailed)?;
            }
            if transfer.left() > UNSCHEDULED_BYTES {
                self.slot_to_send().await;
            }
            let step = self.socket.try_write(|| transfer.step(&self.socket));
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

    /// The same under TLS: a piece is read from the kernel's memory when all before it was handed
    /// over. It is not mapped: a file that became shorter would end the process.
    async fn send_sealed(&mut self, mut transfer: Transfer<'_>) -> Result<(), SendError> {
        let mut since_slot = SLOT_BYTES;
        loop {
            while self.session.as_ref().is_some_and(|session| session.has_records()) {
                if let Err(error) = self.flush_records() {
                    self.wait_for_room(error).await?;
                }
            }
            if transfer.left() == 0 {
                return Ok(());
            }
            if !transfer.is_cached() {
                transfer.fetch().await.map_err(SendError::FileFailed)?;
            }
            if transfer.left() > UNSCHEDULED_BYTES && since_slot >= SLOT_BYTES {
                self.slot_to_send().await;
                since_slot = 0;
            }
            let piece_bytes = self.unsent.piece_bytes();
            let Some(session) = &mut self.session else { return Ok(()) };
            let sealed = PIECE.with_borrow_mut(|piece| {
                let piece = &mut piece[..piece_bytes];
                let read = transfer.read_chunk(piece).map_err(SendError::FileFailed)?;
                if read == 0 {
                    return Err(SendError::FileTruncated);
                }
                session.seal(&piece[..read], &[], piece_bytes).map_err(SendError::Disconnected)
            })?;
            transfer.advance(sealed);
            since_slot += sealed;
        }
    }

    /// Hands records to the kernel, all that it takes.
    pub(super) fn flush_records(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        write_records(&self.socket, session, &mut self.progress)
    }

    /// Has the end of TLS be told with what is sent next, which must be the last.
    pub(crate) fn end_with_next(&mut self) {
        if let Some(session) = &mut self.session {
            session.end_with_next();
        }
    }

    /// Ends our half of the connection. The client reads what was sent, and its end.
    pub(crate) async fn end(&mut self) -> Result<(), SendError> {
        if self.is_secure() {
            Box::pin(self.end_session()).await?;
        }
        // tokio's takes a connection that was reset for one that was ended.
        rustix::net::shutdown(&self.socket, Shutdown::Write)
            .map_err(|error| SendError::Disconnected(error.into()))?;
        // The end is acknowledged as a byte is.
        self.progress.hand_over(1);
        Ok(())
    }

    /// Says that nothing more is sent, behind all that was to be.
    async fn end_session(&mut self) -> Result<(), SendError> {
        self.send(&[], More::No).await?;
        if let Some(session) = &mut self.session {
            session.close();
        }
        self.send(&[], More::No).await
    }

    /// Waits for room in the socket's buffer, if that is what sending failed for, for as long
    /// as the client takes something now and then.
    async fn wait_for_room(&mut self, error: io::Error) -> Result<(), SendError> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => {
                self.room_wait = None;
                poll_fn(|context| self.poll_room(context)).await
            }
            _ => Err(SendError::Disconnected(error)),
        }
    }
}

/// Sends some bytes of two pieces, in one system call.
fn send(socket: &Socket, head: &[u8], body: &[u8], flags: SendFlags) -> io::Result<usize> {
    Ok(match (head, body) {
        (one, []) | ([], one) => rustix::net::send(socket, one, flags)?,
        (head, body) => {
            let pieces = [IoSlice::new(head), IoSlice::new(body)];
            rustix::net::sendmsg(socket, &pieces, &mut SendAncillaryBuffer::default(), flags)?
        }
    })
}

/// Hands records to the kernel, all that it takes. `WouldBlock` if some are left.
pub(super) fn write_records(
    socket: &Socket,
    session: &mut Session,
    progress: &mut Progress,
) -> io::Result<()> {
    // The end of the connection follows at once, and goes in the same packet.
    let more = if session.is_closed() { SendFlags::MORE } else { SendFlags::empty() };
    let mut out = Out { socket, flags: SendFlags::NOSIGNAL | more };
    while session.has_records() {
        let written = socket.try_write(|| session.write_records(&mut out));
        progress.hand_over(written?);
    }
    session.note_sent(progress.handed());
    Ok(())
}

/// A socket that records are written to, several in one system call.
struct Out<'s> {
    socket: &'s Socket,
    flags: SendFlags,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.socket, bytes, self.flags)?)
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = records {
            return self.write(one);
        }
        let mut none = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(self.socket, records, &mut none, self.flags)?)
    }

    fn flush(&mut self) -> io::Result<()> {
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
