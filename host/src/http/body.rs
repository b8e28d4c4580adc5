//! The body of a response: bytes in memory, or a part of a file.

use std::ops::Deref;

/// What follows the head of a response: of files `F`, or of memory `M`.
#[derive(Debug)]
pub enum Body<F, M> {
    /// Nothing.
    Empty,
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A range of content.
    Content {
        /// The content.
        content: Content<F, M>,
        /// Which of its bytes: what the head promises. Of content in memory they exist.
        range: ByteRange,
    },
    /// Several ranges of content, each behind a text of its own (RFC 9110, section 14.6).
    Parts {
        /// The content.
        content: Content<F, M>,
        /// The texts, and the ranges behind them.
        parts: Vec<(Vec<u8>, ByteRange)>,
        /// The text behind the last range.
        tail: Vec<u8>,
    },
}

/// Content of a file: in the file, or in memory.
#[derive(Clone, Debug)]
pub enum Content<F, M> {
    /// In the file with this handle.
    File(F),
    /// In memory: it is small, or compressed.
    Memory(M),
}

/// Consecutive bytes of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub first: u64,
    /// How many.
    pub length: u64,
}

impl ByteRange {
    /// All of content of this length.
    pub fn whole(length: u64) -> ByteRange {
        ByteRange { first: 0, length }
    }

    /// These bytes of content in memory, inside which they lie.
    pub fn of(self, content: &[u8]) -> &[u8] {
        let index = |at: u64| usize::try_from(at).expect("content in memory is that large");
        &content[index(self.first)..index(self.first + self.length)]
    }
}

impl<F, M: Deref<Target = [u8]>> Body<F, M> {
    /// All of what is in memory.
    pub fn whole(content: M) -> Body<F, M> {
        let range = ByteRange::whole(content.len() as u64);
        Body::Content { content: Content::Memory(content), range }
    }
}

impl<F, M> Body<F, M> {
    /// The length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Content { range, .. } => range.length,
            Body::Parts { parts, tail, .. } => {
                let parts = parts.iter().map(|(text, range)| text.len() as u64 + range.length);
                parts.sum::<u64>() + tail.len() as u64
            }
        }
    }
}
