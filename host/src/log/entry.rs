//! A line of the access log: what it holds, in either of two formats.

use std::fmt::Arguments;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock;
use crate::text::{escape_bytes, hex, is_plain_byte};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// That of Apache httpd and nginx: `client - - [date] "request" status bytes "referer"
    /// "user agent"`.
    Combined,
    /// An object of JSON (RFC 8259), with more fields.
    Json,
}

/// One request and its response.
pub struct Entry<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The request line, as far as it was received.
    pub request: &'a [u8],
    /// The version of HTTP, by its ALPN name.
    pub protocol: &'static str,
    /// The version of TLS, if the connection has TLS.
    pub tls_version: Option<&'static str>,
    /// The host name that the client asked for in its TLS handshake.
    pub server_name: Option<&'a str>,
    /// The name in the client's certificate.
    pub client_name: Option<&'a str>,
    /// The status of the response.
    pub status: u16,
    /// `Referer`, if there was one.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`, if there was one.
    pub user_agent: Option<&'a [u8]>,
    /// The decision that the response follows, or `host`.
    pub decision: &'static str,
    /// The digest of the guest that was asked, if one was.
    pub guest: Option<[u8; 6]>,
    /// How long the guest took to decide; `None` if the decision was cached, or there is none.
    pub compute_time: Option<Duration>,
    /// From the last byte of the request to the first of the response.
    pub first_byte: Duration,
    /// From the last byte of the request to the last of the response.
    pub total: Duration,
}

/// A line whose end is not known yet: the response is sent, and not taken.
#[derive(Debug, Default)]
pub struct Draft {
    /// The line without what is missing.
    text: Vec<u8>,
    /// Where in it the bytes of the body belong.
    body_bytes_at: usize,
}

impl Draft {
    /// The most bytes that its line has.
    pub(super) fn max_bytes(&self) -> usize {
        /// The number of bytes of a body, and the longest end of a line.
        const REST: usize = 20 + b",\"aborted\":true}\n".len();
        self.text.len() + REST
    }
}

/// Memory of a line that is kept for the next one. Usual lines take less.
const ROOM_BYTES: usize = 2 << 10;

impl Draft {
    /// The memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// The same room for another line, or none if it is larger than usual lines need: an idle
    /// connection would keep it.
    #[must_use]
    pub fn usual(self) -> Draft {
        if self.memory_bytes() > ROOM_BYTES { Draft::default() } else { self }
    }
}

impl Format {
    /// Writes what is known of a line, in the room of one that is written.
    pub(super) fn draft(self, mut room: Draft, entry: &Entry) -> Draft {
        let text = &mut room.text;
        text.clear();
        room.body_bytes_at = match self {
            Format::Combined => write_combined(text, entry),
            Format::Json => write_json(text, entry),
        };
        room
    }

    /// Appends a line: the client took `body_bytes` of the body, and the response was aborted
    /// before its end if `is_aborted`.
    pub(super) fn finish(
        self,
        text: &mut Vec<u8>,
        draft: &Draft,
        body_bytes: u64,
        is_aborted: bool,
    ) {
        let (before, behind) = draft.text.split_at(draft.body_bytes_at);
        text.extend_from_slice(before);
        put_number(text, body_bytes);
        text.extend_from_slice(behind);
        text.extend_from_slice(match (self, is_aborted) {
            (Format::Combined, false) => b"\n",
            // As in Apache httpd's `%X`.
            (Format::Combined, true) => b" X\n",
            (Format::Json, false) => b"}\n",
            (Format::Json, true) => b",\"aborted\":true}\n",
        });
    }
}

