//! One case of the corpus, and the text that it is read from.
//!
//! ```text
//! # data-on-idle-stream              its name, alone in its line
//! # What is hostile about it.        more about it
//! for 1 3                            the case is there once with each of these for `{}`
//! > DATA 1 END_STREAM|PADDED \x00a   a frame: kind, stream, flags, payload with Rust's escapes
//! > HEADERS 1 END_HEADERS            its fields follow, as literals
//! + :method: GET
//! + te: gzip
//! > GET 1 /hello.txt                 HEADERS that end the stream, with the fields of a GET
//! > POST 1 /hello.txt                HEADERS that do not, with those of a POST
//! >* 300 PING 0 - 12345678           a frame, so many times
//! > 0x99 1 0xff x                    kinds and flags by number
//! &* 300 \xbe                        more of the payload above, so many times
//! length 20                          what the frame above says of its length
//! >> \x00\x00                        bytes to send
//! = 1:200 3:STREAM_CLOSED open       what comes on each stream, a status or the code of
//!                                    RST_STREAM, and what becomes of the connection: `open`,
//!                                    `goaway CODE`, or `closed` without one
//! = 1:200? goaway PROTOCOL_ERROR     what comes or not, by how the bytes arrive
//! = 1:STREAM_CLOSED open             what may come in place of all of the line before
//! see RFC 9113 5.1                   where it stands
//! h2spec http2/5.1/1                 the test that asks for the same
//! ```
//!
//! In a payload `{get}` is the block of a GET of `/hello.txt`, as few bytes as it takes, and `{1000}`
//! are so many letters. Before each the preface and SETTINGS are sent. Cases are parted by empty
//! lines.

use std::collections::BTreeMap;

use crate::corpus;
use crate::http2_client::{ERRORS, flag, frame, hpack};
use crate::wire::unescape;

/// `:method: GET`, `:scheme: http`, `:path: /hello.txt` and `:authority: test`, as HPACK.
const GET: &[u8] = b"\x82\x86\x04\x0a/hello.txt\x01\x04test";

pub struct Case {
    /// The file and line where it begins, and its name.
    pub name: String,
    pub raw: Vec<u8>,
    pub expected: Expected,
    /// What may come instead.
    pub others: Vec<Expected>,
    /// The highest stream that it names.
    pub last_stream: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// By stream, and whether it must come.
    pub streams: BTreeMap<u32, (Outcome, bool)>,
    pub end: End,
}

/// What comes on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset(String),
}

/// What becomes of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Open,
    Goaway(String),
    Closed,
}

/// The last frame, to which more may come, and what is expected.
#[derive(Default)]
pub struct Reading {
    frame: Option<Frame>,
    expected: Vec<Expected>,
}

/// A frame that is read, and how often it is sent.
struct Frame {
    kind: u8,
    stream: u32,
    flags: u8,
    payload: Vec<u8>,
    length: Option<u32>,
    times: usize,
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = frame(self.kind, self.flags, self.stream, &self.payload);
        if let Some(length) = self.length {
            bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
        }
        bytes.repeat(self.times)
    }

    /// Reads `KIND STREAM FLAGS PAYLOAD`.
    fn read(text: &str, times: usize) -> Result<Frame, &'static str> {
        let mut words = text.splitn(4, ' ');
        let (kind, stream) = (words.next().unwrap_or_default(), words.next().ok_or("no stream")?);
        let stream = stream.parse().map_err(|_| "that is no stream")?;
        let (third, rest) = (words.next().unwrap_or("-"), words.next().unwrap_or_default());
        let mut frame =
            Frame { kind: 1, stream, flags: 0, payload: Vec::new(), length: None, times };
        match kind {
            "GET" | "POST" => {
                frame.flags = flag::END_HEADERS;
                frame.flags |= if kind == "GET" { flag::END_STREAM } else { 0 };
                for (name, value) in [
                    (":method", kind),
                    (":scheme", "http"),
                    (":authority", "test"),
                    (":path", third),
                ] {
                    hpack::literal(&mut frame.payload, name, value);
                }
            }
            _ => {
                frame.kind = kind_of(kind)?;
                for name in third.split('|').filter(|name| *name != "-") {
                    frame.flags |= flag_of(name)?;
                }
                frame.payload = payload(rest);
            }
        }
        Ok(frame)
    }
}

/// The bytes of a payload.
fn payload(text: &str) -> Vec<u8> {
    let mut bytes = unescape(text);
    let place = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte == b'{')?;
        let end = start + bytes[start..].iter().position(|byte| *byte == b'}')?;
        Some((start, end))
    };
    while let Some((start, end)) = place(&bytes) {
        let name = String::from_utf8_lossy(&bytes[start + 1..end]).into_owned();
        let filled = match name.as_str() {
            "get" => GET.to_vec(),
            count => vec![b'x'; count.parse().unwrap()],
        };
        bytes.splice(start..=end, filled);
    }
    bytes
}

