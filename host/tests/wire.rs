//! Plays the conversations in `wire/*.txt` to a server. Those in `wire_policy` are with a server
//! of another policy (`decisions.rs`).
//!
//! ```text
//! # What the conversation shows. Each begins with such a line.
//! > GET /hello.txt HTTP/1.1      a line to send; CRLF is added
//! >> bytes \n \x00               bytes to send as they are, with Rust's escapes
//! < HTTP/1.1 200 OK              a line of the answer's head
//! < Content-Length: 6            a field that is there, with this value
//! < !Connection                  a field that is not there
//! < ...                          further fields may be there
//! <                              the end of the head
//! << hello\n                     the body
//! = open                         the connection can be used again
//! = closed                       the server closes, and sends nothing more
//! = end                          we end our half of the connection
//! only HTTP/1: why               what this shows has no meaning in HTTP/2
//! HTTP/2: reset by NAME          instead of a response the stream is reset with this error
//! HTTP/2: ended by NAME          and here the connection ends with it
//! ```
//!
//! Each is held over every wire. In HTTP/2 each request has a stream of its own, responses have no
//! `Connection`, and what closes a connection of HTTP/1 ends a stream.

use std::fs;
use std::path::{Path, PathBuf};

use innkeeper::http2::Http2;

use crate::as_http2::{Http2Wire, for_tls};
use crate::fixture::{Client, Reply, Setup, Stream, TestServer};

/// Fields that an answer may have. A new one is thought about before it is added.
const ALLOWED_FIELDS: [&str; 14] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "vary",
    "x-content-type-options",
];

/// What a conversation is held over.
pub trait Wire {
    /// Sends what can be sent.
    fn send(&mut self, bytes: &[u8]);

    /// The next response, or `None` at the end.
    fn reply(&mut self, is_head: bool) -> Option<Reply>;

    /// Whether this is HTTP/1, with what is its own: `Connection`, framing in text.
    fn is_http1(&self) -> bool {
        false
    }

    /// `HTTP/2: reset by NAME` and `ended by`, where it is spoken.
    fn expect_error(&mut self, _expected: &str) {
        panic!("errors have names in HTTP/2 alone");
    }

    /// `= open`
    fn expect_open(&mut self) {}

    /// `= closed`
    fn expect_closed(&mut self) {}

    /// `= end`
    fn end(&mut self) {
        panic!("half a connection ends in HTTP/1 alone");
    }
}

impl Wire for Client {
    fn send(&mut self, bytes: &[u8]) {
        // A response may be there before all lines are.
        match self.is_tls() {
            true => self.send_if_open(&for_tls(bytes)),
            false => self.send_if_open(bytes),
        }
    }

    fn reply(&mut self, is_head: bool) -> Option<Reply> {
        self.try_reply(!is_head)
    }

    fn is_http1(&self) -> bool {
        true
    }

    fn expect_open(&mut self) {
        Client::expect_open(self);
    }

    fn expect_closed(&mut self) {
        Client::expect_closed(self);
    }

    fn end(&mut self) {
        self.half_close();
    }
}

/// Conversations that were held, and those that have no meaning over a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub held: usize,
    pub left_out: usize,
}

/// Holds each conversation over a connection of its own.
fn play_all<W: Wire>(wire: impl Fn() -> W) -> Count {
    let mut all = Count::default();
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Count { held, left_out } = play_file(&format!("wire/{name}"), &wire);
        all = Count { held: all.held + held, left_out: all.left_out + left_out };
    }
    assert!(all.held + all.left_out > 70, "conversations are missing: {all:?}");
    all
}

#[test]
fn every_conversation_goes_as_written() {
    let server = TestServer::start();
    assert_eq!(play_all(|| server.connect()).left_out, 0);
}

#[test]
fn every_conversation_goes_as_written_over_tls() {
    let server = TestServer::start();
    assert_eq!(play_all(|| server.connect_tls()).left_out, 0);
}

/// What has no meaning in HTTP/2, all of it marked with the reason.
const OF_HTTP1: usize = 26;

