//! A line of the access log as an object of JSON.

use std::time::Duration;

use super::fields::{LogField, LogFields};
use super::parts::{Entry, put_address, put_micros, put_number};
use crate::clock;
use crate::text::{hex, is_plain_byte};

/// Writes what is known of a line, and returns where the bytes of the body belong; `None` if they
/// are not among the fields.
pub(super) fn write_json(text: &mut Vec<u8>, entry: &Entry, fields: LogFields) -> Option<usize> {
    let mut line = JsonLine { text, fields };
    line.text.push(b'{');
    if line.begin(LogField::Timestamp, b"\"timestamp\":\"") {
        clock::write_rfc3339(line.text);
        line.text.push(b'"');
    }
    if line.begin(LogField::Client, b"\"client\":\"") {
        put_address(line.text, entry.client);
        line.text.push(b'"');
    }
    line.string(LogField::Request, b"\"request\":\"", Some(entry.request));
    line.string(LogField::Method, b"\"method\":\"", entry.method.map(str::as_bytes));
    line.string(LogField::Scheme, b"\"scheme\":\"", entry.scheme.map(str::as_bytes));
    line.string(LogField::Host, b"\"host\":\"", entry.host);
    line.string(LogField::Site, b"\"site\":\"", entry.site.map(str::as_bytes));
    line.string(LogField::Path, b"\"path\":\"", entry.path);
    line.string(LogField::Query, b"\"query\":\"", entry.query);
    line.string(LogField::Protocol, b"\"protocol\":\"", Some(entry.protocol.as_bytes()));
    if line.begin(LogField::Status, b"\"status\":") {
        put_number(line.text, u64::from(entry.status));
    }
    let has_body = line.begin(LogField::BodyBytes, b"\"body_bytes\":");
    let body_bytes_at = has_body.then_some(line.text.len());
    line.micros(LogField::FirstByte, b"\"first_byte_us\":", Some(entry.first_byte));
    line.micros(LogField::Total, b"\"total_us\":", Some(entry.total));
    line.string(LogField::Decision, b"\"decision\":\"", Some(entry.decision.as_bytes()));
    if let Some(guest) = entry.guest
        && line.begin(LogField::Guest, b"\"guest\":\"")
    {
        for byte in guest {
            line.text.extend_from_slice(&hex(byte));
        }
        line.text.push(b'"');
    }
    line.micros(LogField::Compute, b"\"compute_us\":", entry.compute_time);
    line.string(LogField::RequestId, b"\"request_id\":\"", entry.request_id.map(str::as_bytes));
    line.string(LogField::TlsVersion, b"\"tls_version\":\"", entry.tls_version.map(str::as_bytes));
    line.string(LogField::ServerName, b"\"server_name\":\"", entry.server_name.map(str::as_bytes));
    line.string(LogField::ClientName, b"\"client_name\":\"", entry.client_name.map(str::as_bytes));
    line.string(LogField::Referer, b"\"referer\":\"", entry.referer);
    line.string(LogField::UserAgent, b"\"user_agent\":\"", entry.user_agent);
    body_bytes_at
}

/// An object of JSON that is written.
struct JsonLine<'a> {
    text: &'a mut Vec<u8>,
    fields: LogFields,
}

impl JsonLine<'_> {
    /// Writes the name of a field and what precedes its value, if the field is wanted.
    fn begin(&mut self, field: LogField, name: &[u8]) -> bool {
        let is_wanted = self.fields.has(field);
        if is_wanted {
            if self.text.last() != Some(&b'{') {
                self.text.push(b',');
            }
            self.text.extend_from_slice(name);
        }
        is_wanted
    }

    /// Writes a string, if there is one.
    fn string(&mut self, field: LogField, name: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value
            && self.begin(field, name)
        {
            escape_for_json(self.text, value);
            self.text.push(b'"');
        }
    }

    fn micros(&mut self, field: LogField, name: &[u8], time: Option<Duration>) {
        if let Some(time) = time
            && self.begin(field, name)
        {
            put_micros(self.text, time);
        }
    }
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
