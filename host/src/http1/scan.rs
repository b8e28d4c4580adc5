//! Where a request's head ends, in bytes that arrive piece by piece, and whether what has
//! arrived of it can be one.

use memchr::{memchr, memchr_iter};

use super::error::HeadError;
use super::head::{check_fields, parse_line};
use super::limits::Limits;
use crate::http::Fault;
use crate::http::Scheme;
use crate::http::token::is_token_byte;

/// Looks for the end of a head in bytes that arrive piece by piece. No byte is
/// looked at twice.
///
/// Of a head that is complete the parser judges the lines. Of one that is not, each
/// line is judged here as soon as it is whole, by the same functions: a client that
/// waits for the response to a malformed line gets it at once (RFC 9112, section 2.2).
#[derive(Debug, Default)]
pub struct Scanner {
    /// Bytes that were looked at.
    scanned: usize,
    /// Where the current line begins.
    line_start: usize,
    /// Where the request line begins: behind empty lines.
    start: usize,
    /// Whether the request line has ended.
    past_line: bool,
    empty_lines: usize,
    /// Where the lines begin that were not judged yet; 0 before the request line was.
    judged: usize,
    /// Field lines that were judged.
    fields: usize,
    /// The scheme of targets.
    scheme: Scheme,
}

/// Where a head lies in the received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the request line begins.
    pub start: usize,
    /// Behind the empty line that ends the head.
    pub end: usize,
}

/// A fault, and how many bytes had to arrive for it to show.
struct Shown {
    error: HeadError,
    at: usize,
}

impl Scanner {
    /// On a connection that is for targets of this scheme.
    pub fn new(scheme: Scheme) -> Scanner {
        Scanner { scheme, ..Scanner::default() }
    }

    /// Goes on scanning; `received` is all that has arrived since the last
    /// request. `None` while the head is incomplete.
    ///
    /// Of several faults it gives the one that shows first, so that the outcome is
    /// the same however the bytes arrive.
    pub fn scan(&mut self, received: &[u8], limits: &Limits) -> Result<Option<Extent>, HeadError> {
        let seen = self.scanned;
        match self.find_end(received, limits) {
            Ok(Some(extent)) => Ok(Some(extent)),
            Ok(None) => self.judge(received, seen, limits).map(|()| None),
            Err(Shown { error, at }) => {
                let before = received.get(..at - 1).unwrap_or_default();
                self.judge(before, seen, limits)?;
                Err(error)
            }
        }
    }

    /// Looks for the empty line, and at sizes and line ends on the way.
    fn find_end(&mut self, received: &[u8], limits: &Limits) -> Result<Option<Extent>, Shown> {
        while let Some(found) = memchr(b'\n', &received[self.scanned..]) {
            let line_end = self.scanned + found;
            let next = line_end + 1;
            // In the order in which the bytes of the line would show it.
            if !self.past_line {
                self.check_line(received, line_end, limits)?;
            }
            self.check_size(next, limits)?;
            if line_end == self.line_start || received[line_end - 1] != b'\r' {
                return Err(Shown { error: HeadError::BareLf, at: next });
            }
            let is_empty = line_end - 1 == self.line_start;
            self.scanned = next;
            self.line_start = next;
            match (self.past_line, is_empty) {
                (true, true) => return Ok(Some(Extent { start: self.start, end: next })),
                (false, true) => {
                    self.start = next;
                    self.empty_lines += 1;
                    if self.empty_lines > limits.empty_lines {
                        return Err(Shown { error: HeadError::EmptyLines, at: next });
                    }
                }
                (false, false) => self.past_line = true,
                (true, false) => {}
            }
        }
        self.scanned = received.len();
        if !self.past_line {
            self.check_line(received, received.len(), limits)?;
        }
        self.check_size(received.len(), limits)?;
        Ok(None)
    }

