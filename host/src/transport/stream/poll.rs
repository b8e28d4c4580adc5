//! The same socket for a wire that does several things at a time, and so polls: HTTP/2.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::receive::poll_content;
use super::{LOOKS_PER_STALL, More, READ_BYTES, Read, RoomWait, SendError, Stream};
use crate::transport::progress::Look;
use crate::transport::send_scheduler::WorkerScheduler;

/// How long a client has to make room for more before it is taken for slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

impl<'a> Stream<'a> {
    /// Appends what arrives to `buffer`. As long as there is nothing it gets no room, so that idle
    /// connections cost as little as possible.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<Read> {
        let Stream { socket, progress, session, .. } = self;
        if let Some(session) = session {
            return poll_content(context, socket, session, progress, buffer);
        }
        if ready!(self.socket.poll_read_ready(context)).is_err() {
            return Poll::Ready(Read::Disconnected);
        }
        let had_room = buffer.capacity() > 0;
        buffer.reserve(READ_BYTES);
        match self.socket.poll_append(context, buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Read::Eof),
            Poll::Ready(Ok(_)) => Poll::Ready(Read::Data),
            Poll::Ready(Err(_)) => Poll::Ready(Read::Disconnected),
            Poll::Pending => {
                // It was no more than a guess: a new socket is taken to be readable until it is
                // tried.
                if !had_room {
                    *buffer = Vec::new();
                }
                Poll::Pending
            }
        }
    }

    /// Hands some of the bytes over, at least one, and tells how many. Waits for room for as long
    /// as the client takes something now and then.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, SendError>> {
        loop {
            ready!(self.poll_begun_wait(context))?;
            match self.step(bytes, &[], More::No) {
                Ok(sent) => return Poll::Ready(Ok(sent)),
                Err(error) => ready!(self.poll_after(error, context))?,
            }
        }
    }

    /// Hands over what was taken to be sent and is still here: records of TLS.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        while self.is_unsent() {
            ready!(self.poll_begun_wait(context))?;
            match self.step(&[], &[], More::No) {
                Ok(_) => {}
                Err(error) => ready!(self.poll_after(error, context))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on with a wait for room, if one has begun: what the client took meanwhile tells how
    /// fast it is.
    fn poll_begun_wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        match self.room_wait {
            Some(_) => self.poll_room(context),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Waits until it is worth another try, if there is one after this error.
    fn poll_after(
        &mut self,
        error: io::Error,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        match error.kind() {
            io::ErrorKind::Interrupted => Poll::Ready(Ok(())),
            io::ErrorKind::WouldBlock => self.poll_room(context),
            _ => Poll::Ready(Err(SendError::Disconnected(error))),
        }
    }

    /// Waits for room in the socket's buffer, for as long as the client takes something now and
    /// then.
    ///
    /// That there is room tells too little: the kernel tells so only when a third of a buffer
    /// of megabytes is free, for which a slow client needs minutes.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.room_wait.is_none() {
            self.unsent.count();
            let began = Instant::now();
            self.look_at(began);
            let before = self.progress.taken();
            let mut pause = SLOW_AFTER.min(self.stall / LOOKS_PER_STALL);
            let next_look = self.next_look(began, &mut pause);
            self.room_wait = Some(Box::new(RoomWait { began, before, next_look, pause }));
        }
        loop {
            match self.socket.poll_write_ready(context) {
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(SendError::Disconnected(error)));
                }
                Poll::Pending => {}
            }
            let Some(wait) = &self.room_wait else { break };
            ready!(self.alarm.poll(wait.next_look, context));
            let now = Instant::now();
            if self.look_at(now) == Look::Stalled {
                return Poll::Ready(Err(SendError::TimedOut));
            }
            let held = self.progress.handed() - self.progress.taken();
            self.unsent.shrink(&self.socket, held);
            let mut pause = self.room_wait.as_ref().map_or(SLOW_AFTER, |wait| wait.pause);
            let next_look = self.next_look(now, &mut pause);
            if let Some(wait) = &mut self.room_wait {
                (wait.next_look, wait.pause) = (next_look, pause);
            }
        }
        if let Some(wait) = self.room_wait.take()
            && self.unsent.may_grow()
        {
            let now = Instant::now();
            self.look_at(now);
            let taken = self.progress.taken() - wait.before;
            self.unsent.grow(&self.socket, taken, now - wait.began);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether it is past the deadline. If not, the task is woken when it is.
    pub(crate) fn poll_deadline(
        &mut self,
        context: &mut Context<'_>,
        deadline: Instant,
    ) -> Poll<()> {
        self.alarm.poll(deadline, context)
    }

    /// What gives slots. Who took one says so by [`has_slot`](Stream::has_slot).
    pub(crate) fn scheduler(&self) -> &'a WorkerScheduler {
        self.scheduler
    }

    /// Notes that a slot was taken, to send a piece of what is large.
    pub(crate) fn has_slot(&mut self) {
        self.unsent.count();
        self.unsent.yield_to_crowd(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Read;
    use std::net::TcpListener;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use super::Stream;
    use crate::transport::send_scheduler::SendScheduler;
    use crate::transport::unsent::UNSENT_LOW_WATERMARK;
    use socket2::SockRef;

    #[test]
    fn client_that_is_fast_is_given_more_in_advance() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            let address = listener.local_addr().expect("an address");
            let socket = std::net::TcpStream::connect(address).expect("a socket");
            socket.set_nonblocking(true).expect("set");
            let (mut client, _) = listener.accept().expect("a connection");
            let low_watermark = |stream: &Stream<'_>| {
                SockRef::from(&stream.socket).tcp_notsent_lowat().expect("a value")
            };
            SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_LOW_WATERMARK).expect("set");
            let scheduler = SendScheduler::new(1);
            let mut stream = Stream::new(socket, scheduler.of(0), Duration::from_secs(30));

            let content = vec![0; 64 << 10];
            let fill = |context: &mut Context<'_>| {
                while let Poll::Ready(sent) = stream.poll_send(context, &content) {
                    sent.expect("sent");
                }
                Poll::Ready(())
            };
            poll_fn(fill).await;
            assert_eq!(low_watermark(&stream), UNSENT_LOW_WATERMARK);

            std::thread::spawn(
                move || while client.read(&mut [0; 64 << 10]).is_ok_and(|n| n > 0) {},
            );
            poll_fn(|context| stream.poll_send(context, &content)).await.expect("sent");
            assert!(stream.room_wait.is_none(), "the wait is over");
            assert!(low_watermark(&stream) > UNSENT_LOW_WATERMARK, "{}", low_watermark(&stream));
        });
    }
}
