//! What a client sends beside its requests: counted before the crate `h2` acts on it.
//!
//! `h2` acts on each PING, SETTINGS, PRIORITY, WINDOW_UPDATE and RST_STREAM that comes, and on
//! streams that are reset as soon as they were opened, without a bound. Each costs a client a few
//! bytes and the server more. So the bytes of a connection pass through here first: frames that
//! are no request spend a budget, which requests, bytes of responses and time make good again.
//! An honest client never spends it.

use std::time::Duration;

use tokio::time::Instant;

use super::flood::Flood;
use super::limits::Limits;
use super::trailers::{END_HEADERS, Trailers};

/// Bytes of the preface (RFC 9113, section 3.4). `h2` says what is wrong with them.
pub(super) const PREFACE_BYTES: usize = 24;

/// Bytes in front of a frame's payload (RFC 9113, section 4.1).
const HEADER_BYTES: usize = 9;

/// Kinds of frames, and a flag of DATA (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Bytes that weigh as much as one frame: fewer are overhead, as `h2` has it for DATA.
const BYTES_PER_FRAME: u32 = 256;

/// Bytes of content for which there is room on a connection that begins (RFC 9113, section 6.9.2).
const FIRST_WINDOW: u64 = 65_535;

/// Frames that SETTINGS weigh as much as: they are applied to each stream.
const SETTINGS_WEIGHT: u32 = 10;

/// Frames that come with a request: its own HEADERS, its place among others, room for its response,
/// a PING, its end. Envoy allows ten times as many, for PRIORITY alone.
const FRAMES_PER_REQUEST: u32 = 20;

/// Frames a second that anyone may send. Keep-alives and probes of the line are one a second at most.
const FRAMES_PER_SECOND: u32 = 10;

/// What is known of the frames of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    max_frames: u32,
    max_resets: u32,
    resets_within: Duration,
    /// Bytes that are to come of the preface, and of a payload.
    preface_left: usize,
    payload_left: usize,
    /// What came of a frame's header.
    header: [u8; HEADER_BYTES],
    header_length: usize,
    is_in_field_section: bool,
    /// Bytes of content for which the client has made room on the connection since it began.
    window: u64,
    /// What came of the number in a WINDOW_UPDATE for the connection.
    increment: Option<u32>,
    trailers: Trailers,
    /// When the frame or field section began that is not whole.
    begun: Option<Instant>,
    /// Frames that were sent and not made good.
    spent: u32,
    /// Up to when time has made some good.
    made_good: Instant,
    /// Streams that were reset since a response was last finished, and when that count began.
    resets: u32,
    resets_since: Instant,
}

impl Meter {
    /// Of a connection that begins now.
    pub(crate) fn new(limits: &Limits) -> Meter {
        let now = Instant::now();
        Meter {
            max_frames: limits.control_frames,
            max_resets: limits.resets,
            resets_within: limits.resets_within,
            preface_left: PREFACE_BYTES,
            payload_left: 0,
            header: [0; HEADER_BYTES],
            header_length: 0,
            is_in_field_section: false,
            window: FIRST_WINDOW,
            increment: None,
            trailers: Trailers::default(),
            begun: None,
            spent: 0,
            made_good: now,
            resets: 0,
            resets_since: now,
        }
    }

