//! A line of the access log, in one of three formats.

use super::fields::LogFields;
use super::json::write_json;
use super::parts::{Entry, put_address, put_number};
use crate::clock;
use crate::text::escape_bytes;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// That of Apache httpd and nginx: `client - - [date] "request" status bytes "referer"
    /// "user agent"`.
    Combined,
    /// The same behind the host and its port, as Apache httpd's `vhost_combined`: the name of the
    /// site where there are several (`%v`), or else the host of the request.
    VhostCombined,
    /// An object of JSON (RFC 8259), with these of its fields.
    Json(LogFields),
}

/// A line whose end is not known yet: the response is sent, and not taken.
#[derive(Debug, Default)]
pub struct Draft {
    /// The line without what is missing.
    text: Vec<u8>,
    /// Where in it the bytes of the body belong, if they do.
    body_bytes_at: Option<usize>,
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
            Format::Combined => Some(write_combined(text, entry)),
            Format::VhostCombined => {
                write_vhost(text, entry);
                Some(write_combined(text, entry))
            }
            Format::Json(fields) => write_json(text, entry, fields),
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
        let at = draft.body_bytes_at;
        let (before, behind) = draft.text.split_at(at.unwrap_or(draft.text.len()));
        text.extend_from_slice(before);
        if at.is_some() {
            put_number(text, body_bytes);
        }
        text.extend_from_slice(behind);
        text.extend_from_slice(match (self, is_aborted) {
            (Format::Combined | Format::VhostCombined, false) => b"\n",
            // As in Apache httpd's `%X`.
            (Format::Combined | Format::VhostCombined, true) => b" X\n",
            (Format::Json(_), false) => b"}\n",
            (Format::Json(_), true) if draft.text == b"{" => b"\"aborted\":true}\n",
            (Format::Json(_), true) => b",\"aborted\":true}\n",
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

/// The host and its port, before what the combined format has. A request without a host has `-`.
fn write_vhost(text: &mut Vec<u8>, entry: &Entry) {
    let Some(host) = entry.virtual_host.filter(|host| !host.is_empty()) else {
        return text.extend_from_slice(b"- ");
    };
    escape_bytes(text, host);
    // That of IPv6 has colons of its own, in brackets.
    let name_end = host.iter().rposition(|&byte| byte == b']').unwrap_or(0);
    if !host[name_end..].contains(&b':') {
        let is_https = entry.scheme == Some("https");
        text.extend_from_slice(if is_https { b":443" } else { b":80" });
    }
    text.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::{Draft, Entry, Format, LogFields};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    const JSON: Format = Format::Json(LogFields::ALL);

    fn entry(line: &[u8]) -> Entry<'_> {
        Entry {
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request: line,
            method: None,
            scheme: None,
            host: None,
            site: None,
            virtual_host: None,
            path: None,
            query: None,
            request_id: None,
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
        let whole: serde_json::Value = serde_json::from_str(&written(JSON, &entry)).expect("JSON");
        let aborted: serde_json::Value =
            serde_json::from_str(&finished(JSON, &entry, true)).expect("JSON");
        assert_eq!(whole.get("aborted"), None);
        assert_eq!((&aborted["aborted"], &aborted["body_bytes"]), (&true.into(), &12.into()));
    }

    #[test]
    fn client_is_written_as_an_address() {
        for (address, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("203.0.113.255", "203.0.113.255"),
            ("2001:db8::1", "2001:db8::1"),
            // Of a Unix socket.
            ("::", "unix:"),
        ] {
            let client = address.parse().expect("an address");
            let text = written(Format::Combined, &Entry { client, ..entry(b"") });
            assert_eq!(text.split(' ').next(), Some(expected));
        }
    }

    #[test]
    fn json_format_is_an_object() {
        let compute_time = Some(Duration::from_micros(9));
        let text = written(JSON, &Entry { compute_time, ..entry(b"GET /\xff\\ HTTP/1.1") });
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
    fn parts_of_a_request_are_apart_in_json() {
        let whole = Entry {
            method: Some("GET"),
            scheme: Some("https"),
            host: Some(b"a.example"),
            site: Some("a"),
            path: Some(b"/a\""),
            query: Some(b"b=c"),
            request_id: Some("4f"),
            ..entry(b"GET /a\"?b=c HTTP/1.1")
        };
        let text = written(JSON, &whole);
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let names = ["method", "scheme", "host", "site", "path", "query", "request_id"];
        let values = names.map(|name| read[name].as_str().unwrap_or_default());
        assert_eq!(values, ["GET", "https", "a.example", "a", "/a\"", "b=c", "4f"]);
        let some = Format::Json("path,status".parse().expect("fields"));
        assert_eq!(written(some, &whole), "{\"path\":\"/a\\\"\",\"status\":200}\n");
        let aborted = finished(some, &whole, true);
        assert_eq!(aborted, "{\"path\":\"/a\\\"\",\"status\":200,\"aborted\":true}\n");
        // A field that this request does not have.
        let one = Format::Json("query".parse().expect("fields"));
        assert_eq!(finished(one, &entry(b""), true), "{\"aborted\":true}\n");
        assert_eq!(finished(one, &entry(b""), false), "{}\n");
    }

    #[test]
    fn vhost_combined_begins_with_the_host_and_its_port() {
        for (host, scheme, expected) in [
            (Some(&b"a.example"[..]), Some("http"), "a.example:80"),
            (Some(b"a.example"), Some("https"), "a.example:443"),
            (Some(b"a.example:8080"), Some("https"), "a.example:8080"),
            (Some(b"[::1]"), Some("http"), "[::1]:80"),
            (Some(b"[::1]:81"), Some("http"), "[::1]:81"),
            (Some(b""), Some("http"), "-"),
            (None, None, "-"),
        ] {
            let entry = Entry { virtual_host: host, scheme, ..entry(b"GET / HTTP/1.1") };
            let text = written(Format::VhostCombined, &entry);
            let (begin, rest) = text.split_once(' ').expect("a space");
            assert_eq!(begin, expected);
            assert!(rest.starts_with("127.0.0.1 - - ["), "{rest}");
        }
    }

    #[test]
    fn json_tells_of_tls() {
        let (tls_version, server_name) = (Some("1.3"), Some("a.example"));
        let secured =
            Entry { tls_version, server_name, client_name: Some("\u{e9}\""), ..entry(b"") };
        let read: serde_json::Value = serde_json::from_str(&written(JSON, &secured)).expect("JSON");
        let values =
            ["protocol", "tls_version", "server_name", "client_name"].map(|key| &read[key]);
        assert_eq!(values, ["http/1.1", "1.3", "a.example", r#"\xc3\xa9""#]);
    }

    #[test]
    fn no_request_can_forge_a_line() {
        for format in [Format::Combined, JSON] {
            let text = written(format, &entry(b"GET /\r\n127.0.0.1 \"}\n \x1b[2J \xff HTTP/1.1"));
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains(r"x0d") && text.contains(r"x1b[2J"), "{text}");
        }
    }
}
