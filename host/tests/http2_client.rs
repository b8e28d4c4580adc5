//! A raw HTTP/2 client, which sends whatever it is told to and validates none of it.
//!
//! It reads frames, collects responses by stream, acknowledges SETTINGS and PING, and makes room
//! again for DATA, unless it is told not to. Over any stream that blocks: TCP, or TLS.

pub mod hpack;
mod huffman;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};

/// What a connection begins with (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113, section 6.5.2).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
}

/// Codes of errors (RFC 9113, section 7), by their numbers.
pub const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The number that begins here in the payload.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The payload of SETTINGS.
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let pair =
        |&(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    settings.iter().flat_map(pair).collect()
}

/// What came on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 0 until there is one.
    pub status: u16,
    /// Without `:status`, in their order.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether END_STREAM came.
    pub is_whole: bool,
    /// The code of RST_STREAM.
    pub reset: Option<u32>,
}

impl Response {
    /// The first field with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn is_over(&self) -> bool {
        self.is_whole || self.reset.is_some()
    }
}

/// A connection.
pub struct Http2Client<S> {
    stream: S,
    received: Vec<u8>,
    /// The block of HEADERS that CONTINUATION goes on with.
    block: Vec<u8>,
    next_stream: u32,
    /// Whether SETTINGS and PING are acknowledged.
    pub acknowledges: bool,
    /// Whether WINDOW_UPDATE is sent for what came.
    pub makes_room: bool,
    /// What came on each stream.
    pub responses: BTreeMap<u32, Response>,
    /// Code and debug data of the last GOAWAY, with the last stream that it names.
    pub goaway: Option<(u32, u32, String)>,
    /// The server's settings, as they came.
    pub settings: Vec<(u16, u32)>,
    /// Of SETTINGS of ours that the server has acknowledged, the number.
    pub acknowledged: usize,
    /// Payloads of PING that the server has acknowledged.
    pub pongs: Vec<Vec<u8>>,
}

impl<S: Read + Write> Http2Client<S> {
    /// On a new connection. Nothing is sent yet.
    pub fn silent(stream: S) -> Self {
        Http2Client {
            stream,
            received: Vec::new(),
            block: Vec::new(),
            next_stream: 1,
            acknowledges: true,
            makes_room: true,
            responses: BTreeMap::new(),
            goaway: None,
            settings: Vec::new(),
            acknowledged: 0,
            pongs: Vec::new(),
        }
    }

    /// Begins a connection with the preface and SETTINGS without a table for header blocks.
    pub fn new(stream: S) -> Self {
        Self::with_settings(stream, &[])
    }