/// Returns where the bytes of the body belong, as `write_json` does.
fn write_combined(text: &mut Vec<u8>, entry: &Entry) -> usize {
    put_address(text, entry.client);
    text.extend_from_slice(b" - - [");
    clock::write_log_date(text);
    text.extend_from_slice(b"] \"");
    escape_bytes(text, entry.request);
    text.extend_from_slice(b"\" ");
    put_number(text, u64::from(entry.status));
    text.push(b' ');
    let body_bytes_at = text.len();
    for field in [entry.referer, entry.user_agent] {
        text.extend_from_slice(b" \"");
        escape_bytes(text, field.unwrap_or(b"-"));
        text.push(b'"');
    }
    body_bytes_at
}

fn write_json(text: &mut Vec<u8>, entry: &Entry) -> usize {
    text.extend_from_slice(b"{\"timestamp\":\"");
    clock::write_rfc3339(text);
    text.extend_from_slice(b"\",\"client\":\"");
    put_address(text, entry.client);
    text.extend_from_slice(b"\",\"request\":\"");
    escape_for_json(text, entry.request);
    text.extend_from_slice(b"\",\"protocol\":\"");
    text.extend_from_slice(entry.protocol.as_bytes());
    text.extend_from_slice(b"\",\"status\":");
    put_number(text, u64::from(entry.status));
    text.extend_from_slice(b",\"body_bytes\":");
    let body_bytes_at = text.len();
    text.extend_from_slice(b",\"first_byte_us\":");
    put_micros(text, entry.first_byte);
    text.extend_from_slice(b",\"total_us\":");
    put_micros(text, entry.total);
    text.extend_from_slice(b",\"decision\":\"");
    text.extend_from_slice(entry.decision.as_bytes());
    text.push(b'"');
    if let Some(guest) = entry.guest {
        text.extend_from_slice(b",\"guest\":\"");
        for byte in guest {
            text.extend_from_slice(&hex(byte));
        }
        text.push(b'"');
    }
    if let Some(compute_time) = entry.compute_time {
        text.extend_from_slice(b",\"compute_us\":");
        put_micros(text, compute_time);
    }
    for (name, field) in [
        ("tls_version", entry.tls_version.map(str::as_bytes)),
        ("server_name", entry.server_name.map(str::as_bytes)),
        ("client_name", entry.client_name.map(str::as_bytes)),
        ("referer", entry.referer),
        ("user_agent", entry.user_agent),
    ] {
        if let Some(field) = field {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":\"");
            escape_for_json(text, field);
            text.push(b'"');
        }
    }
    body_bytes_at
}

