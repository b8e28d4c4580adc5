//! Where a request's head ends, in bytes that arrive piece by piece.

use super::head::{Fault, is_token_byte};
use super::limits::Limits;

/// Looks for the end of a head in bytes that arrive piece by piece. No byte is
/// looked at twice.
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
}

/// Where a head lies in the received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the request line begins.
    pub start: usize,
    /// Behind the empty line that ends the head.
    pub end: usize,
}

impl Scanner {
    /// Goes on scanning; `received` is all that has arrived since the last
    /// request. `None` while the head is incomplete.
    pub fn scan(&mut self, received: &[u8], limits: &Limits) -> Result<Option<Extent>, Fault> {
        while let Some(found) = memchr::memchr(b'\n', &received[self.scanned..]) {
            let line_end = self.scanned + found;
            // What is too much before a line end is so whatever comes then: what is said of
            // a head must not depend on how its bytes were split on their way.
            self.check_begun(received, line_end, limits)?;
            if line_end == self.line_start || received[line_end - 1] != b'\r' {
                return Err(Fault::BareLf);
            }
            let is_empty = line_end - 1 == self.line_start;
            let next = line_end + 1;
            self.scanned = next;
            self.line_start = next;
            match (self.past_line, is_empty) {
                (true, true) => {
                    self.check_begun(received, next, limits)?;
                    return Ok(Some(Extent { start: self.start, end: next }));
                }
                (false, true) => {
                    self.start = next;
                    self.empty_lines += 1;
                    if self.empty_lines > limits.empty_lines {
                        return Err(Fault::EmptyLines);
                    }
                }
                (false, false) => self.past_line = true,
                (true, false) => {}
            }
        }
        self.scanned = received.len();
        self.check_begun(received, received.len(), limits)?;
        Ok(None)
    }

    /// Refuses what has begun as a head, up to `end`, as soon as it can be seen that it
    /// becomes none.
    fn check_begun(&self, received: &[u8], end: usize, limits: &Limits) -> Result<(), Fault> {
        let begun = &received[self.start..end];
        if !self.past_line {
            // A CR may be the first half of the line end, which is not part of the line.
            let line = begun.strip_suffix(b"\r").unwrap_or(begun);
            match line.first() {
                Some(&first) if first != b'\r' && !is_token_byte(first) => {
                    return Err(Fault::NotHttp);
                }
                _ if line.len() > limits.line_bytes => return Err(Fault::LongLine),
                _ => {}
            }
        }
        if begun.len() > limits.head_bytes {
            return Err(Fault::LargeHead);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Fault, Limits, Scanner};

    /// Scans the bytes as they would arrive one by one.
    fn scan(received: &[u8]) -> Result<Option<Extent>, Fault> {
        let limits = Limits { line_bytes: 20, head_bytes: 40, ..Limits::default() };
        let mut scanner = Scanner::default();
        for length in 0..received.len() {
            if let done @ (Ok(Some(_)) | Err(_)) = scanner.scan(&received[..length], &limits) {
                assert_eq!(Scanner::default().scan(received, &limits), done);
                return done;
            }
        }
        scanner.scan(received, &limits)
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
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(Fault::BareLf));
        assert_eq!(scan(b"\n"), Err(Fault::BareLf));
        assert_eq!(scan(b"\x16\x03\x01"), Err(Fault::NotHttp));
        assert_eq!(scan(b" /"), Err(Fault::NotHttp));
        assert_eq!(scan(b"GET /aaaaaaaaaaaaaaaaa"), Err(Fault::LongLine));
        assert_eq!(scan(b"\r\n\r\n\r\n\r\n\r\n"), Err(Fault::EmptyLines));
        let large = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        assert_eq!(scan(large), Err(Fault::LargeHead));
    }
}
