//! The head of an answer: the status line and the fields (RFC 9112, section 4).

use super::{Body, Field, Reply};
use crate::clock;
use crate::http::status::reason;

/// Whether the connection goes on after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It does, and HTTP/1.1 takes that for granted.
    KeepAlive,
    /// It does, which a client of HTTP/1.0 must be told.
    KeepAliveSaid,
    /// It is closed.
    Close,
}

/// Appends the head of an answer, up to and including the empty line.
///
/// `Content-Length` is there whenever the status allows a body, also in answers
/// to HEAD, where it tells what GET would have sent.
pub fn write(reply: &Reply, persistence: Persistence, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(decimal(reply.status.into(), &mut [0; MAX_DIGITS]));
    out.push(b' ');
    out.extend_from_slice(reason(reply.status).as_bytes());
    out.extend_from_slice(b"\r\nServer: innkeeper\r\nDate: ");
    out.extend_from_slice(&clock::http_date());
    out.extend_from_slice(match persistence {
        Persistence::KeepAlive => b"\r\n",
        Persistence::KeepAliveSaid => b"\r\nConnection: keep-alive\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n".as_slice(),
    });
    write_fields(&reply.fields, out);
    if let Some(lines) = &reply.prepared {
        out.extend_from_slice(lines);
    }
    if allows_body(reply.status) {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(decimal(reply.body.length(), &mut [0; MAX_DIGITS]));
        out.extend_from_slice(b"\r\n");
    } else {
        debug_assert!(matches!(reply.body, Body::Empty), "{reply:?}");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends field lines.
pub fn write_fields(fields: &[Field], out: &mut Vec<u8>) {
    for Field { name, value } in fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether an answer with this status has a length of its own (RFC 9110,
/// section 8.6): 1xx and 204 have none, and 304 would tell that of another answer.
fn allows_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Digits of the largest number that fits into 64 bits.
const MAX_DIGITS: usize = 20;

/// Writes a number into the end of `digits` and gives that end.
fn decimal(mut number: u64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut start = MAX_DIGITS;
    loop {
        start -= 1;
        digits[start] = b"0123456789"[usize::from((number % 10) as u8)];
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DIGITS, Persistence, decimal, write};
    use crate::reply::Reply;

    fn head(reply: &Reply, persistence: Persistence) -> String {
        let mut out = Vec::new();
        write(reply, persistence, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers() {
        for number in [0, 9, 10, 255, 1 << 32, u64::MAX] {
            let digits = &mut [0; MAX_DIGITS];
            assert_eq!(decimal(number, digits), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line_and_says_its_length() {
        let head = head(&Reply::plain(404), Persistence::Close);
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\nServer: innkeeper\r\nDate: "));
        assert!(head.contains("\r\nConnection: close\r\n"));
        assert!(head.ends_with("\r\nContent-Length: 15\r\n\r\n"));
    }

    #[test]
    fn no_content_has_no_length() {
        let reply = Reply::bare(204);
        assert!(!head(&reply, Persistence::KeepAlive).contains("Content-Length"));
    }
}
