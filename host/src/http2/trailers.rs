//! How many fields the trailers of a request had.
//!
//! The crate `h2` drops pseudo-fields from trailers and says nothing. They are malformed there (RFC
//! 9113, section 8.1), so what came is held against what `h2` gives.

use super::field_count::FieldCount;

/// Flags of HEADERS (RFC 9113, section 6.2), and what comes with a priority.
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;
const PRIORITY_BYTES: usize = 5;

/// Trailers that wait to be asked for: more than streams of any honest client have at a time.
const MOST_WAITING: usize = 128;

/// The trailers of one connection.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    /// The highest stream that HEADERS came on.
    last_stream: u32,
    /// Those that are being read, by their stream.
    reading: Option<(u32, FieldCount)>,
    /// Bytes of the frame that come before the block, and those that are left of the block.
    skipped: usize,
    block_left: usize,
    is_padded: bool,
    ends: bool,
    /// Streams whose trailers have come, and the number of their fields.
    waiting: Vec<(u32, u32)>,
}

impl Trailers {
    /// Notes the header of HEADERS.
    pub(super) fn begin(&mut self, stream: u32, flags: u8, length: u32) {
        self.reading = None;
        if stream > self.last_stream {
            self.last_stream = stream;
            return;
        }
        self.reading = Some((stream, FieldCount::default()));
        self.is_padded = flags & PADDED != 0;
        self.skipped = if flags & PRIORITY != 0 { PRIORITY_BYTES } else { 0 };
        self.block_left = (length as usize).saturating_sub(self.skipped);
        self.end_frame(flags);
    }

    /// Notes the header of CONTINUATION.
    pub(super) fn go_on(&mut self, flags: u8, length: u32) {
        (self.is_padded, self.skipped, self.block_left) = (false, 0, length as usize);
        self.end_frame(flags);
    }

    fn end_frame(&mut self, flags: u8) {
        self.ends = flags & END_HEADERS != 0;
        if self.block_left == 0 {
            self.end_block();
        }
    }

    /// Reads a part of the payload of either.
    pub(super) fn read(&mut self, mut part: &[u8]) {
        let Some((_, fields)) = &mut self.reading else { return };
        if self.is_padded
            && let Some((&padding, rest)) = part.split_first()
        {
            self.is_padded = false;
            self.block_left = self.block_left.saturating_sub(usize::from(padding) + 1);
            part = rest;
        }
        let skipped = part.len().min(self.skipped);
        self.skipped -= skipped;
        part = &part[skipped..];
        let block = &part[..part.len().min(self.block_left)];
        self.block_left -= block.len();
        fields.read(block);
        if self.block_left == 0 {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.ends
            && let Some((stream, fields)) = self.reading.take()
        {
            if self.waiting.len() == MOST_WAITING {
                self.waiting.remove(0);
            }
            self.waiting.push((stream, fields.fields()));
        }
    }

    /// Whether the trailers of this stream had this many fields, as far as that is known.
    pub(super) fn had(&mut self, stream: u32, fields: usize) -> bool {
        let Some(at) = self.waiting.iter().position(|(other, _)| *other == stream) else {
            return true;
        };
        self.waiting.remove(at).1 as usize == fields
    }
}

#[cfg(test)]
mod tests {
    use super::{END_HEADERS, PADDED, PRIORITY, Trailers};

    /// One that had a request on stream 1.
    fn begun() -> Trailers {
        let mut trailers = Trailers::default();
        trailers.begin(1, END_HEADERS, 2);
        trailers.read(b"\x82\x86");
        trailers
    }

    #[test]
    fn fields_of_trailers_are_counted_and_those_of_requests_are_not() {
        let mut trailers = begun();
        assert!(trailers.had(1, 99));
        trailers.begin(1, END_HEADERS, 3);
        trailers.read(b"\x82");
        trailers.read(b"\x86\x84");
        assert!(!trailers.had(1, 2));
        assert!(trailers.had(1, 2), "it is asked once");
        trailers.begin(1, END_HEADERS, 1);
        trailers.read(b"\xbe");
        assert!(trailers.had(1, 1));
    }

    #[test]
    fn padding_priority_and_continuation_are_no_fields() {
        let mut trailers = begun();
        let payload: [u8; 11] = *b"\x03\x00\x00\x00\x01\x10\x82\x86\x00\x00\x00";
        for size in 1..=payload.len() {
            trailers.begin(1, PADDED | PRIORITY, 11);
            payload.chunks(size).for_each(|part| trailers.read(part));
            trailers.go_on(0, 0);
            trailers.go_on(0, 2);
            trailers.read(b"\x00\x01");
            trailers.go_on(END_HEADERS, 3);
            trailers.read(b"a\x01b");
            assert!(trailers.had(1, 3), "pieces of {size} bytes");
        }
        trailers.begin(1, 0, 1);
        trailers.read(b"\x82");
        trailers.go_on(END_HEADERS, 0);
        assert!(!trailers.had(1, 0));
    }

    #[test]
    fn trailers_that_are_not_asked_for_are_bounded() {
        let mut trailers = Trailers::default();
        trailers.begin(9999, END_HEADERS, 0);
        for stream in 1..1000 {
            trailers.begin(stream, END_HEADERS, 1);
            trailers.read(b"\x82");
        }
        assert_eq!(trailers.waiting.len(), super::MOST_WAITING);
        // The oldest are forgotten, also after others were asked for.
        assert!(!trailers.had(900, 0));
        for stream in 1000..1128 {
            trailers.begin(stream, END_HEADERS, 1);
            trailers.read(b"\x82");
        }
        let kept: Vec<_> = trailers.waiting.iter().map(|(stream, _)| *stream).collect();
        assert_eq!(kept, (1000..1128).collect::<Vec<_>>());
    }
}