#[test]
fn every_conversation_goes_as_written_over_http2() {
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let server = Setup { http2, ..Setup::default() }.start();
    let plain = play_all(|| Http2Wire::over(Stream::tcp(server.address)));
    assert_eq!(plain.left_out, OF_HTTP1);
    let tls = play_all(|| Http2Wire::over(server.http2_stream()));
    assert_eq!(tls, plain);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

/// Plays each conversation of a file, below the folder of the tests, over a wire of its own.
pub fn play_file<W: Wire>(name: &str, wire: impl Fn() -> W) -> Count {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().enumerate().collect();
    let mut count = Count::default();
    for conversation in lines.split(|(_, line)| line.is_empty()) {
        if conversation.iter().any(|(_, line)| !line.starts_with('#')) {
            match Conversation::new(name, conversation).play(wire()) {
                true => count.held += 1,
                false => count.left_out += 1,
            }
        }
    }
    count
}

struct Conversation<'a> {
    name: &'a str,
    lines: &'a [(usize, &'a str)],
    /// For each request that was sent and not answered, whether it was a HEAD.
    heads: std::collections::VecDeque<bool>,
}

impl<'a> Conversation<'a> {
    fn new(name: &'a str, lines: &'a [(usize, &'a str)]) -> Conversation<'a> {
        assert!(lines[0].1.starts_with("# "), "{name}:{}: no title", lines[0].0 + 1);
        Conversation { name, lines, heads: [].into() }
    }

    /// Whether this is about what HTTP/1 alone has.
    fn is_of_http1(&self) -> bool {
        self.lines.iter().any(|(_, line)| line.starts_with("only HTTP/1: "))
    }

    /// What comes in HTTP/2 where it has no response.
    fn error(&self) -> Option<&'a str> {
        self.lines.iter().find_map(|(_, line)| line.strip_prefix("HTTP/2: "))
    }

    /// Tells whether it could be held over this wire.
    fn play(mut self, mut wire: impl Wire) -> bool {
        if self.is_of_http1() && !wire.is_http1() {
            return false;
        }
        let mut at = 0;
        while at < self.lines.len() {
            let (number, line) = self.lines[at];
            at += 1;
            let place = format!("{}:{}", self.name, number + 1);
            println!("{place}: {line}");
            match line.split_once(' ').unwrap_or((line, "")) {
                ("#", _) => {}
                (">", text) => {
                    self.note_request(text);
                    wire.send(format!("{text}\r\n").as_bytes());
                }
                (">>", text) => {
                    self.note_request(text);
                    wire.send(&unescape(text));
                }
                ("<", _) if self.error().is_some() && !wire.is_http1() => {
                    wire.expect_error(self.error().unwrap_or_default());
                    break;
                }
                ("<", status_line) => {
                    let is_head = self.heads.pop_front().unwrap_or(false);
                    let reply = wire.reply(is_head);
                    let reply = reply.unwrap_or_else(|| panic!("{place}: no answer, but the end"));
                    assert_eq!(reply.status_line, status_line, "{place}: {reply:?}");
                    at = self.check_reply(&reply, at, &place, wire.is_http1());
                }
                ("=", "open") => wire.expect_open(),
                ("=", "closed") => wire.expect_closed(),
                ("=", "end") => wire.end(),
                ("only", why) if why.starts_with("HTTP/1: ") => {}
                ("HTTP/2:", what) if what.contains(" by ") => {}
                _ => panic!("{place}: what is {line:?}?"),
            }
        }
        true
    }

    fn note_request(&mut self, text: &str) {
        if text.contains(" HTTP/") {
            self.heads.push_back(text.starts_with("HEAD "));
        }
    }

    /// Checks the fields and the body, and gives where the conversation goes on.
    fn check_reply(&self, reply: &Reply, mut at: usize, place: &str, is_http1: bool) -> usize {
        let mut expected = 0;
        let mut more = false;
        check_every_answer(reply, place, !self.name.starts_with("wire_policy/"));
        while let Some((_, line)) = self.lines.get(at) {
            at += 1;
            match line.strip_prefix('<').map(str::trim_start) {
                Some("") => break,
                Some("...") => more = true,
                Some(text) => match text.strip_prefix('!') {
                    Some(name) => assert_eq!(reply.field(name), None, "{place}: {reply:?}"),
                    None => {
                        let (name, value) = text.split_once(": ").expect("a field");
                        if name == "Connection" && !is_http1 {
                            assert_eq!(reply.field(name), None, "{place}: {reply:?}");
                            continue;
                        }
                        assert_eq!(reply.field(name), Some(value), "{place}: {name}: {reply:?}");
                        expected += 1;
                    }
                },
                None => panic!("{place}: the answer has no end"),
            }
        }
        assert!(more || expected == reply.fields.len(), "{place}: more fields: {reply:?}");
        if let Some(body) = self.lines.get(at).and_then(|(_, line)| line.strip_prefix("<< ")) {
            let shown = reply.body.escape_ascii();
            assert_eq!(reply.body, unescape(body), "{place}: the body is {shown}");
            at += 1;
        }
        at
    }
}

/// What must hold of every answer, and of those of the host without fields of a policy.
fn check_every_answer(reply: &Reply, place: &str, is_hosts_own: bool) {
    for (name, _) in &reply.fields {
        let name = name.to_ascii_lowercase();
        let is_known = !is_hosts_own || ALLOWED_FIELDS.contains(&name.as_str());
        assert!(is_known, "{place}: {name} is new");
    }
    let date = reply.field("date").unwrap_or_else(|| panic!("{place}: no Date"));
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{place}: {date}");
    assert_eq!(reply.field("server"), Some("innkeeper"), "{place}");
    let has_length = reply.field("content-length").is_some();
    assert_eq!(has_length, ![204, 304].contains(&reply.status()), "{place}: {reply:?}");
}

/// Replaces `\r`, `\n`, `\t`, `\\` and `\xHH`.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("what is \\{other:?} in {text:?}?"),
            },
            _ => byte,
        });
    }
    bytes
}