/// Numbers and addresses are written without `format!`, which took half of the time of a
/// line.
fn put_number(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn put_micros(text: &mut Vec<u8>, time: Duration) {
    put_number(text, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn put_address(text: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            put_number(text, u64::from(first));
            for octet in rest {
                text.push(b'.');
                put_number(text, u64::from(octet));
            }
        }
        // The standard library knows its rules for zeros.
        IpAddr::V6(address) => put(text, format_args!("{address}")),
    }
}

fn put(text: &mut Vec<u8>, part: Arguments) {
    text.write_fmt(part).expect("writing to memory cannot fail");
}

/// Appends bytes so that reading the string of JSON gives what the other format has: a
/// field may hold any bytes, and JSON holds text alone. A quote needs no backslash of its
/// own there.
fn escape_for_json(text: &mut Vec<u8>, bytes: &[u8]) {
    for run in bytes.chunk_by(|&one, &other| is_plain_byte(one) && is_plain_byte(other)) {
        match run {
            b"\"" => text.extend_from_slice(b"\\\""),
            b"\\" => text.extend_from_slice(b"\\\\\\\\"),
            [byte] if !is_plain_byte(*byte) => {
                text.extend_from_slice(b"\\\\x");
                text.extend_from_slice(&hex(*byte));
            }
            plain => text.extend_from_slice(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Draft, Entry, Format};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    fn entry(line: &[u8]) -> Entry<'_> {
        Entry {
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request: line,
            protocol: "http/1.1",
            tls_version: None,
            server_name: None,
            client_name: None,
            status: 200,
            referer: None,
            user_agent: Some(b"a\"b"),
            decision: "serve",
            guest: Some([0xab; 6]),
            compute_time: None,
            first_byte: Duration::from_micros(5),
            total: Duration::from_micros(7),
        }
    }

    fn written(format: Format, entry: &Entry) -> String {
        finished(format, entry, false)
    }

    fn finished(format: Format, entry: &Entry, is_aborted: bool) -> String {
        let mut text = Vec::new();
        let draft = format.draft(Draft::default(), entry);
        format.finish(&mut text, &draft, 12, is_aborted);
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn combined_format_is_that_of_apache_and_nginx() {
        let text = written(Format::Combined, &entry(b"GET / HTTP/1.1"));
        let (client, rest) = text.split_once(" [").expect("a date");
        let (_, rest) = rest.split_once("] ").expect("the rest");
        assert_eq!(client, "127.0.0.1 - -");
        assert_eq!(rest, "\"GET / HTTP/1.1\" 200 12 \"-\" \"a\\\"b\"\n");
    }

    #[test]
    fn aborted_response_is_marked() {
        let entry = entry(b"GET / HTTP/1.1");
        let whole = written(Format::Combined, &entry);
        let aborted = finished(Format::Combined, &entry, true);
        assert_eq!(aborted, format!("{} X\n", whole.trim_end()));
        let whole: serde_json::Value =
            serde_json::from_str(&written(Format::Json, &entry)).expect("JSON");
        let aborted: serde_json::Value =
            serde_json::from_str(&finished(Format::Json, &entry, true)).expect("JSON");
        assert_eq!(whole.get("aborted"), None);
        assert_eq!((&aborted["aborted"], &aborted["body_bytes"]), (&true.into(), &12.into()));
    }

    #[test]
    fn client_is_written_as_an_address() {
        for address in ["127.0.0.1", "203.0.113.255", "2001:db8::1", "::"] {
            let client = address.parse().expect("an address");
            let text = written(Format::Combined, &Entry { client, ..entry(b"") });
            assert_eq!(text.split(' ').next(), Some(address));
        }
    }

    #[test]
    fn json_format_is_an_object() {
        let compute_time = Some(Duration::from_micros(9));
        let text = written(Format::Json, &Entry { compute_time, ..entry(b"GET /\xff\\ HTTP/1.1") });
        let (time, rest) = text.split_at(text.find(",\"client\"").expect("a client"));
        assert_eq!(time.len(), "{\"timestamp\":\"2026-01-02T03:04:05.678Z\"".len());
        assert_eq!(
            rest,
            ",\"client\":\"127.0.0.1\",\"request\":\"GET /\\\\xff\\\\\\\\ HTTP/1.1\",\
             \"protocol\":\"http/1.1\",\"status\":200,\
             \"body_bytes\":12,\"first_byte_us\":5,\"total_us\":7,\"decision\":\"serve\",\
             \"guest\":\"abababababab\",\"compute_us\":9,\"user_agent\":\"a\\\"b\"}\n"
        );
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["request"], r"GET /\xff\\ HTTP/1.1");
        assert_eq!(read["user_agent"], "a\"b");
    }

    #[test]
    fn json_tells_of_tls() {
        let (tls_version, server_name) = (Some("1.3"), Some("a.example"));
        let secured =
            Entry { tls_version, server_name, client_name: Some("\u{e9}\""), ..entry(b"") };
        let read: serde_json::Value =
            serde_json::from_str(&written(Format::Json, &secured)).expect("JSON");
        let values =
            ["protocol", "tls_version", "server_name", "client_name"].map(|key| &read[key]);
        assert_eq!(values, ["http/1.1", "1.3", "a.example", r#"\xc3\xa9""#]);
    }

    #[test]
    fn no_request_can_forge_a_line() {
        for format in [Format::Combined, Format::Json] {
            let text = written(format, &entry(b"GET /\r\n127.0.0.1 \"}\n \x1b[2J \xff HTTP/1.1"));
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains(r"x0d") && text.contains(r"x1b[2J"), "{text}");
        }
    }
}
