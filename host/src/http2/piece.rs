//! Bytes of a body on their way through `h2`: owned, or shared with other responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Buf;

use crate::http::ByteRange;
use crate::in_flight::Sending;

/// A piece of a body.
pub(super) struct Piece<'g> {
    bytes: Bytes,
    from: usize,
    to: usize,
    buffered: &'g Buffered,
    tally: Option<Arc<Tally>>,
}

enum Bytes {
    Own(Vec<u8>),
    Shared(Sending),
}

/// Bytes of all bodies of a connection that `h2` has, and has not written yet.
#[derive(Default)]
pub(super) struct Buffered {
    bytes: AtomicUsize,
    /// Those that it has written since the connection began.
    written: AtomicU64,
}

/// How much of one body was written.
#[derive(Default)]
pub(super) struct Tally(AtomicU64);

impl Buffered {
    /// How many there are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many were written since the connection began.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl Tally {
    /// How many bytes of it.
    pub(super) fn written(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<'g> Piece<'g> {
    /// Of bytes of its own.
    pub(super) fn own(
        bytes: Vec<u8>,
        buffered: &'g Buffered,
        tally: Option<Arc<Tally>>,
    ) -> Piece<'g> {
        let to = bytes.len();
        Piece::new(Bytes::Own(bytes), 0, to, buffered, tally)
    }

    /// Of these bytes of content in memory, inside which they lie.
    pub(super) fn shared(
        content: Sending,
        range: ByteRange,
        buffered: &'g Buffered,
        tally: Option<Arc<Tally>>,
    ) -> Piece<'g> {
        let index = |at: u64| usize::try_from(at).map_or(content.len(), |at| at.min(content.len()));
        let (from, to) = (index(range.first), index(range.first + range.length));
        Piece::new(Bytes::Shared(content), from, to, buffered, tally)
    }

    fn new(
        bytes: Bytes,
        from: usize,
        to: usize,
        buffered: &'g Buffered,
        tally: Option<Arc<Tally>>,
    ) -> Piece<'g> {
        buffered.bytes.fetch_add(to - from, Ordering::Relaxed);
        Piece { bytes, from, to, buffered, tally }
    }
}

impl Buf for Piece<'_> {
    fn remaining(&self) -> usize {
        self.to - self.from
    }

    fn chunk(&self) -> &[u8] {
        let bytes = match &self.bytes {
            Bytes::Own(bytes) => &bytes[..],
            Bytes::Shared(content) => content,
        };
        &bytes[self.from..self.to]
    }

    fn advance(&mut self, count: usize) {
        self.from += count;
        self.buffered.bytes.fetch_sub(count, Ordering::Relaxed);
        self.buffered.written.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(tally) = &self.tally {
            tally.0.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        self.buffered.bytes.fetch_sub(self.remaining(), Ordering::Relaxed);
    }
}