/// The clients of this file are tried on themselves: a conversation that goes wrong is noticed,
/// over each wire.
#[test]
fn a_conversation_that_goes_wrong_is_noticed() {
    const REQUEST: &str = "# a\n> GET /hello.txt HTTP/1.1\n> Host: a\n>\n";
    let server = TestServer::start();
    let notices = |text: &str, play: &dyn Fn(Conversation<'_>) -> bool| {
        let lines: Vec<_> = text.lines().enumerate().collect();
        let play = || play(Conversation::new("itself", &lines));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(play)).is_err()
    };
    let wires: [&dyn Fn(Conversation<'_>) -> bool; 3] = [
        &|conversation| conversation.play(server.connect()),
        &|conversation| conversation.play(server.connect_tls()),
        &|conversation| conversation.play(Http2Wire::over(server.http2_stream())),
    ];
    for (nth, wire) in wires.into_iter().enumerate() {
        let right = format!("{REQUEST}< HTTP/1.1 200 OK\n< ...\n<\n<< hello\\n\n= open");
        assert!(!notices(&right, wire), "wire {nth}");
        for answer in [
            "< HTTP/1.1 404 Not Found\n< ...\n<",
            "< HTTP/1.1 200 OK\n<",
            "< HTTP/1.1 200 OK\n< ...\n<\n<< other\\n",
            "< HTTP/1.1 200 OK\n< !Date\n< ...\n<",
            "< HTTP/1.1 200 OK\n< Content-Length: 7\n< ...\n<",
        ] {
            assert!(notices(&format!("{REQUEST}{answer}"), wire), "wire {nth}: {answer:?}");
        }
    }
    let reset = "HTTP/2: reset by PROTOCOL_ERROR\n< HTTP/1.1 200 OK\n< ...\n<";
    assert!(notices(&format!("{REQUEST}{reset}"), wires[2]), "a response instead of a reset");
    server.connect().expect_open();
}