fn number(text: &str) -> Option<u8> {
    text.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok())
}

fn kind_of(name: &str) -> Result<u8, &'static str> {
    let names = [
        "DATA",
        "HEADERS",
        "PRIORITY",
        "RST_STREAM",
        "SETTINGS",
        "PUSH_PROMISE",
        "PING",
        "GOAWAY",
        "WINDOW_UPDATE",
        "CONTINUATION",
    ];
    let at = names.iter().position(|one| *one == name);
    let at = at.and_then(|at| u8::try_from(at).ok());
    at.or_else(|| number(name)).ok_or("that is no kind")
}

fn flag_of(name: &str) -> Result<u8, &'static str> {
    match name {
        "ACK" => Ok(flag::ACK),
        "END_STREAM" => Ok(flag::END_STREAM),
        "END_HEADERS" => Ok(flag::END_HEADERS),
        "PADDED" => Ok(flag::PADDED),
        "PRIORITY" => Ok(flag::PRIORITY),
        _ => number(name).ok_or("that is no flag"),
    }
}

impl Case {
    fn end(&mut self, frame: &mut Option<Frame>) {
        if let Some(frame) = frame.take() {
            self.last_stream = self.last_stream.max(frame.stream);
            self.raw.extend(frame.bytes());
        }
    }
}

impl corpus::Case for Case {
    type Reading = Reading;

    fn new(name: String) -> Case {
        Case {
            name,
            raw: Vec::new(),
            expected: Expected::default(),
            others: Vec::new(),
            last_stream: 0,
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn take(&mut self, line: &str, reading: &mut Reading) -> Result<(), &'static str> {
        let Reading { frame, expected } = reading;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" | "for" | "see" | "h2spec" => {}
            ">" => {
                self.end(frame);
                *frame = Some(Frame::read(rest, 1)?);
            }
            ">*" => {
                let (times, rest) = rest.split_once(' ').ok_or("how often what?")?;
                self.end(frame);
                *frame = Some(Frame::read(rest, times.parse().map_err(|_| "that is no number")?)?);
            }
            "&*" => {
                let (times, rest) = rest.split_once(' ').ok_or("how often what?")?;
                let times = times.parse().map_err(|_| "that is no number")?;
                let frame = frame.as_mut().ok_or("more of what?")?;
                frame.payload.extend(payload(rest).repeat(times));
            }
            "+" => {
                let at = rest[1..].find(':').ok_or("no colon")? + 1;
                let (name, value) = (&rest[..at], rest[at + 1..].strip_prefix(' '));
                let frame = frame.as_mut().ok_or("a field of what?")?;
                let value = unescape(value.unwrap_or_default());
                hpack::literal(&mut frame.payload, unescape(name), value);
            }
            "length" => {
                let length = rest.parse().map_err(|_| "that is no number")?;
                frame.as_mut().ok_or("the length of what?")?.length = Some(length);
            }
            ">>" => {
                self.end(frame);
                self.raw.extend(unescape(rest));
            }
            "=" => expected.push(Expected::read(rest)?),
            _ => return Err("that is no line of a case"),
        }
        Ok(())
    }

    fn finish(&mut self, mut reading: Reading) -> Result<(), &'static str> {
        self.end(&mut reading.frame);
        let mut expected = reading.expected.into_iter();
        self.expected = expected.next().ok_or("nothing is expected")?;
        self.others = expected.collect();
        Ok(())
    }
}

impl Expected {
    fn read(text: &str) -> Result<Expected, &'static str> {
        let mut expected = Expected::default();
        let mut words = text.split(' ');
        for word in words.by_ref() {
            let Some((stream, what)) = word.split_once(':') else {
                expected.end = match (word, words.next()) {
                    ("open", None) => End::Open,
                    ("closed", None) => End::Closed,
                    ("goaway", Some(code)) if ERRORS.contains(&code) => {
                        End::Goaway(code.to_owned())
                    }
                    _ => return Err("that is no end"),
                };
                return Ok(expected);
            };
            let stream = stream.parse().map_err(|_| "that is no stream")?;
            let certain = what.strip_suffix('?');
            let name = certain.unwrap_or(what);
            let outcome = match name.parse() {
                Ok(status) => Outcome::Status(status),
                Err(_) if ERRORS.contains(&name) => Outcome::Reset(name.to_owned()),
                Err(_) => return Err("that is no status and no code"),
            };
            expected.streams.insert(stream, (outcome, certain.is_none()));
        }
        Err("what becomes of the connection?")
    }
}
