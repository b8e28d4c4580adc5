//! What a client sends: waits for it, reads it, or throws it away.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt, Interest};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::{Read, Stream};

/// Bytes to make room for when something has arrived: a request head of a
/// browser, or a few of a load generator's, in one system call.
pub(crate) const READ_BYTES: usize = 4 << 10;

/// Bytes to throw away at a time.
const DISCARDED_BYTES: usize = 16 << 10;

impl Stream<'_> {
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
