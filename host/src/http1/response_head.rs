//! The head of a response: the status line and the fields (RFC 9112, section 4).

use crate::clock;
use crate::http::Field;
use crate::http::status::reason;
use crate::service::{Body, Response};

/// Whether the connection goes on after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It does, and HTTP/1.1 takes that for granted.
    KeepAlive,
    /// It does, which a client of HTTP/1.0 must be told.
    KeepAliveSaid,
    /// It is closed.
    Close,
}

/// Appends the head of a response, up to and including the empty line.
///
/// `Content-Length` is there whenever the status allows a body, also in responses
/// to HEAD, where it tells what GET would have sent.
pub fn write(response: &Response, persistence: Persistence, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(decimal(response.status.into(), &mut [0; MAX_DIGITS]));
    out.push(b' ');
    out.extend_from_slice(reason(response.status).as_bytes());
    out.extend_from_slice(b"\r\nServer: innkeeper\r\nDate: ");
    out.extend_from_slice(&clock::http_date());
    out.extend_from_slice(match persistence {
        Persistence::KeepAlive => b"\r\n",
        Persistence::KeepAliveSaid => b"\r\nConnection: keep-alive\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n".as_slice(),
    });
    response.fields.render(write_fields, out);
    if let Some(length) = response.content_length() {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(decimal(length, &mut [0; MAX_DIGITS]));
        out.extend_from_slice(b"\r\n");
    } else {
        debug_assert!(matches!(response.body, Body::Empty), "{response:?}");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends field lines.
fn write_fields(fields: &[Field], out: &mut Vec<u8>) {
    for Field { name, value } in fields {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
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
    use crate::service::Response;

    fn head(response: &Response, persistence: Persistence) -> String {
        let mut out = Vec::new();
        write(response, persistence, &mut out);
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
        let head = head(&Response::plain(404), Persistence::Close);
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\nServer: innkeeper\r\nDate: "));
        assert!(head.contains("\r\nConnection: close\r\n"));
        assert!(head.ends_with("\r\nContent-Length: 15\r\n\r\n"));
    }

    #[test]
    fn no_content_has_no_length() {
        let response = Response::bare(204);
        assert!(!head(&response, Persistence::KeepAlive).contains("Content-Length"));
    }
}