    /// Refuses a request line as soon as it can be seen that it is none, or too long.
    fn check_line(&self, received: &[u8], end: usize, limits: &Limits) -> Result<(), Shown> {
        let begun = &received[self.start..end];
        // A CR at its end may be the half of the line end that has arrived.
        let line = begun.strip_suffix(b"\r").unwrap_or(begun);
        match line.first() {
            Some(&first) if first != b'\r' && !is_token_byte(first) => {
                Err(Shown { error: HeadError::NotHttp, at: self.start + 1 })
            }
            _ if line.len() > limits.request.line_bytes => {
                let may_end = line[limits.request.line_bytes] == b'\r';
                let at = self.start + limits.request.line_bytes + if may_end { 2 } else { 1 };
                Err(Shown { error: HeadError::Request(Fault::LongLine), at })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a head of which more than allowed has arrived, up to `end`.
    fn check_size(&self, end: usize, limits: &Limits) -> Result<(), Shown> {
        if end - self.start > limits.request.head_bytes {
            return Err(Shown {
                error: HeadError::Request(Fault::LargeHead),
                at: self.start + limits.request.head_bytes + 1,
            });
        }
        Ok(())
    }

    /// Judges what is whole of these bytes and was not judged yet: lines, and in the
    /// line that has not ended a CR that no LF follows. Of the bytes, `seen` were there
    /// the last time.
    fn judge(&mut self, received: &[u8], seen: usize, limits: &Limits) -> Result<(), HeadError> {
        if self.past_line && self.judged == 0 {
            let line = received.get(self.start..).unwrap_or_default();
            let end = memchr(b'\n', line).ok_or(HeadError::Line)?;
            parse_line(line[..end].strip_suffix(b"\r").ok_or(HeadError::Line)?, self.scheme)?;
            self.judged = self.start + end + 1;
        }
        if self.past_line && self.judged < self.line_start {
            let lines = received.get(self.judged..self.line_start).unwrap_or_default();
            check_fields(lines, limits.request.fields.saturating_sub(self.fields))?;
            self.fields += memchr_iter(b'\n', lines).count();
            self.judged = self.line_start;
        }
        // The last byte seen before may have been such a CR.
        let new = self.line_start.max(seen.saturating_sub(1));
        let unended = received.get(new..).unwrap_or_default();
        match memchr(b'\r', unended) {
            Some(at) if at + 1 < unended.len() => {
                Err(if self.past_line { HeadError::Field } else { HeadError::Line })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::http;

    use super::{Extent, Fault, HeadError, Limits, Scanner};

    /// Scans the bytes as they would arrive one by one, and all at once.
    fn scan(received: &[u8]) -> Result<Option<Extent>, HeadError> {
        let limits = Limits {
            request: http::Limits {
                line_bytes: 20,
                head_bytes: 40,
                fields: 4,
                ..Default::default()
            },
            ..Limits::default()
        };
        let whole = Scanner::default().scan(received, &limits);
        let mut scanner = Scanner::default();
        let mut lengths = 0..=received.len();
        let single =
            lengths.find_map(|length| scanner.scan(&received[..length], &limits).transpose());
        assert_eq!(single.transpose(), whole, "for {}", received.escape_ascii());
        whole
    }

    #[test]
    fn a_head_ends_at_the_empty_line() {
        let extent = |start, end| Ok(Some(Extent { start, end }));
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n"), extent(0, 18));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET"), extent(0, 24));
        assert_eq!(scan(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), extent(4, 22));
        assert_eq!(scan(b"GET / HTTP/1.1\r\n"), Ok(None));
        assert_eq!(scan(b""), Ok(None));
    }

    #[test]
    fn what_can_be_no_head_is_refused_at_once() {
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(HeadError::BareLf));
        assert_eq!(scan(b"\n"), Err(HeadError::BareLf));
        assert_eq!(scan(b"\x16\x03\x01"), Err(HeadError::NotHttp));
        assert_eq!(scan(b" /"), Err(HeadError::NotHttp));
        assert_eq!(scan(b"GET /aaaaaaaaaaaaaaaaa"), Err(HeadError::Request(Fault::LongLine)));
        assert_eq!(scan(b"\r\n\r\n\r\n\r\n\r\n"), Err(HeadError::EmptyLines));
        let large = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        assert_eq!(scan(large), Err(HeadError::Request(Fault::LargeHead)));
    }

    #[test]
    fn a_malformed_line_is_refused_when_it_is_whole() {
        let whole = |line: &str| scan(format!("{line}\r\n").as_bytes());
        for line in ["GET /", "FOO", "GET  / HTTP/1.1", "G\u{1}ET / HTTP/1.1", "GET / http/1.1"] {
            assert_eq!(whole(line), Err(HeadError::Line), "{line:?}");
        }
        assert_eq!(whole("GET / HTTP/2.0"), Err(HeadError::Version));
        assert_eq!(whole("PRI * HTTP/2.0"), Err(HeadError::Version));
        for line in [" X: y", "X Y: z", "X:\0", ": v", "X", "X: \u{7f}", "X : y"] {
            let received = format!("GET / HTTP/1.1\r\n{line}\r\n");
            assert_eq!(scan(received.as_bytes()), Err(HeadError::Field), "{line:?}");
        }
    }

    #[test]
    fn a_cr_without_lf_is_refused_at_the_next_byte() {
        for received in ["\rX", "\r\r", "GET /\rX", "GET / HTTP/1.1\r\r", "\r\n\r\r"] {
            assert_eq!(scan(received.as_bytes()), Err(HeadError::Line), "{received:?}");
        }
        for end in ["\rX", "\r\r", "\r \r\n", "A: b\r\r\n", "A: b\rc", "A\r:"] {
            let received = format!("GET / HTTP/1.1\r\nA: b\r\n{end}");
            assert_eq!(scan(received.as_bytes()), Err(HeadError::Field), "{received:?}");
        }
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
    }

    #[test]
    fn one_field_too_many_is_refused_when_it_is_whole() {
        let head = [&b"GET / HTTP/1.1\r\n"[..], &b"A:\r\n".repeat(4)].concat();
        assert_eq!(scan(&head), Ok(None));
        assert_eq!(scan(&[&head[..], b"A:"].concat()), Ok(None));
        assert_eq!(
            scan(&[&head[..], b"A:\r\n"].concat()),
            Err(HeadError::Request(Fault::ManyFields))
        );
        assert_eq!(scan(&[&head[..], b"A \r\n"].concat()), Err(HeadError::Field));
    }

    #[test]
    fn the_longest_line_may_end_in_the_next_packet() {
        // Its CR used to count when its LF had not arrived.
        let line = b"GET /aaaaaa HTTP/1.1";
        let head = [&line[..], b"\r\n\r\n"].concat();
        assert_eq!(scan(&head), Ok(Some(Extent { start: 0, end: 24 })));
        assert_eq!(
            scan(b"GET /aaaaaaa HTTP/1.1\r\n\r\n"),
            Err(HeadError::Request(Fault::LongLine))
        );
        assert_eq!(scan(b"GET /aaaaaa HTTP/1.1\r\r\n"), Err(HeadError::Request(Fault::LongLine)));
    }

    #[test]
    fn what_is_wrong_first_is_what_is_told() {
        assert_eq!(scan(b"\x16\x03\n"), Err(HeadError::NotHttp));
        assert_eq!(scan(b"GET /aaaaaaaaaaaaaaaaa\n"), Err(HeadError::Request(Fault::LongLine)));
        assert_eq!(scan(b"GET /a\raaaaaaaaaaaaaaaa\n"), Err(HeadError::Line));
        assert_eq!(scan(b"GET /\r HTTP/1.1\n"), Err(HeadError::Line));
        let large = b"GET / HTTP/1.1\r\nA \r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(scan(large), Err(HeadError::Field));
        let large = b"GET / HTTP/2.0\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(scan(large), Err(HeadError::Version));
        let large = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(scan(large), Err(HeadError::Request(Fault::LargeHead)));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbb\r\n\r\n"),
            Ok(Some(Extent { start: 0, end: 40 }))
        );
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbb\r\n\r\n"),
            Err(HeadError::Request(Fault::LargeHead))
        );
    }
}
