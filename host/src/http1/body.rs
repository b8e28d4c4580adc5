//! A request's body, measured and discarded: a server of files has no use for
//! one, and must know where it ends (RFC 9112, sections 6 and 7).

use super::head::is_token_byte;

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes, at least one.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Why a body is refused. The connection is closed after either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is larger than allowed: 413.
    TooLarge,
    /// A chunk is malformed, and where the body ends is anyone's guess: 400.
    Chunk,
}

/// Bytes of one line of a chunked body: a size with its extensions, or a trailer
/// field. Nobody is known to use extensions.
const MAX_CHUNK_LINE: usize = 256;

/// Lines of trailer fields.
const MAX_TRAILERS: usize = 32;

/// Hexadecimal digits of a chunk's size: what fits into 64 bits.
const MAX_SIZE_DIGITS: usize = 16;

/// Reads a body to its end without keeping it.
#[derive(Debug)]
pub struct Discard {
    state: State,
    /// Bytes of content that may still come.
    allowance: u64,
    trailers: usize,
}

/// What comes next in the body.
#[derive(Debug)]
enum State {
    /// This many bytes of content, then the end.
    Content(u64),
    /// The line with a chunk's size, of which this much has arrived.
    Size(Line),
    /// This many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk, of which this many bytes have arrived.
    ChunkEnd(usize),
    /// A trailer field or the empty line that ends the body.
    Trailer(Line),
    /// Nothing: the body has ended.
    End,
}

/// A line of a chunked body, as far as it has arrived.
#[derive(Debug)]
struct Line {
    /// Bytes before the line end.
    length: usize,
    /// What they are.
    part: Part,
    /// Whether its last byte is a CR.
    ends_in_cr: bool,
}

/// The part of a line that its last byte belongs to.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// So many digits of a chunk's size, and what they come to.
    Digits(usize, u64),
    /// Blanks behind that size. Some clients fill it up with them.
    Blanks(u64),
    /// An extension behind that size.
    Extension(u64),
    /// The name of a trailer field.
    Name,
    /// Its value.
    Value,
}

impl Part {
    /// The part that the next byte belongs to (RFC 9112, sections 5 and 7.1). `None` if
    /// it can belong to none.
    fn next(self, byte: u8, is_first: bool) -> Option<Part> {
        match (self, byte) {
            (Part::Digits(digits, size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                (digits < MAX_SIZE_DIGITS)
                    .then_some(Part::Digits(digits + 1, size << 4 | u64::from(digit)))
            }
            (Part::Digits(1.., size) | Part::Blanks(size), b' ' | b'\t') => {
                Some(Part::Blanks(size))
            }
            (Part::Digits(1.., size) | Part::Blanks(size), b';') => Some(Part::Extension(size)),
            (Part::Name, b':') => (!is_first).then_some(Part::Value),
            (Part::Name, _) => is_token_byte(byte).then_some(Part::Name),
            (Part::Extension(_) | Part::Value, _) => Some(self),
            _ => None,
        }
    }
}

impl Line {
    /// The line with a chunk's size.
    fn of_size() -> Line {
        Line { length: 0, part: Part::Digits(0, 0), ends_in_cr: false }
    }

    /// The line of a trailer field.
    fn of_trailer() -> Line {
        Line { length: 0, part: Part::Name, ends_in_cr: false }
    }

    /// Takes the next byte. True when the line is complete.
    fn push(&mut self, byte: u8) -> Result<bool, Fault> {
        match byte {
            b'\n' if self.ends_in_cr => return Ok(true),
            // A bare CR or LF, or a control character.
            _ if self.ends_in_cr => return Err(Fault::Chunk),
            b'\r' => {
                self.ends_in_cr = true;
                return Ok(false);
            }
            b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return Err(Fault::Chunk),
        }
        self.part = self.part.next(byte, self.length == 0).ok_or(Fault::Chunk)?;
        self.length += 1;
        if self.length > MAX_CHUNK_LINE {
            return Err(Fault::Chunk);
        }
        Ok(false)
    }

