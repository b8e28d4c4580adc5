//! The requests of a text that is written as HTTP/1, as HTTP/2 has them (RFC 9113, section 8.3).
//!
//! The request line becomes pseudo-fields, `Host` becomes `:authority`, names become lower case,
//! and what `Content-Length` frames becomes DATA. Nothing is judged: what HTTP/2 can express goes
//! out as it stands, so that it is the server that refuses it. What it cannot express is
//! HTTP/1's own, and told so with the reason.

use std::collections::VecDeque;

use innkeeper::http::status::reason;

use crate::fixture::{Reply, Stream};
use crate::http2_client::{ERRORS, Http2Client, Response, kind};
use crate::wire::Wire;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Pseudo-fields, then fields.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// What DATA holds. `None` if HEADERS end the stream.
    pub content: Option<Vec<u8>>,
    /// Whether there is no more of it: else the client keeps the rest back.
    pub is_whole: bool,
}

/// What has no meaning in HTTP/2, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own(pub &'static str);

/// Empty lines that are passed over before a request (RFC 9112, section 2.2).
const EMPTY_LINES: usize = 4;

/// Takes the next request from the front. `None` where nothing is left.
pub fn next_message(raw: &mut &[u8]) -> Result<Option<Message>, Own> {
    let before = raw.len();
    while let Some(rest) = raw.strip_prefix(b"\r\n") {
        *raw = rest;
    }
    if before - raw.len() > 2 * EMPTY_LINES {
        return Err(Own("empty lines"));
    }
    if raw.is_empty() {
        return Ok(None);
    }
    let end = find(raw, b"\r\n\r\n").ok_or(Own("no end of the head"))?;
    let (head, mut rest) = (&raw[..end + 2], &raw[end + 4..]);
    if head.starts_with(b"\n") || head.windows(2).any(|two| (two[0] == b'\r') != (two[1] == b'\n'))
    {
        return Err(Own("line ends"));
    }
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r"));
    let mut lines = lines.by_ref().flatten();
    let mut words = lines.next().unwrap_or_default().splitn(3, |&byte| byte == b' ');
    let [Some(method), Some(target), Some(version)] = [(); 3].map(|()| words.next()) else {
        return Err(Own("request line"));
    };
    if version != b"HTTP/1.1" {
        return Err(Own("version"));
    }
    let (mut fields, authority) = pseudo_fields(method, target);
    let (mut length, mut is_framed_otherwise, mut has_host) = (None, false, false);
    for line in lines {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(Own("folded line"));
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Own("line without colon"))?;
        let (name, value) = (line[..colon].to_ascii_lowercase(), trimmed(&line[colon + 1..]));
        match &name[..] {
            // That of the target is the one that counts (RFC 9112, section 3.2.2).
            b"host" if authority.is_some() => continue,
            b"host" if !has_host => {
                fields.insert(1, (b":authority".to_vec(), value.to_vec()));
                has_host = true;
                continue;
            }
            b"content-length" if length.is_none() => {
                let digits = std::str::from_utf8(value).ok().filter(|text| {
                    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
                });
                length = digits.map(|digits| digits.parse().unwrap_or(usize::MAX));
                is_framed_otherwise |= length.is_none();
            }
            b"content-length" | b"transfer-encoding" => is_framed_otherwise = true,
            _ => {}
        }
        fields.push((name, value.to_vec()));
    }
    let (content, is_whole) = match length {
        // All that follows may be it: it is for the server to refuse.
        _ if is_framed_otherwise => (Some(std::mem::take(&mut rest).to_vec()), true),
        None => (None, true),
        Some(length) => {
            let (content, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            (Some(content.to_vec()), content.len() == length)
        }
    };
    *raw = rest;
    Ok(Some(Message { fields, content, is_whole }))
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The pseudo-fields of a request line, and the authority in it.
fn pseudo_fields(method: &[u8], target: &[u8]) -> (Fields, Option<Vec<u8>>) {
    let owned = |fields: &[(&str, &[u8])]| {
        fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
    };
    if method == b"CONNECT" {
        let authority = Some(target.to_vec());
        return (owned(&[(":method", method), (":authority", target)]), authority);
    }
    let Some(at) = find(target, b"://").filter(|_| !target.starts_with(b"/")) else {
        return (owned(&[(":method", method), (":scheme", b"http"), (":path", target)]), None);
    };
    let (scheme, rest) = (&target[..at], &target[at + 3..]);
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = match path.first() {
        None => b"/".to_vec(),
        Some(b'/') => path.to_vec(),
        Some(_) => [b"/", path].concat(),
    };
    let fields = owned(&[
        (":method", method),
        (":authority", authority),
        (":scheme", &scheme.to_ascii_lowercase()),
        (":path", &path),
    ]);
    (fields, Some(authority.to_vec()))
}

/// The same text for a server that speaks TLS: the schemes that a request line may name, `http` and
/// `https`, change places.
pub fn for_tls(text: &[u8]) -> Vec<u8> {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let Some(at) = find(&text[..end].to_ascii_lowercase(), b" http") else { return text.to_vec() };
    let (before, behind) = text.split_at(at + 5);
    match behind {
        [b's' | b'S', rest @ ..] if rest.starts_with(b"://") => [before, rest].concat(),
        rest if rest.starts_with(b"://") => [before, b"s", rest].concat(),
        _ => text.to_vec(),
    }
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Sends a request on a stream of its own, over TLS with the scheme of TLS. Gives the stream.
pub fn send(client: &mut Http2Client<Stream>, message: &Message) -> u32 {
    let stream = client.next_stream();
    let is_tls = matches!(client.stream(), Stream::Tls(_));
    let mut fields = message.fields.clone();
    if is_tls && let Some(scheme) = fields.iter_mut().find(|(name, _)| name == b":scheme") {
        scheme.1 = match &scheme.1[..] {
            b"http" => b"https".to_vec(),
            b"https" => b"http".to_vec(),
            other => other.to_vec(),
        };
    }
    client.send_headers(stream, &fields, message.content.is_none() && message.is_whole);
    let Some(content) = &message.content else { return stream };
    let mut windows = Windows::new();
    let mut rest = &content[..];
    while !rest.is_empty() && windows.wait(client, stream) {
        let (piece, behind) = rest.split_at(rest.len().min(windows.room()));
        rest = behind;
        windows.sent(piece.len());
        client.send_data(stream, piece, message.is_whole && rest.is_empty());
    }
    if content.is_empty() && message.is_whole {
        client.send_data(stream, b"", true);
    }
    stream
}

/// Bytes that a client may send on a new connection: on it, and on its only stream with a body.
struct Windows([i64; 2]);

impl Windows {
    /// With what a connection begins with (RFC 9113, section 6.9.2). The server's settings may
    /// make that of a stream larger, which is not made use of.
    fn new() -> Windows {
        Windows([65_535; 2])
    }

    fn room(&self) -> usize {
        usize::try_from(self.0[0].min(self.0[1])).unwrap_or(0).min(16 << 10)
    }

    fn sent(&mut self, count: usize) {
        self.0.iter_mut().for_each(|window| *window -= i64::try_from(count).unwrap());
    }

    /// Waits for room. Tells whether there is any, and not a response already, or the end.
    fn wait(&mut self, client: &mut Http2Client<Stream>, stream: u32) -> bool {
        while self.room() == 0 {
            let Some(frame) = client.step() else { return false };
            if frame.kind == kind::WINDOW_UPDATE {
                let which = if frame.stream == 0 { 0 } else { 1 };
                self.0[which] += i64::from(frame.number(0));
            }
            if client.responses.get(&stream).is_some_and(|it| it.is_whole || it.reset.is_some()) {
                return false;
            }
        }
        true
    }
}

/// A response in the form of HTTP/1, to be compared. It has nothing that HTTP/2 forbids.
#[track_caller]
pub fn reply(response: Response) -> Reply {
    let Response { status, fields, body, is_whole, reset } = response;
    let reset = reset.map(|code| ERRORS[code as usize]);
    assert!(is_whole, "status {status} of {} bytes, then reset by {reset:?}", body.len());
    // What the client has not sent of its request is not wanted (RFC 9113, section 8.1).
    assert!(matches!(reset, None | Some("NO_ERROR")), "reset by {reset:?}");
    for (name, _) in &fields {
        assert_eq!(*name, name.to_ascii_lowercase());
        let is_of_connections =
            ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"];
        assert!(!is_of_connections.contains(&name.as_str()), "{name} is of connections");
    }
    let status_line = format!("HTTP/1.1 {status} {}", reason(status));
    Reply { status_line, fields, body }
}

/// A conversation over HTTP/2.
pub struct Http2Wire {
    client: Http2Client<Stream>,
    /// What was not sent yet.
    text: Vec<u8>,
    /// Those whose responses were not asked for.
    streams: VecDeque<u32>,
}

impl Http2Wire {
    pub fn over(stream: Stream) -> Http2Wire {
        let client = Http2Client::new(stream);
        Http2Wire { client, text: Vec::new(), streams: [].into() }
    }
}

impl Http2Wire {
    /// Asks for `hello.txt`.
    fn probe(&mut self) -> u32 {
        let mut text = &b"GET /hello.txt HTTP/1.1\r\nHost: probe\r\n\r\n"[..];
        send(&mut self.client, &next_message(&mut text).unwrap().unwrap())
    }

    /// Sends what the text has, and gives what comes on the first stream without a response.
    fn response(&mut self) -> Option<Response> {
        let text = std::mem::take(&mut self.text);
        let mut rest = &text[..];
        while let Some(message) = next_message(&mut rest).unwrap_or_else(|Own(why)| {
            panic!("this is HTTP/1's own ({why}), and not marked: {}", text.escape_ascii())
        }) {
            self.streams.push_back(send(&mut self.client, &message));
        }
        let stream = self.streams.pop_front().expect("a request");
        self.client.try_response(stream)
    }
}

impl Wire for Http2Wire {
    fn send(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    fn reply(&mut self, _is_head: bool) -> Option<Reply> {
        self.response().map(reply)
    }

    fn expect_error(&mut self, expected: &str) {
        let came = match self.response() {
            Some(Response { reset: Some(code), status: 0, .. }) => {
                self.expect_open();
                format!("reset by {}", ERRORS[code as usize])
            }
            // A server may send a response first (RFC 9113, section 8.1.1): of a malformed request
            // whose body has not come yet when its head is looked at.
            Some(Response { status: 400, .. }) if expected == "reset by PROTOCOL_ERROR" => {
                self.expect_open();
                return;
            }
            Some(other) => format!("{other:?}"),
            None => format!("ended by {}", self.client.ended_by().unwrap_or("nothing")),
        };
        assert_eq!(came, expected);
    }

    fn expect_open(&mut self) {
        let stream = self.probe();
        assert_eq!(reply(self.client.response(stream)).body, b"hello\n");
        assert_eq!(self.client.goaway, None);
    }

    /// What ends a connection of HTTP/1 ends a stream here, or the connection in peace.
    fn expect_closed(&mut self) {
        if self.client.goaway.is_none() {
            let stream = self.probe();
            if let Some(response) = self.client.try_response(stream) {
                assert_eq!(reply(response).body, b"hello\n");
            }
        }
        let goaway = self.client.goaway.as_ref().map_or(0, |(code, ..)| *code);
        assert_eq!(ERRORS[goaway as usize], "NO_ERROR");
    }
}

#[test]
fn schemes_change_places_for_tls() {
    for (text, expected) in [
        ("GET http://a/ HTTP/1.1\r\nX: http://b\r\n", "GET https://a/ HTTP/1.1\r\nX: http://b\r\n"),
        ("GET HTTPS://a HTTP/1.1", "GET HTTP://a HTTP/1.1"),
        ("GET / HTTP/1.1\r\nX: http://b\r\n", "GET / HTTP/1.1\r\nX: http://b\r\n"),
        ("GET http:/a HTTP/1.1\r\n", "GET http:/a HTTP/1.1\r\n"),
    ] {
        assert_eq!(for_tls(text.as_bytes()), expected.as_bytes());
    }
}

#[test]
fn text_of_http1_becomes_messages_of_http2() {
    let messages = |text: &str| {
        let (mut raw, mut messages) = (text.as_bytes(), Vec::new());
        while let Some(message) = next_message(&mut raw)? {
            let fields = message
                .fields
                .iter()
                .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
            let content = match (&message.content, message.is_whole) {
                (None, _) => String::new(),
                (Some(content), whole) => format!(" {} {whole}", content.escape_ascii()),
            };
            messages.push(fields.collect::<Vec<_>>().join(" ") + &content);
        }
        Ok(messages.join("; "))
    };
    for (text, expected) in [
        ("GET /a HTTP/1.1\r\nHost: b\r\n\r\n", ":method=GET :authority=b :scheme=http :path=/a"),
        (
            "\r\nGET HTTPS://a?b HTTP/1.1\r\nHost: c\r\n\r\n",
            ":method=GET :authority=a :scheme=https :path=/?b",
        ),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", ":method=CONNECT :authority=a:1"),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nhost: b\r\nX-A : \t b \r\n\r\n",
            ":method=OPTIONS :authority=a :scheme=http :path=* host=b x-a =b",
        ),
        (
            "A / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabB / HTTP/1.1\r\n\r\n",
            ":method=A :scheme=http :path=/ content-length=2 ab true; :method=B :scheme=http :path=/",
        ),
        (
            "A / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
            ":method=A :scheme=http :path=/ content-length=3 ab false",
        ),
        (
            "A / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ":method=A :scheme=http :path=/ transfer-encoding=chunked 0\\r\\n\\r\\n true",
        ),
    ] {
        assert_eq!(messages(text).as_deref(), Ok(expected), "{text:?}");
    }
    for (text, why) in [
        ("GET / HTTP/1.0\r\n\r\n", "version"),
        ("GET  / HTTP/1.1\r\n\r\n", "version"),
        ("GET /\r\n\r\n", "request line"),
        ("GET / HTTP/1.1\r\nA: b\r\n", "no end of the head"),
        ("GET / HTTP/1.1\r\nA: b\n\r\n\r\n", "line ends"),
        ("\nGET / HTTP/1.1\r\n\r\n", "line ends"),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", "empty lines"),
        ("GET / HTTP/1.1\r\nA: \rb\r\n\r\n", "line ends"),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "folded line"),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", "line without colon"),
    ] {
        assert_eq!(messages(text), Err(Own(why)), "{text:?}");
    }
}