    /// The same, with more settings.
    pub fn with_settings(stream: S, more: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(stream);
        let all = [&[(setting::HEADER_TABLE_SIZE, 0)], more].concat();
        client.send([PREFACE, &frame(kind::SETTINGS, 0, 0, &settings(&all))].concat());
        client
    }

    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends bytes. The server may have closed already.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    pub fn send_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.send(frame(kind, flags, stream, payload));
    }

    /// Sends a header block, in CONTINUATION if it is long.
    pub fn send_block(&mut self, stream: u32, block: &[u8], end_stream: bool) {
        let mut pieces: Vec<_> = block.chunks(16 << 10).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let mut bytes = Vec::new();
        for (nth, piece) in pieces.iter().enumerate() {
            let kind = if nth == 0 { kind::HEADERS } else { kind::CONTINUATION };
            let mut flags = if nth == 0 && end_stream { flag::END_STREAM } else { 0 };
            if nth + 1 == pieces.len() {
                flags |= flag::END_HEADERS;
            }
            bytes.extend(frame(kind, flags, stream, piece));
        }
        self.send(bytes);
    }

    /// Sends fields, or trailers, as literals.
    pub fn send_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: u32,
        fields: &[(N, V)],
        end_stream: bool,
    ) {
        let mut block = Vec::new();
        fields.iter().for_each(|(name, value)| hpack::literal(&mut block, name, value));
        self.send_block(stream, &block, end_stream);
    }

    pub fn send_data(&mut self, stream: u32, data: &[u8], end_stream: bool) {
        let flags = if end_stream { flag::END_STREAM } else { 0 };
        self.send_frame(kind::DATA, flags, stream, data);
    }

    /// The identifier of a new stream.
    pub fn next_stream(&mut self) -> u32 {
        self.next_stream += 2;
        self.next_stream - 2
    }

    /// Sends GET on a new stream, and gives its identifier.
    pub fn get(&mut self, path: &str) -> u32 {
        self.request("GET", path, &[])
    }

    /// The response to GET of another scheme and host.
    pub fn get_of(&mut self, scheme: &str, host: &str, path: &str) -> Response {
        let stream = self.next_stream();
        let fields =
            [(":method", "GET"), (":scheme", scheme), (":authority", host), (":path", path)];
        self.send_headers(stream, &fields, true);
        self.response(stream)
    }

    /// Sends a request without a body on a new stream, and gives its identifier.
    pub fn request(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> u32 {
        let stream = self.next_stream();
        let scheme = [(":scheme", "http"), (":authority", "test")];
        let fields = [&[(":method", method), (":path", path)], &scheme[..], more].concat();
        self.send_headers(stream, &fields, true);
        stream
    }

    /// The next frame, or `None` at the end of the connection, however it ends. An error tells that
    /// nothing comes.
    pub fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        while !self.has_frame() {
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if is_end(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let end = 9 + self.length();
        let bytes: Vec<_> = self.received.drain(..end).collect();
        let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap()) & 0x7fff_ffff;
        let (kind, flags, payload) = (bytes[3], bytes[4], bytes[9..].to_vec());
        Ok(Some(Frame { kind, flags, stream, payload }))
    }

    fn length(&self) -> usize {
        let [high, middle, low] = self.received[..3] else { unreachable!() };
        u32::from_be_bytes([0, high, middle, low]) as usize
    }

    fn has_frame(&self) -> bool {
        self.received.len() >= 9 && self.received.len() >= 9 + self.length()
    }

    /// Reads a frame and does what it asks for; gives it. `None` at the end of the connection.
    #[track_caller]
    pub fn step(&mut self) -> Option<Frame> {
        let step = self.try_step();
        step.unwrap_or_else(|error| panic!("the server neither sends nor closes: {error}"))
    }

    /// The same. An error tells that nothing comes.
    pub fn try_step(&mut self) -> io::Result<Option<Frame>> {
        let Some(frame) = self.read_frame()? else { return Ok(None) };
        match frame.kind {
            kind::SETTINGS if frame.has(flag::ACK) => self.acknowledged += 1,
            kind::SETTINGS => {
                let name = |at| u16::from_be_bytes([frame.payload[at], frame.payload[at + 1]]);
                let at = (0..frame.payload.len()).step_by(6);
                self.settings.extend(at.map(|at| (name(at), frame.number(at + 2))));
                if self.acknowledges {
                    self.send_frame(kind::SETTINGS, flag::ACK, 0, &[]);
                }
            }
            kind::PING if frame.has(flag::ACK) => self.pongs.push(frame.payload.clone()),
            kind::PING if self.acknowledges => {
                self.send_frame(kind::PING, flag::ACK, 0, &frame.payload);
            }
            kind::GOAWAY => {
                let debug = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
                self.goaway = Some((frame.number(4), frame.number(0), debug));
            }
            kind::HEADERS | kind::CONTINUATION | kind::DATA | kind::RST_STREAM => {
                self.collect(&frame);
            }
            _ => {}
        }
        Ok(Some(frame))
    }

    fn collect(&mut self, frame: &Frame) {
        let response = self.responses.entry(frame.stream).or_default();
        response.is_whole |= frame.kind != kind::RST_STREAM
            && frame.kind != kind::CONTINUATION
            && frame.has(flag::END_STREAM);
        match frame.kind {
            kind::RST_STREAM => response.reset = Some(frame.number(0)),
            kind::DATA => {
                response.body.extend_from_slice(&frame.payload);
                let count = u32::try_from(frame.payload.len()).unwrap();
                if self.makes_room && count > 0 {
                    for stream in [0, frame.stream] {
                        self.send_frame(kind::WINDOW_UPDATE, 0, stream, &count.to_be_bytes());
                    }
                }
            }
            _ => {
                self.block.extend_from_slice(&frame.payload);
                if !frame.has(flag::END_HEADERS) {
                    return;
                }
                for (name, value) in hpack::decode(&std::mem::take(&mut self.block)) {
                    let [name, value] =
                        [name, value].map(|text| String::from_utf8_lossy(&text).into_owned());
                    match name.as_str() {
                        ":status" => response.status = value.parse().unwrap(),
                        _ => response.fields.push((name, value)),
                    }
                }
            }
        }
    }

    /// Reads until the response on this stream is whole or reset, and gives it. `None` if the
    /// connection ends first.
    pub fn try_response(&mut self, stream: u32) -> Option<Response> {
        while !self.responses.get(&stream).is_some_and(Response::is_over) {
            self.step()?;
        }
        self.responses.remove(&stream)
    }

    #[track_caller]
    pub fn response(&mut self, stream: u32) -> Response {
        let response = self.try_response(stream);
        response.unwrap_or_else(|| panic!("no response on {stream}, but {:?}", self.goaway))
    }

    /// Reads to the end of the connection, and gives the code of the GOAWAY that came, by name.
    pub fn ended_by(&mut self) -> Option<&'static str> {
        while self.step().is_some() {}
        self.goaway.as_ref().map(|(code, _, _)| ERRORS[*code as usize])
    }
}

/// Whether the server has ended the connection, in whatever way.
fn is_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof].contains(&error.kind())
}