    /// The size that the line gives.
    fn size(&self) -> Result<u64, Fault> {
        match self.part {
            Part::Digits(1.., size) | Part::Blanks(size) | Part::Extension(size) => Ok(size),
            _ => Err(Fault::Chunk),
        }
    }
}

impl Discard {
    /// For a body with this framing, of at most so many bytes.
    pub fn new(framing: Framing, allowance: u64) -> Result<Discard, Fault> {
        let state = match framing {
            Framing::None => State::End,
            Framing::Length(length) if length > allowance => return Err(Fault::TooLarge),
            Framing::Length(length) => State::Content(length),
            Framing::Chunked => State::Size(Line::of_size()),
        };
        Ok(Discard { state, allowance, trailers: 0 })
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes bytes of the body, and gives how many of them belong to it.
    pub fn advance(&mut self, received: &[u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        while taken < received.len() && !self.is_done() {
            taken += self.step(&received[taken..])?;
        }
        Ok(taken)
    }

    /// Takes at least one byte.
    fn step(&mut self, received: &[u8]) -> Result<usize, Fault> {
        match &mut self.state {
            State::Content(left) => {
                let taken = skip(left, received);
                if *left == 0 {
                    self.state = State::End;
                }
                Ok(taken)
            }
            State::Chunk(left) => {
                let taken = skip(left, received);
                if *left == 0 {
                    self.state = State::ChunkEnd(0);
                }
                Ok(taken)
            }
            State::ChunkEnd(seen) => {
                if received[0] != b"\r\n"[*seen] {
                    return Err(Fault::Chunk);
                }
                *seen += 1;
                if *seen == 2 {
                    self.state = State::Size(Line::of_size());
                }
                Ok(1)
            }
            State::Size(line) => {
                if line.push(received[0])? {
                    let size = line.size()?;
                    self.allowance = self.allowance.checked_sub(size).ok_or(Fault::TooLarge)?;
                    self.state = match size {
                        0 => State::Trailer(Line::of_trailer()),
                        size => State::Chunk(size),
                    };
                }
                Ok(1)
            }
            State::Trailer(line) => {
                if line.push(received[0])? {
                    self.trailers += 1;
                    self.state = match line.part {
                        Part::Value if self.trailers <= MAX_TRAILERS => {
                            State::Trailer(Line::of_trailer())
                        }
                        Part::Name if line.length == 0 => State::End,
                        _ => return Err(Fault::Chunk),
                    };
                }
                Ok(1)
            }
            State::End => Ok(0),
        }
    }
}

/// Counts received bytes against those left, and gives how many that are.
fn skip(left: &mut u64, received: &[u8]) -> usize {
    let available = received.len() as u64;
    let taken = available.min(*left);
    *left -= taken;
    usize::try_from(taken).unwrap_or(received.len())
}

#[cfg(test)]
mod tests {
    use super::{Discard, Fault, Framing};

    /// Discards a chunked body, and gives what is left behind it. However the
    /// bytes are split, the outcome is the same.
    fn chunked(received: &[u8]) -> Result<&[u8], Fault> {
        let whole = discard(received, received.len());
        for piece in 1..received.len().min(8) {
            assert_eq!(discard(received, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn discard(received: &[u8], piece: usize) -> Result<&[u8], Fault> {
        let mut body = Discard::new(Framing::Chunked, 100).expect("chunks are allowed");
        let mut taken = 0;
        for piece in received.chunks(piece.max(1)) {
            taken += body.advance(piece)?;
        }
        assert!(body.is_done(), "more is expected");
        Ok(&received[taken..])
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        assert_eq!(chunked(b"0\r\n\r\nGET"), Ok(&b"GET"[..]));
        assert_eq!(chunked(b"5\r\nhello\r\n0\r\n\r\n"), Ok(&b""[..]));
        assert_eq!(chunked(b"5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\nGET"), Ok(&b"GET"[..]));
        assert_eq!(chunked(b"A \t;a\r\n0123456789\r\n0\r\n\r\n"), Ok(&b""[..]));
        assert_eq!(chunked(b"5\r\n\r\n\r\n0\r\n0\r\n\r\n"), Ok(&b""[..]));
    }

    #[test]
    fn broken_chunks_are_refused() {
        for received in [
            &b"0x5\r\nhello\r\n0\r\n\r\n"[..],
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b";a\r\nhello\r\n0\r\n\r\n",
            b"5\rhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloXX\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5x\r\nhello\r\n0\r\n\r\n",
            b"00000000000000005\r\nhello\r\n0\r\n\r\n",
            b"0\r\nX: a\x01b\r\n\r\n",
        ] {
            assert_eq!(chunked(received), Err(Fault::Chunk), "{}", received.escape_ascii());
        }
        let extension = [&b"5;"[..], &[b'a'; 300], b"\r\nhello\r\n0\r\n\r\n"].concat();
        assert_eq!(chunked(&extension), Err(Fault::Chunk));
        let trailers = [&b"0\r\n"[..], &b"A: b\r\n".repeat(40), b"\r\n"].concat();
        assert_eq!(chunked(&trailers), Err(Fault::Chunk));
    }

    #[test]
    fn what_follows_a_size_is_an_extension() {
        assert_eq!(chunked(b"5 \r\nhello\r\n0\t\r\n\r\n"), Ok(&b""[..]));
        for size in ["5 x", "5 5", "5\t\"", "5 =;"] {
            let received = format!("{size}\r\nhello\r\n0\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Err(Fault::Chunk), "{size:?}");
        }
    }

    #[test]
    fn a_trailer_is_made_of_fields() {
        for line in ["GET / HTTP/1.1", "garbage", ": a", " X: a", "X : a", "X\u{e9}: a"] {
            let received = format!("0\r\n{line}\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Err(Fault::Chunk), "{line:?}");
        }
        assert_eq!(chunked(b"0\r\nX:\r\ny: \xe9\t\r\n\r\n"), Ok(&b""[..]));
    }

    #[test]
    fn bodies_have_a_bound() {
        assert_eq!(chunked(b"65\r\n"), Err(Fault::TooLarge));
        assert_eq!(chunked(b"ffffffffffffffff\r\n"), Err(Fault::TooLarge));
        let sum = [&b"40\r\n"[..], &[b'a'; 64], b"\r\n40\r\n"].concat();
        assert_eq!(chunked(&sum), Err(Fault::TooLarge));
        assert!(matches!(Discard::new(Framing::Length(101), 100), Err(Fault::TooLarge)));
        assert!(matches!(Discard::new(Framing::Length(u64::MAX), 100), Err(Fault::TooLarge)));
    }

    #[test]
    fn a_length_is_counted() {
        let mut body = Discard::new(Framing::Length(5), 100).expect("allowed");
        assert_eq!(body.advance(b"hel"), Ok(3));
        assert!(!body.is_done());
        assert_eq!(body.advance(b"loGET"), Ok(2));
        assert!(body.is_done());
        assert_eq!(body.advance(b"GET"), Ok(0));
    }
}
