//! The body of a response, given to `h2` in pieces, each when the client has room for it: so files
//! never sit in memory.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Buf;
use h2::SendStream;
use tokio::time::{Instant, timeout_at};

use super::patience::Patience;
use super::piece::{Piece, Tally};
use super::priority::Priority;
use super::shared::Shared;
use super::turns::Place;
use crate::disk::OpenFile;
use crate::http::ByteRange;
use crate::in_flight::Sending;
use crate::lock::lock;
use crate::service::{Body, Content};
use crate::transport::transfer::Transfer;

/// Bytes of a piece at most: what a stream may send at first, unless its client says otherwise.
const PIECE_BYTES: u64 = 64 << 10;

/// Bytes that wait for no other stream.
pub(crate) const SMALL_BYTES: u64 = 16 << 10;

/// Why a body was not given to `h2` to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The client, or `h2` for a fault of it, has reset the stream, or the connection is gone.
    Reset,
    /// The client opens no window for too long.
    Stalled,
    /// The file ended before the promised length.
    FileTruncated,
    /// The file could not be read.
    FileFailed(io::Error),
}

/// Room for a piece, which a stream holds until it has given it to `h2`.
struct Room<'s> {
    bytes: usize,
    holders: &'s AtomicUsize,
}

impl<'s> Room<'s> {
    fn new(holders: &'s AtomicUsize) -> Room<'s> {
        holders.fetch_add(1, Ordering::Relaxed);
        Room { bytes: 0, holders }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body on its way.
pub(super) struct Sender<'e, 's, 'c, 'a> {
    shared: &'s Shared<'c, 'a>,
    stream: &'e mut SendStream<Piece<'s>>,
    tally: Option<Arc<Tally>>,
    place: Place<'s>,
    /// Bytes that were not given to `h2`.
    left: u64,
}

impl<'e, 's, 'c, 'a> Sender<'e, 's, 'c, 'a> {
    pub(super) fn new(
        shared: &'s Shared<'c, 'a>,
        stream: &'e mut SendStream<Piece<'s>>,
        tally: Option<Arc<Tally>>,
        priority: Priority,
        length: u64,
    ) -> Self {
        let place = shared.turns.place(stream.stream_id().as_u32(), priority);
        Sender { shared, stream, tally, place, left: length }
    }

    /// Sends a body that is in memory, if it is small and the client has room for all of it. If not
    /// gives it back.
    pub(super) fn send_at_once(&mut self, body: Body) -> Result<Option<Body>, BodyError> {
        if self.left > SMALL_BYTES {
            return Ok(Some(body));
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX);
        self.stream.reserve_capacity(length);
        if self.stream.capacity() < length {
            return Ok(Some(body));
        }
        let buffered = &self.shared.buffered;
        let tally = self.tally.clone();
        let piece = match body {
            Body::Bytes(bytes) => Piece::own(bytes, buffered, tally),
            Body::Content { content: Content::Memory(content), range } => {
                Piece::shared(content, range, buffered, tally)
            }
            body => return Ok(Some(body)),
        };
        self.give(piece).map(|()| None)
    }

    /// Sends a body.
    pub(super) async fn send(&mut self, body: &Body) -> Result<(), BodyError> {
        match body {
            Body::Empty => Ok(()),
            Body::Bytes(bytes) => self.send_bytes(bytes).await,
            Body::Content { content, range } => self.send_content(content, *range).await,
            Body::Parts { content, parts, tail } => {
                for (text, range) in parts {
                    self.send_bytes(text).await?;
                    self.send_content(content, *range).await?;
                }
                self.send_bytes(tail).await
            }
        }
    }

    async fn send_bytes(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        while !bytes.is_empty() {
            let room = self.wait_for_room(bytes.len() as u64).await?;
            let (piece, rest) = bytes.split_at(room.bytes.min(bytes.len()));
            bytes = rest;
            let buffered = &self.shared.buffered;
            self.give(Piece::own(piece.to_vec(), buffered, self.tally.clone()))?;
        }
        Ok(())
    }

    async fn send_content(&mut self, content: &Content, range: ByteRange) -> Result<(), BodyError> {
        match content {
            Content::File(file) => self.send_file(file, range).await,
            Content::Memory(content) => self.send_memory(content, range).await,
        }
    }

    async fn send_memory(
        &mut self,
        content: &Sending,
        ByteRange { mut first, mut length }: ByteRange,
    ) -> Result<(), BodyError> {
        while length > 0 {
            let room = self.wait_for_room(length).await?;
            let piece = ByteRange { first, length: length.min(room.bytes as u64) };
            first += piece.length;
            length -= piece.length;
            let buffered = &self.shared.buffered;
            self.give(Piece::shared(content.clone(), piece, buffered, self.tally.clone()))?;
        }
        Ok(())
    }

    async fn send_file(&mut self, file: &Arc<OpenFile>, range: ByteRange) -> Result<(), BodyError> {
        let mut transfer = Transfer::new(file, range);
        while transfer.left() > 0 {
            let room = self.wait_for_room(transfer.left()).await?;
            let piece = transfer.piece(room.bytes).await.map_err(BodyError::FileFailed)?;
            if piece.is_empty() {
                return Err(BodyError::FileTruncated);
            }
            self.give(Piece::own(piece, &self.shared.buffered, self.tally.clone()))?;
        }
        Ok(())
    }

    /// Waits until the client and the connection have room for some of this many bytes.
    async fn wait_for_room(&mut self, bytes: u64) -> Result<Room<'s>, BodyError> {
        let wanted = usize::try_from(bytes.min(PIECE_BYTES)).unwrap_or(usize::MAX);
        loop {
            self.stream.reserve_capacity(wanted);
            let capacity = self.stream.capacity().min(wanted);
            if capacity == 0 {
                self.wait_for_window().await?;
                continue;
            }
            let mut room = Room::new(&self.shared.holders);
            let mut turn = pin!(self.place.turn(capacity));
            let stream = &mut *self.stream;
            poll_fn(|context| match stream.poll_reset(context) {
                Poll::Ready(_) => Poll::Ready(Err(BodyError::Reset)),
                Poll::Pending => turn.as_mut().poll(context).map(Ok),
            })
            .await?;
            // The client may have taken some of its room back.
            room.bytes = self.stream.capacity().min(wanted);
            if room.bytes > 0 {
                return Ok(room);
            }
        }
    }

    /// Waits until the client makes room, for as long as it is not to blame that there is none.
    async fn wait_for_window(&mut self) -> Result<(), BodyError> {
        let stall = self.shared.limits.stall;
        let mut patience = Patience::new(stall, self.shared.flow(), Instant::now());
        loop {
            let more = poll_fn(|context| self.stream.poll_capacity(context));
            match timeout_at(patience.next_look(), more).await {
                Ok(Some(Ok(_))) => return Ok(()),
                Ok(Some(Err(_)) | None) => return Err(BodyError::Reset),
                Err(_) if patience.look(self.shared.flow(), Instant::now()) => {
                    return Err(BodyError::Stalled);
                }
                Err(_) => {}
            }
        }
    }

    fn give(&mut self, piece: Piece<'s>) -> Result<(), BodyError> {
        let count = piece.remaining();
        self.left -= count as u64;
        self.stream.send_data(piece, self.left == 0).map_err(|_| BodyError::Reset)?;
        lock(&self.shared.wire).meter.sent(count);
        Ok(())
    }
}
