//! A limit on how long a client of the administration takes nothing: hyper has none of its own.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::transport::send_queue;

/// From one look at what a client took to the next.
const LOOK: Duration = Duration::from_millis(50);

/// A socket that fails when its client takes nothing for this long.
pub(super) struct Patient<S> {
    socket: S,
    stall: Duration,
    /// Since when it takes nothing, if it does.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S, stall: Duration) -> Patient<S> {
        Patient { socket, stall, waiting: None }
    }

    /// What came of writing, unless the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.stall)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsFd> Patient<S> {
    /// Waits this long until the client took all that was sent, and resets the connection if
    /// it does not: the kernel would go on for minutes.
    pub(super) async fn taken_within(self, patience: Duration) {
        let until = Instant::now() + patience;
        while send_queue::unacknowledged(&self.socket) > 0 {
            if Instant::now() >= until {
                send_queue::reset_on_close(&self.socket);
                return;
            }
            sleep(LOOK).await;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.unless_stalled(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.unless_stalled(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::time::Instant;

    use super::Patient;

    const STALL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_nothing_is_given_up() {
        let (mut client, socket) = UnixStream::pair().expect("sockets");
        let mut patient = Patient::new(socket, STALL);
        let began = Instant::now();
        let error = patient.write_all(&vec![0; 8 << 20]).await.expect_err("no client reads");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::TimedOut, 10));
        // At the end it has the same time again.
        patient.taken_within(STALL).await;
        assert!((20..=21).contains(&began.elapsed().as_secs()));
        client.read_exact(&mut [0; 1000]).await.expect("what was sent");
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_takes_a_little_now_and_then_is_served() {
        let (mut client, socket) = UnixStream::pair().expect("sockets");
        let mut patient = Patient::new(socket, STALL);
        let serving = tokio::spawn(async move {
            patient.write_all(&vec![0; 2 << 20]).await.expect("it reads");
            patient.taken_within(STALL).await;
        });
        let mut received = vec![0; 256 << 10];
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            client.read_exact(&mut received).await.expect("bytes");
        }
        serving.await.expect("served");
    }
}
