//! How many and how large: the bounds on a connection that speaks HTTP/2. How long its waits may be
//! is in [`transport::Limits`](crate::transport::Limits).

use std::time::Duration;

use crate::http;

/// The bounds on one connection, and on each of its streams.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a request may hold. Its head is the field section before compression, and each field
    /// counts 32 bytes more than its name and value have (RFC 9113, section 6.5.2).
    pub request: http::Limits,
    /// Streams at a time (`SETTINGS_MAX_CONCURRENT_STREAMS`). Browsers and nginx have 100 to 128;
    /// one more is refused, and the client may send it again (RFC 9113, section 5.1.2).
    pub concurrent_streams: u32,
    /// Requests of one connection, as HTTP/1 has it: then GOAWAY, and the client opens another.
    pub requests: u32,
    /// Streams that the client resets before they were looked at. One more ends the connection
    /// with `ENHANCE_YOUR_CALM`. As many as there are streams at a time: a browser that leaves a
    /// page cancels all of them at once, and their HEADERS may come with that.
    pub pending_accept_resets: usize,
    /// Streams that the client resets within [`resets_within`](Limits::resets_within), while no
    /// response is finished. One more ends the connection with `ENHANCE_YOUR_CALM` (rapid reset,
    /// CVE-2023-44487). As many as there are streams at a time, for the same reason.
    pub resets: u32,
    /// The time in which that many are too many.
    pub resets_within: Duration,
    /// Frames that are no request and bring none: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
    /// DATA and others. One more ends the connection with `ENHANCE_YOUR_CALM`. A request makes 20
    /// of them good, a second 10, and so does each 256 bytes of content with one. Envoy queues
    /// as many; a browser sends a dozen.
    pub control_frames: u32,
    /// Streams that this side resets for errors of the client. One more ends the connection with
    /// `ENHANCE_YOUR_CALM`.
    pub local_resets: usize,
    /// Bytes of DATA of one connection that are kept until they can be sent, for all of its
    /// streams: files never sit in memory. The largest window of a stream that clients begin with
    /// is as large.
    pub send_buffer: usize,
    /// Bytes of the table with which the client compresses its fields
    /// (`SETTINGS_HEADER_TABLE_SIZE`): what RFC 9113 begins with.
    pub header_table: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request: http::Limits::default(),
            concurrent_streams: 100,
            requests: 100_000,
            pending_accept_resets: 100,
            resets: 100,
            resets_within: Duration::from_secs(10),
            control_frames: 1000,
            local_resets: 128,
            send_buffer: 64 << 10,
            header_table: 4 << 10,
        }
    }
}
