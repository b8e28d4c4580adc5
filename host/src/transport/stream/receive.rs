//! What a client sends: waits for it, reads it, or throws it away.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::send::write_records;
use super::{READ_BYTES, Read, Stream};
use crate::transport::progress::Progress;
use crate::transport::session::Session;
use crate::transport::socket::Socket;

/// Bytes of records to read at a time: the longest record and a little more.
const RECORDS_BYTES: usize = 17 << 10;

thread_local! {
    /// Records between the kernel and the TLS of a connection: no connection keeps room for them.
    static RECORDS: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORDS_BYTES].into());
}

impl Stream<'_> {
    /// Waits for bytes without a buffer to read them into, so that idle connections
    /// cost as little as possible, and then reads them into a new one.
    pub(crate) async fn wake(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Read {
        if self.is_secure() {
            return self.read_content(buffer, deadline).await;
        }
        loop {
            if let Err(read) = self.readable(deadline).await {
                return read;
            }
            buffer.reserve(READ_BYTES);
            // Beside the task's budget: what it delayed would look like a guess,
            // for ever. Who calls this in a loop keeps to the budget there.
            match now_or_never(unconstrained(poll_fn(|context| {
                self.socket.poll_append(context, buffer)
            })))
            .await
            {
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
        if self.is_secure() {
            return self.read_content(buffer, deadline).await;
        }
        buffer.reserve(READ_BYTES);
        let Stream { socket, alarm, .. } = self;
        let read = poll_fn(|context| socket.poll_append(context, buffer));
        match alarm.limit(deadline, read).await {
            Some(Ok(0)) => Read::Eof,
            Some(Err(_)) => Read::Disconnected,
            Some(Ok(_)) => Read::Data,
            None => Read::TimedOut,
        }
    }

    /// Appends the content of records that arrive to `buffer`.
    async fn read_content(&mut self, buffer: &mut Vec<u8>, deadline: Instant) -> Read {
        let Stream { socket, alarm, progress, session, .. } = self;
        let Some(session) = session else { return Read::Disconnected };
        let read = poll_fn(|context| poll_content(context, socket, session, progress, buffer));
        alarm.limit(deadline, read).await.unwrap_or(Read::TimedOut)
    }

    /// Whether all that has arrived was read.
    pub(crate) fn is_read(&self) -> bool {
        self.socket.is_drained()
    }

    /// Waits for bytes, and throws them away. Those of TLS are not opened.
    pub(crate) async fn discard(&mut self, deadline: Instant) -> Read {
        if self.session.as_ref().is_some_and(|session| session.has_ended()) {
            return Read::Eof;
        }
        let Stream { socket, alarm, .. } = self;
        let discarded = poll_fn(|context| socket.poll_discard(context));
        match alarm.limit(deadline, discarded).await {
            Some(Ok(0)) => Read::Eof,
            Some(Ok(_)) => Read::Data,
            Some(Err(_)) => Read::Disconnected,
            None => Read::TimedOut,
        }
    }
}

/// Appends the content of records that arrive to `buffer`. What is to be sent about them, and
/// waited for something else, goes before anything is waited for.
pub(super) fn poll_content(
    context: &mut Context<'_>,
    socket: &mut Socket,
    session: &mut Session,
    progress: &mut Progress,
    buffer: &mut Vec<u8>,
) -> Poll<Read> {
    let before = buffer.len();
    // The client may have sent it with the end of its handshake.
    session.open(&[], buffer);
    loop {
        if buffer.len() > before {
            return Poll::Ready(Read::Data);
        }
        if session.has_ended() {
            return Poll::Ready(Read::Eof);
        }
        if session.has_failed() {
            // There is an alert for it, which goes now or with the end.
            let _ = write_records(socket, session, progress);
            return Poll::Ready(Read::Truncated);
        }
        let received = RECORDS.with_borrow_mut(|records| {
            let mut records = ReadBuf::new(records);
            match socket.poll_read(context, &mut records) {
                Poll::Ready(Ok(())) if records.filled().is_empty() => Some(Read::Truncated),
                Poll::Ready(Ok(())) => {
                    session.open(records.filled(), buffer);
                    None
                }
                Poll::Ready(Err(_)) => Some(Read::Disconnected),
                Poll::Pending => Some(Read::TimedOut),
            }
        });
        match received {
            None => {}
            Some(Read::TimedOut) => {
                let _ = write_records(socket, session, progress);
                return Poll::Pending;
            }
            Some(read) => return Poll::Ready(read),
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