    /// Notes bytes of the connection: all of them, in their order, however they are split.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        let now = Instant::now();
        self.make_good_by_time(now);
        while !bytes.is_empty() {
            let frame_ends = if self.preface_left > 0 {
                self.begun.get_or_insert(now);
                let skipped = bytes.len().min(self.preface_left);
                self.preface_left -= skipped;
                bytes = &bytes[skipped..];
                self.preface_left == 0
            } else if self.payload_left > 0 {
                let skipped = bytes.len().min(self.payload_left);
                self.payload_left -= skipped;
                self.note_increment(&bytes[..skipped]);
                if matches!(self.header[3], HEADERS | CONTINUATION) {
                    self.trailers.read(&bytes[..skipped]);
                }
                bytes = &bytes[skipped..];
                self.payload_left == 0
            } else {
                self.begun.get_or_insert(now);
                let taken = bytes.len().min(HEADER_BYTES - self.header_length);
                self.header[self.header_length..][..taken].copy_from_slice(&bytes[..taken]);
                self.header_length += taken;
                bytes = &bytes[taken..];
                self.header_length == HEADER_BYTES && self.begin_frame(now)?
            };
            if frame_ends && !self.is_in_field_section {
                self.begun = None;
            }
        }
        Ok(())
    }

    /// Counts the frame with this header. True if it has no payload.
    fn begin_frame(&mut self, now: Instant) -> Result<bool, Flood> {
        self.header_length = 0;
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.payload_left = length as usize;
        self.increment = (kind == WINDOW_UPDATE && stream == [0; 4]).then_some(0);
        match kind {
            DATA => {
                // How long a body may take is bounded elsewhere, and no stream has two ends.
                self.begun = None;
                self.make_good(length / BYTES_PER_FRAME);
                self.spend(u32::from(flags & END_STREAM == 0 && length < BYTES_PER_FRAME))?;
            }
            // How much they hold is bounded by `h2`.
            HEADERS | CONTINUATION => {
                let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
                match kind {
                    HEADERS => self.trailers.begin(stream, flags, length),
                    _ => self.trailers.go_on(flags, length),
                }
                self.is_in_field_section = flags & END_HEADERS == 0;
                self.spend(1)?;
            }
            SETTINGS => self.spend(SETTINGS_WEIGHT + length / BYTES_PER_FRAME)?,
            RST_STREAM => {
                self.count_reset(now)?;
                self.spend(1)?;
            }
            _ => self.spend(1 + length / BYTES_PER_FRAME)?,
        }
        Ok(length == 0)
    }

    /// Notes a part of a payload, and at its end the room that it makes.
    fn note_increment(&mut self, part: &[u8]) {
        if let Some(increment) = self.increment {
            let increment = part.iter().fold(increment, |sum, &byte| sum << 8 | u32::from(byte));
            self.increment = Some(increment);
            if self.payload_left == 0 {
                self.window += u64::from(increment & 0x7fff_ffff);
            }
        }
    }

    fn count_reset(&mut self, now: Instant) -> Result<(), Flood> {
        if self.resets == 0 || now.duration_since(self.resets_since) > self.resets_within {
            (self.resets, self.resets_since) = (0, now);
        }
        self.resets += 1;
        if self.resets > self.max_resets { Err(Flood::Resets) } else { Ok(()) }
    }

    fn spend(&mut self, frames: u32) -> Result<(), Flood> {
        self.spent = self.spent.saturating_add(frames);
        if self.spent > self.max_frames { Err(Flood::Frames) } else { Ok(()) }
    }

    fn make_good(&mut self, frames: u32) {
        self.spent = self.spent.saturating_sub(frames);
    }

    fn make_good_by_time(&mut self, now: Instant) {
        let frames = now.duration_since(self.made_good).as_millis() * u128::from(FRAMES_PER_SECOND);
        let Ok(frames @ 1..) = u32::try_from(frames / 1000) else { return };
        self.make_good(frames);
        self.made_good += Duration::from_secs(1) * frames / FRAMES_PER_SECOND;
    }

    /// Notes a request that came with what was read. One that is malformed makes nothing good.
    pub(crate) fn accepted(&mut self) {
        self.make_good(FRAMES_PER_REQUEST);
    }

    /// Notes that a request is malformed by its end: what it made good is spent again.
    pub(crate) fn malformed(&mut self) {
        self.spent = self.spent.saturating_add(FRAMES_PER_REQUEST);
    }

    /// Notes bytes of a response's content that `h2` was given, as the client had made room.
    pub(crate) fn sent(&mut self, bytes: usize) {
        // A client that makes room for a few at a time is not honest.
        let frames = u32::try_from(bytes).unwrap_or(u32::MAX) / BYTES_PER_FRAME;
        self.make_good(frames);
    }

    /// Notes that a response was sent to its end.
    pub(crate) fn finished(&mut self) {
        self.resets = 0;
    }

    /// Whether the trailers of this stream had this many fields and no others.
    pub(crate) fn had_trailers(&mut self, stream: u32, fields: usize) -> bool {
        self.trailers.had(stream, fields)
    }

    /// Bytes of content for which the client has made room on the connection since it began.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// When the preface, a frame or a field section began that is not whole yet. DATA is none of
    /// them.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, FIRST_WINDOW, Flood, HEADERS, Meter,
        RST_STREAM, SETTINGS, WINDOW_UPDATE,
    };
    use crate::http2::limits::Limits;

    const PRIORITY: u8 = 2;
    const PING: u8 = 6;
    /// Its text is nothing to the meter.
    const PREFACE: &[u8] = &[b'P'; 24];

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [.., high, middle, low] = length.to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        // A payload that would be a flood if it were read as frames.
        frame.resize(frame.len() + length, PING);
        frame
    }

    /// A connection whose preface and SETTINGS have come.
    fn begun() -> Meter {
        let mut meter = Meter::new(&Limits::default());
        meter.read(PREFACE).expect("a preface");
        meter.read(&frame(SETTINGS, 0, 18)).expect("settings");
        meter
    }

    /// How many of these are read before they are a flood, up to 10,000.
    fn most(meter: &mut Meter, frame: &[u8]) -> (usize, Option<Flood>) {
        let flood = (0..10_000).find_map(|nth| meter.read(frame).err().map(|flood| (nth, flood)));
        flood.map_or((10_000, None), |(nth, flood)| (nth, Some(flood)))
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_control_frame_is_bounded() {
        let continued = [frame(HEADERS, 0, 0), frame(CONTINUATION, 0, 1)].concat();
        for (frame, bound) in [
            (frame(PING, 0, 8), 990),
            (frame(PING, 1, 8), 990),
            (frame(PRIORITY, 0, 5), 990),
            (frame(WINDOW_UPDATE, 0, 4), 990),
            (frame(SETTINGS, 0, 0), 99),
            (frame(DATA, 0, 0), 990),
            (frame(DATA, 0, 255), 990),
            (frame(HEADERS, END_HEADERS | END_STREAM, 10), 990),
            (continued, 495),
            (frame(0x99, 0, 0), 990),
            (frame(0x99, 0, 16 << 10), 15),
        ] {
            assert_eq!(most(&mut begun(), &frame), (bound, Some(Flood::Frames)), "{frame:?}");
        }
        assert_eq!(most(&mut begun(), &frame(RST_STREAM, 0, 4)), (100, Some(Flood::Resets)));
        assert_eq!(most(&mut begun(), &frame(DATA, 0, 256)), (10_000, None));
        assert_eq!(most(&mut begun(), &frame(DATA, END_STREAM, 1)), (10_000, None));
    }

    #[tokio::test(start_paused = true)]
    async fn count_does_not_depend_on_how_bytes_are_split() {
        let bytes = [PREFACE, &frame(SETTINGS, 0, 18), &frame(PING, 0, 8).repeat(990)].concat();
        for size in [1, 2, 7, 9, 10, 17, 24, 25, 1000] {
            let mut meter = Meter::new(&Limits::default());
            for piece in bytes.chunks(size) {
                assert_eq!(meter.read(piece), Ok(()), "pieces of {size} bytes");
            }
            assert_eq!(meter.begun(), None);
            assert_eq!(meter.read(&frame(PING, 0, 8)), Err(Flood::Frames));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_makes_room_twice_for_each_frame_of_data_is_no_flood() {
        let mut meter = begun();
        for _ in 0..100_000 {
            meter.sent(1024);
            let room = frame(WINDOW_UPDATE, 0, 4).repeat(2);
            meter.read(&room).expect("an honest client");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn small_responses_with_all_frames_that_may_come_with_them_are_no_flood() {
        let mut meter = begun();
        let pieces = [(HEADERS, END_HEADERS), (PRIORITY, 0), (WINDOW_UPDATE, 0), (PING, 0)];
        let request: Vec<u8> =
            pieces.iter().flat_map(|&(kind, flags)| frame(kind, flags, 8)).collect();
        for _ in 0..10_000 {
            meter.read(&request.repeat(100)).expect("a hundred requests");
            (0..100).for_each(|_| meter.accepted());
            (0..100).for_each(|_| meter.finished());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn byte_after_byte_of_room_is_a_flood() {
        let mut meter = begun();
        let flood = (0..10_000).find_map(|nth| {
            meter.sent(1);
            meter.read(&frame(WINDOW_UPDATE, 0, 4)).err().map(|flood| (nth, flood))
        });
        assert_eq!(flood, Some((990, Flood::Frames)));
    }

    #[tokio::test(start_paused = true)]
    async fn ten_pings_a_second_are_no_flood_and_twenty_are() {
        let ping = frame(PING, 0, 8);
        let mut meter = begun();
        for _ in 0..100_000 {
            advance(Duration::from_millis(100)).await;
            meter.read(&ping).expect("an honest client");
        }
        let mut meter = begun();
        for second in 0.. {
            advance(Duration::from_secs(1)).await;
            if meter.read(&ping.repeat(20)).is_err() {
                assert!((98..=100).contains(&second), "after {second} s");
                break;
            }
        }
        // Time saves nothing up.
        let mut meter = begun();
        advance(Duration::from_secs(3600)).await;
        assert_eq!(most(&mut meter, &ping), (1000, Some(Flood::Frames)));
    }

    #[tokio::test(start_paused = true)]
    async fn room_of_the_connection_is_counted_however_it_is_split() {
        let more = b"\0\0\x04\x08\0\0\0\0\0\x80\x01\x02\x03";
        let of_a_stream = b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\x01";
        for size in 1..=more.len() {
            let mut meter = begun();
            meter.read(of_a_stream).expect("WINDOW_UPDATE");
            assert_eq!(meter.window(), FIRST_WINDOW);
            for piece in more.chunks(size) {
                meter.read(piece).expect("WINDOW_UPDATE");
            }
            assert_eq!(meter.window(), FIRST_WINDOW + 0x0001_0203, "pieces of {size} bytes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hundred_pictures_cancelled_at_once_are_no_flood() {
        let mut meter = begun();
        let cancelled = frame(RST_STREAM, 0, 4).repeat(100);
        let requests = frame(HEADERS, END_HEADERS | END_STREAM, 40).repeat(100);
        for _page in 0..50 {
            meter.read(&requests).expect("requests");
            (0..100).for_each(|_| meter.accepted());
            meter.read(&cancelled).expect("a user who leaves the page");
            // The next page.
            meter.finished();
        }
        for _page in 0..50 {
            meter.read(&cancelled).expect("a user who waits for nothing");
            advance(Duration::from_secs(11)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn field_section_that_is_not_whole_is_begun() {
        let mut meter = begun();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(meter.begun(), None);
        meter.read(&frame(HEADERS, 0, 3)).expect("HEADERS");
        advance(second).await;
        meter.read(&frame(CONTINUATION, 0, 0)).expect("CONTINUATION");
        assert_eq!(meter.begun(), Some(start));
        meter.read(&frame(CONTINUATION, END_HEADERS, 10)[..18]).expect("CONTINUATION");
        assert_eq!(meter.begun(), Some(start));
        meter.read(&[0]).expect("its last byte");
        assert_eq!(meter.begun(), None);
        // Within a frame, and within its header.
        for end in [1, 8, 9, 16] {
            advance(second).await;
            let ping = frame(PING, 0, 8);
            meter.read(&ping[..end]).expect("a part");
            assert_eq!(meter.begun(), Some(Instant::now()));
            advance(second).await;
            meter.read(&ping[end..]).expect("the rest");
            assert_eq!(meter.begun(), None);
        }
        // How long a body may take is another bound.
        meter.read(&frame(DATA, 0, 100)[..50]).expect("DATA");
        assert_eq!(meter.begun(), None);
        let mut meter = Meter::new(&Limits::default());
        assert_eq!(meter.begun(), None);
        meter.read(&PREFACE[..23]).expect("a part");
        assert!(meter.begun().is_some());
        meter.read(&PREFACE[23..]).expect("the rest");
        assert_eq!(meter.begun(), None);
    }
}
