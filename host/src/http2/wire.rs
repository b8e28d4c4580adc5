//! The bytes of a connection between `h2` and its socket, with a cork: what is written is collected,
//! and handed over when all that could be written was.
//!
//! `h2` flushes each response by itself. With TLS that is one record and one system call for each,
//! whatever the client asks for at a time: twice the work at ten streams.

use std::io;
use std::task::{Context, Poll, ready};

use super::Limits;
use super::meter::{Meter, PREFACE_BYTES};
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;
use crate::transport::stream::{Read, SendError, Stream};

/// Bytes that are collected before some are handed over.
pub(crate) const CORK_BYTES: usize = 64 << 10;

/// Room that is kept from one burst to the next, while requests follow one another.
const KEPT_BYTES: usize = 16 << 10;

/// Bytes that are read before others get their turn. A client that sends without end would keep
/// the worker otherwise.
const READ_BYTES_A_TURN: usize = 256 << 10;

/// Why a connection can go on no longer.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client took nothing for too long.
    Stalled,
    /// It was reset.
    Disconnected,
}

/// Such a connection's bytes.
pub(super) struct Wire<'c, 'a> {
    pub(super) stream: &'c mut Stream<'a>,
    /// What has arrived.
    received: &'c mut Vec<u8>,
    /// How much of it `h2` has.
    passed: usize,
    /// Bytes of the preface that it has not. Without them it has no way to say what is wrong.
    preface_left: usize,
    /// Bytes that may be read before others get their turn.
    readable: usize,
    /// What is to be handed over.
    cork: Vec<u8>,
    /// How much of it was.
    sent: usize,
    /// Bytes that `h2` has written since the connection began.
    written: u64,
    /// Bytes that may be handed over before others get their turn.
    sendable: u64,
    /// Whether reading or sending waits for that.
    pub(super) wants_slot: bool,
    /// Whether `h2` waits for room in the cork.
    pub(super) is_full: bool,
    pub(super) broken: Option<Broken>,
    /// What the client sends beside its requests.
    pub(super) meter: Meter,
    /// Whether that is too much: nothing more is read.
    pub(super) is_flooded: bool,
}

impl<'c, 'a> Wire<'c, 'a> {
    /// Of which this has arrived already.
    pub(super) fn new(
        stream: &'c mut Stream<'a>,
        received: &'c mut Vec<u8>,
        limits: &Limits,
    ) -> Wire<'c, 'a> {
        let mut meter = Meter::new(limits);
        let is_flooded = meter.read(received).is_err();
        Wire {
            written: stream.handed(),
            stream,
            received,
            passed: 0,
            preface_left: PREFACE_BYTES,
            readable: READ_BYTES_A_TURN,
            cork: Vec::new(),
            sent: 0,
            sendable: UNSCHEDULED_BYTES,
            wants_slot: false,
            is_full: false,
            broken: None,
            meter,
            is_flooded,
        }
    }

    /// Bytes that were written since the connection began, in the positions of the stream.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all that was written was handed over.
    pub(super) fn is_flushed(&self) -> bool {
        self.cork.is_empty()
    }

    /// A slot was given.
    pub(super) fn has_slot(&mut self) {
        if self.sendable == 0 {
            self.stream.has_slot();
        }
        self.rest();
    }

    /// Nothing is under way: what follows is a first response again.
    pub(super) fn rest(&mut self) {
        self.wants_slot = false;
        self.sendable = UNSCHEDULED_BYTES;
        self.readable = READ_BYTES_A_TURN;
    }

    /// Gives back the memory that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.cork.is_empty() {
            self.cork = Vec::new();
        }
        if self.passed == self.received.len() {
            *self.received = Vec::new();
            self.passed = 0;
        }
    }

    /// Gives bytes that have arrived, at most as many as there is room for.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<&[u8]>> {
        if self.is_flooded && self.preface_left == 0 {
            return Poll::Pending;
        }
        if self.passed == self.received.len() {
            self.received.clear();
            self.passed = 0;
            if self.readable == 0 {
                self.wants_slot = true;
                return Poll::Pending;
            }
            match ready!(self.stream.poll_read(context, self.received)) {
                Read::Data => {
                    self.readable = self.readable.saturating_sub(self.received.len());
                    if let Err(flood) = self.meter.read(self.received) {
                        tracing::debug!(
                            reason = flood.reason(),
                            "client sends too much that is no request"
                        );
                        self.is_flooded = true;
                        if self.preface_left == 0 {
                            return Poll::Pending;
                        }
                    }
                }
                Read::Eof => {}
                Read::Disconnected | Read::Truncated | Read::Stalled | Read::TimedOut => {
                    self.broken.get_or_insert(Broken::Disconnected);
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
            }
        }
        let from = self.passed;
        let room = if self.is_flooded { room.min(self.preface_left) } else { room };
        self.passed += room.min(self.received.len() - from);
        self.preface_left = self.preface_left.saturating_sub(self.passed - from);
        Poll::Ready(Ok(&self.received[from..self.passed]))
    }

    /// Waits for room in the cork.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_full = self.cork.len() - self.sent >= CORK_BYTES;
        if self.is_full {
            ready!(self.poll_hand_over(context, CORK_BYTES - 1))?;
            self.is_full = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Collects bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.cork.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
    }

    /// Hands all over.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.cork.is_empty() {
            ready!(self.poll_hand_over(context, 0))?;
        }
        ready!(self.stream.poll_flush(context)).map_err(|error| self.fail(error))?;
        Poll::Ready(Ok(()))
    }

    /// Hands over until this much is left.
    fn poll_hand_over(&mut self, context: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.cork.len() - self.sent > left {
            if self.sendable == 0 {
                self.wants_slot = true;
                return Poll::Pending;
            }
            let most = usize::try_from(self.sendable).unwrap_or(usize::MAX);
            let end = self.cork.len().min(self.sent.saturating_add(most));
            let sent = ready!(self.stream.poll_send(context, &self.cork[self.sent..end]))
                .map_err(|error| self.fail(error))?;
            self.sent += sent;
            self.sendable -= sent as u64;
        }
        if self.sent == self.cork.len() {
            self.cork.clear();
            if self.cork.capacity() > KEPT_BYTES {
                self.cork = Vec::new();
            }
        } else {
            self.cork.drain(..self.sent);
        }
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: SendError) -> io::Error {
        match error {
            SendError::Disconnected(error) => {
                self.broken.get_or_insert(Broken::Disconnected);
                error
            }
            // No file is sent by the stream itself.
            SendError::TimedOut | SendError::FileTruncated | SendError::FileFailed(_) => {
                self.broken.get_or_insert(Broken::Stalled);
                io::ErrorKind::TimedOut.into()
            }
        }
    }
}
