//! Plays the conversations in `wire/*.txt` to a server.
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
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::{Client, Reply, TestServer};

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

    /// What `= open`, `= closed` and `= end` hold of a connection, if there is one.
    fn connection(&mut self) -> Option<&mut Client> {
        None
    }
}

impl Wire for Client {
    fn send(&mut self, bytes: &[u8]) {
        // A response may be there before all lines are.
        self.send_if_open(bytes);
    }

    fn reply(&mut self, is_head: bool) -> Option<Reply> {
        self.try_reply(!is_head)
    }

    fn connection(&mut self) -> Option<&mut Client> {
        Some(self)
    }
}

#[test]
fn every_conversation_goes_as_written() {
    let server = TestServer::start();
    let mut played = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        played += play_file(&name, || server.connect());
    }
    assert!(played > 50, "only {played} conversations were found");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

/// Plays each conversation of a file over a wire of its own, and tells how many there are.
pub fn play_file<W: Wire>(name: &str, wire: impl Fn() -> W) -> usize {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let lines: Vec<_> = text.lines().enumerate().collect();
    let mut played = 0;
    for conversation in lines.split(|(_, line)| line.is_empty()) {
        if conversation.iter().any(|(_, line)| !line.starts_with('#')) {
            Conversation::new(name, conversation).play(wire());
            played += 1;
        }
    }
    played
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

    fn play(mut self, mut wire: impl Wire) {
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
                ("<", status_line) => {
                    let is_head = self.heads.pop_front().unwrap_or(false);
                    let reply = wire.reply(is_head);
                    let reply = reply.unwrap_or_else(|| panic!("{place}: no answer, but the end"));
                    assert_eq!(reply.status_line, status_line, "{place}: {reply:?}");
                    at = self.check_reply(&reply, at, &place);
                }
                ("=", what @ ("open" | "closed" | "end")) => {
                    let Some(client) = wire.connection() else { continue };
                    match what {
                        "open" => client.expect_open(),
                        "closed" => client.expect_closed(),
                        _ => client.half_close(),
                    }
                }
                _ => panic!("{place}: what is {line:?}?"),
            }
        }
    }

    fn note_request(&mut self, text: &str) {
        if text.contains(" HTTP/") {
            self.heads.push_back(text.starts_with("HEAD "));
        }
    }

    /// Checks the fields and the body, and gives where the conversation goes on.
    fn check_reply(&self, reply: &Reply, mut at: usize, place: &str) -> usize {
        let mut expected = 0;
        let mut more = false;
        check_every_answer(reply, place);
        while let Some((_, line)) = self.lines.get(at) {
            at += 1;
            match line.strip_prefix('<').map(str::trim_start) {
                Some("") => break,
                Some("...") => more = true,
                Some(text) => match text.strip_prefix('!') {
                    Some(name) => assert_eq!(reply.field(name), None, "{place}: {reply:?}"),
                    None => {
                        let (name, value) = text.split_once(": ").expect("a field");
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

/// What must hold of every answer.
fn check_every_answer(reply: &Reply, place: &str) {
    for (name, _) in &reply.fields {
        let name = name.to_ascii_lowercase();
        assert!(ALLOWED_FIELDS.contains(&name.as_str()), "{place}: {name} is new");
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

/// The client of this file is tried on itself: a conversation that goes wrong is
/// noticed.
#[test]
fn a_conversation_that_goes_wrong_is_noticed() {
    let server = TestServer::start();
    for text in [
        "# a\n> GET /hello.txt HTTP/1.1\n> Host: a\n>\n< HTTP/1.1 404 Not Found\n< ...\n<",
        "# a\n> GET /hello.txt HTTP/1.1\n> Host: a\n>\n< HTTP/1.1 200 OK\n<",
        "# a\n> GET /hello.txt HTTP/1.1\n> Host: a\n>\n< HTTP/1.1 200 OK\n< ...\n<\n<< other\\n",
        "# a\n> GET /hello.txt HTTP/1.0\n>\n< HTTP/1.1 200 OK\n< !Date\n< ...\n<",
    ] {
        let lines: Vec<_> = text.lines().enumerate().collect();
        let play = || Conversation::new("itself", &lines).play(server.connect());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
        assert!(outcome.is_err(), "nothing was noticed in {text:?}");
    }
    let mut client: Client = server.connect();
    client.expect_open();
}
