//! The socket of a connection, with a limit on every wait.
//!
//! - `receive`: what a client sends. `send`: what is sent to it. `poll`: both, for a wire that does
//!   several things at a time.

mod poll;
mod receive;
mod send;

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use tokio::time::Instant;

use super::alarm::Alarm;
use super::progress::{Look, Progress};
use super::send_queue;
use super::send_scheduler::WorkerScheduler;
use super::session::Session;
use super::socket::Socket;
use super::unsent::Share;

/// Bytes to make room for when something has arrived: a request head of a
/// browser, or a few of a load generator's, in one system call.
pub(crate) const READ_BYTES: usize = 4 << 10;

/// The longest pause between two looks at what a client took, as a part of the time in which it
/// may take nothing.
const LOOKS_PER_STALL: u32 = 4;

/// A socket and the one timer that bounds its waits. Dropping it closes the connection, and
/// resets it if the client has not taken all that was sent.
pub(crate) struct Stream<'a> {
    socket: Socket,
    alarm: Alarm,
    scheduler: &'a WorkerScheduler,
    /// How long a client may take nothing.
    stall: Duration,
    progress: Progress,
    /// A wait for room, if there is one.
    room_wait: Option<Box<RoomWait>>,
    /// What the kernel holds for the client.
    unsent: Share<'a>,
    /// Its TLS, once the handshake is complete.
    session: Option<Box<Session>>,
}

/// A wait for room in the socket's buffer.
struct RoomWait {
    began: Instant,
    /// What the client had taken by then.
    before: u64,
    next_look: Instant,
    pause: Duration,
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
    /// The connection ended before its TLS did, or the client broke that: what arrived may be a
    /// part of what was sent (RFC 8446, section 6.1).
    Truncated,
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
        Stream {
            socket: Socket::new(socket),
            alarm: Alarm::new(),
            scheduler,
            stall,
            progress,
            room_wait: None,
            unsent,
            session: None,
        }
    }

    /// Has all that follows be TLS.
    pub(crate) fn secure(&mut self, session: Session) {
        self.session = Some(Box::new(session));
    }

    /// Whether it is TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.session.is_some()
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
        let look = self.progress.look(send_queue::unacknowledged(&self.socket), now);
        if let Some(session) = &mut self.session {
            session.acknowledge(self.progress.taken());
        }
        look
    }

    /// Bytes of content that were given to be sent since the connection began.
    pub(crate) fn handed(&self) -> u64 {
        self.session.as_ref().map_or(self.progress.handed(), |session| session.handed())
    }

    /// How many of them the client had taken at the last look.
    pub(crate) fn taken(&self) -> u64 {
        self.session.as_ref().map_or(self.progress.taken(), |session| session.taken())
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

    /// How far the client has come with what was sent, in bytes of the wire.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the connection was reset. What it had not taken stays in its queue then.
    pub(crate) fn is_broken(&self) -> bool {
        !matches!(self.socket.take_error(), Ok(None))
    }

    /// Waits until then.
    pub(crate) async fn sleep(&mut self, until: Instant) {
        self.alarm.sleep(until).await;
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.progress.is_over() && send_queue::unacknowledged(&self.socket) > 0 {
            send_queue::reset_on_close(&self.socket);
        }
    }
}
