//! Where a request's head ends, in bytes that arrive piece by piece.

use super::fault::Fault;
use super::head::is_token_byte;
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
            // In the order in which the bytes of the line would show it, so that the
            // outcome is the same however they arrive.
            if !self.past_line {
                self.check_line(received, line_end, limits)?;
            }
            self.check_size(line_end + 1, limits)?;
            if line_end == self.line_start || received[line_end - 1] != b'\r' {
                return Err(Fault::BareLf);
            }
            let is_empty = line_end - 1 == self.line_start;
            let next = line_end + 1;
            self.scanned = next;
            self.line_start = next;
            match (self.past_line, is_empty) {
                (true, true) => return Ok(Some(Extent { start: self.start, end: next })),
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
        if !self.past_line {
            self.check_line(received, received.len(), limits)?;
        }
        self.check_size(received.len(), limits)?;
        Ok(None)
    }

    /// Refuses a request line as soon as it can be seen that it is none.
    fn check_line(&self, received: &[u8], end: usize, limits: &Limits) -> Result<(), Fault> {
        let begun = &received[self.start..end];
        // A CR at its end may be the half of the line end that has arrived.
        let line = begun.strip_suffix(b"\r").unwrap_or(begun);
        match line.first() {
            Some(&first) if first != b'\r' && !is_token_byte(first) => Err(Fault::NotHttp),
            _ if line.len() > limits.line_bytes => Err(Fault::LongLine),
            _ => Ok(()),
        }
    }

    /// Refuses a head of which more than allowed has arrived, up to `end`.
    fn check_size(&self, end: usize, limits: &Limits) -> Result<(), Fault> {
        if end - self.start > limits.head_bytes {
            return Err(Fault::LargeHead);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Fault, Limits, Scanner};

    /// Scans the bytes as they would arrive one by one, and all at once.
    fn scan(received: &[u8]) -> Result<Option<Extent>, Fault> {
        let limits = Limits { line_bytes: 20, head_bytes: 40, ..Limits::default() };
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
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(Fault::BareLf));
        assert_eq!(scan(b"\n"), Err(Fault::BareLf));
        assert_eq!(scan(b"\x16\x03\x01"), Err(Fault::NotHttp));
        assert_eq!(scan(b" /"), Err(Fault::NotHttp));
        assert_eq!(scan(b"GET /aaaaaaaaaaaaaaaaa"), Err(Fault::LongLine));
        assert_eq!(scan(b"\r\n\r\n\r\n\r\n\r\n"), Err(Fault::EmptyLines));
        let large = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        assert_eq!(scan(large), Err(Fault::LargeHead));
    }
    #[test]
    fn the_longest_line_may_end_in_the_next_packet() {
        // Its CR used to count when its LF had not arrived.
        let line = b"GET /aaaaaa HTTP/1.1";
        let head = [&line[..], b"\r\n\r\n"].concat();
        assert_eq!(scan(&head), Ok(Some(Extent { start: 0, end: 24 })));
        assert_eq!(scan(b"GET /aaaaaaa HTTP/1.1\r\n\r\n"), Err(Fault::LongLine));
        assert_eq!(scan(b"GET /aaaaaa HTTP/1.1\r\r\n"), Err(Fault::LongLine));
    }

    #[test]
    fn what_is_wrong_first_is_what_is_told() {
        assert_eq!(scan(b"\x16\x03\n"), Err(Fault::NotHttp));
        assert_eq!(scan(b"GET /aaaaaaaaaaaaaaaaa\n"), Err(Fault::LongLine));
        let large = b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(scan(large), Err(Fault::LargeHead));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbb\r\n\r\n"),
            Ok(Some(Extent { start: 0, end: 40 }))
        );
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbb\r\n\r\n"), Err(Fault::LargeHead));
    }
}
