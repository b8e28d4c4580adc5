//! What `h2` reads from and writes to: the [`Wire`] of a connection, which its driver has too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;
use crate::lock::lock;

/// One end for `h2`. Its driver has the other; both are of one task, so that the lock is free.
pub(super) struct Io<'w, 'c, 'a>(pub(super) &'w Mutex<Wire<'c, 'a>>);

impl AsyncRead for Io<'_, '_, '_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = lock(self.0);
        let bytes = ready!(wire.poll_read(context, buffer.remaining()))?;
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io<'_, '_, '_> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = lock(self.0);
        ready!(wire.poll_room(context))?;
        wire.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = lock(self.0);
        ready!(wire.poll_room(context))?;
        let mut count = 0;
        for piece in pieces {
            wire.write(piece);
            count += piece.len();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: the driver flushes, when all that can be written was.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(self.0).poll_flush(context)
    }
}
