//! A request's body, measured and discarded: a server of files has no use for
//! one, and must know where it ends (RFC 9112, sections 6 and 7).

use super::chunk_line::ChunkLine;
use crate::http::fault::Fault;

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
pub enum BodyError {
    /// It is larger than allowed: 413.
    TooLarge,
    /// A chunk is malformed, and where the body ends is anyone's guess: 400.
    Chunk,
}

impl BodyError {
    /// The status of the response.
    pub fn status(self) -> u16 {
        match self {
            BodyError::TooLarge => Fault::LargeBody.status(),
            BodyError::Chunk => 400,
        }
    }

    /// What the client is told.
    pub fn why(self) -> &'static str {
        match self {
            BodyError::TooLarge => Fault::LargeBody.why(),
            BodyError::Chunk => "the chunked request body is malformed",
        }
    }
}

/// Lines of trailer fields.
const MAX_TRAILERS: usize = 32;

/// Reads a body to its end without keeping it.
#[derive(Debug)]
pub struct BodyDrain {
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
    Size(ChunkLine),
    /// This many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk, of which this many bytes have arrived.
    ChunkEnd(usize),
    /// A trailer field or the empty line that ends the body.
    Trailer(ChunkLine),
    /// Nothing: the body has ended.
    End,
}

impl BodyDrain {
    /// For a body with this framing, of at most this many bytes.
    pub fn new(framing: Framing, allowance: u64) -> Result<BodyDrain, BodyError> {
        let state = match framing {
            Framing::None => State::End,
            Framing::Length(length) if length > allowance => return Err(BodyError::TooLarge),
            Framing::Length(length) => State::Content(length),
            Framing::Chunked => State::Size(ChunkLine::size()),
        };
        Ok(BodyDrain { state, allowance, trailers: 0 })
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes bytes of the body, and gives how many of them belong to it.
    pub fn advance(&mut self, received: &[u8]) -> Result<usize, BodyError> {
        let mut taken = 0;
        while taken < received.len() && !self.is_done() {
            taken += self.step(&received[taken..])?;
        }
        Ok(taken)
    }

    /// Takes at least one byte.
    fn step(&mut self, received: &[u8]) -> Result<usize, BodyError> {
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
                    return Err(BodyError::Chunk);
                }
                *seen += 1;
                if *seen == 2 {
                    self.state = State::Size(ChunkLine::size());
                }
                Ok(1)
            }
            State::Size(line) => {
                if line.push(received[0]).ok_or(BodyError::Chunk)? {
                    let (size, extension) = line.chunk().ok_or(BodyError::Chunk)?;
                    // Extensions count as content: there could be more of them.
                    let bytes = size.saturating_add(extension as u64);
                    self.allowance =
                        self.allowance.checked_sub(bytes).ok_or(BodyError::TooLarge)?;
                    self.state = match size {
                        0 => State::Trailer(ChunkLine::trailer()),
                        size => State::Chunk(size),
                    };
                }
                Ok(1)
            }
            State::Trailer(line) => {
                if line.push(received[0]).ok_or(BodyError::Chunk)? {
                    self.trailers += 1;
                    self.state = match line.length() {
                        0 => State::End,
                        _ if self.trailers > MAX_TRAILERS => return Err(BodyError::Chunk),
                        _ => State::Trailer(ChunkLine::trailer()),
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
    use super::{BodyDrain, BodyError, Framing};

    /// Drains a chunked body, and gives what is left behind it. However the
    /// bytes are split, the outcome is the same.
    fn chunked(received: &[u8]) -> Result<&[u8], BodyError> {
        let whole = discard(received, received.len());
        for piece in 1..received.len().min(8) {
            assert_eq!(discard(received, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn discard(received: &[u8], piece: usize) -> Result<&[u8], BodyError> {
        let mut body = BodyDrain::new(Framing::Chunked, 100).expect("chunks are allowed");
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
            assert_eq!(chunked(received), Err(BodyError::Chunk), "{}", received.escape_ascii());
        }
        let extension = [&b"5;"[..], &[b'a'; 300], b"\r\nhello\r\n0\r\n\r\n"].concat();
        assert_eq!(chunked(&extension), Err(BodyError::Chunk));
        let trailers = [&b"0\r\n"[..], &b"A: b\r\n".repeat(40), b"\r\n"].concat();
        assert_eq!(chunked(&trailers), Err(BodyError::Chunk));
    }

    #[test]
    fn behind_a_size_only_an_extension_may_stand() {
        for received in [&b"5 6\r\nhello"[..], b"5 \r\nhello", b"5\t\r\nhello", b"5 x;a\r\nhello"] {
            let received = [received, b"\r\n0\r\n\r\n"].concat();
            assert_eq!(chunked(&received), Err(BodyError::Chunk), "{}", received.escape_ascii());
        }
    }

    #[test]
    fn an_extension_is_one_of_the_grammar() {
        for extension in [
            ";a",
            ";a=b",
            ";a=\"\"",
            "; a",
            "\t;\ta\t=\tb",
            ";a;b",
            ";a ;b",
            ";a=b ;c",
            ";a=\"b\" ;c",
            ";a= \"b\"",
            ";!#$%&'*+-.^_`|~=~",
            ";a=\"\u{e9}\t\\\u{e9}\\\t\"",
            ";0=0",
        ] {
            let received = format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Ok(&b""[..]), "{extension:?}");
        }
        for extension in [
            ";",
            "; ",
            ";;a",
            ";a;",
            ";a; ",
            ";a=",
            ";a= ",
            ";=b",
            ";a b",
            ";a ",
            ";a\t",
            ";a=b ",
            ";a=b c",
            ";a==b",
            ";a=b=c",
            ";a=\"b\"c",
            ";a=\"b\" ",
            ";a=\"b\" c",
            ";a=\"b\"\"c\"",
            ";\"a\"",
            ";bad[=x",
            ";a=[x",
            ";a=\u{e9}",
            ";\u{e9}",
            ";a,b",
            ";a=b,c",
            ";a/b",
            ";a:b",
            ";a=b\"c\"",
            ";a\"b\"",
            ";a=\\b",
            ";a=\"\u{7f}\"",
            ";a=\"\\\u{7f}\"",
            ";a=\"\u{b}\"",
        ] {
            let received = format!("5{extension}\r\nhello\r\n0\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Err(BodyError::Chunk), "{extension:?}");
        }
    }

    #[test]
    fn a_quoted_extension_ends_in_its_line() {
        for extension in [r#"a=""#, r#"a="b\""#, r#"a="b\"#, r#"a="b"";c"#] {
            let received = format!("5;{extension}\r\nhello\r\n0\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Err(BodyError::Chunk), "{extension}");
        }
        let received = b"5;a=\"b;c\\\" d\";e=\"\"\r\nhello\r\n0\r\n\r\n";
        assert_eq!(chunked(received), Ok(&b""[..]));
    }

    #[test]
    fn a_request_is_no_trailer() {
        for line in ["GET /smuggled HTTP/1.1", "garbage", ": v", " A: b", "A : b", "A\u{e9}: b"] {
            let received = format!("0\r\n{line}\r\n\r\n");
            assert_eq!(chunked(received.as_bytes()), Err(BodyError::Chunk), "{line:?}");
        }
        assert_eq!(chunked(b"0\r\nA:\r\nB: \xe9\tc\r\n\r\n"), Ok(&b""[..]));
    }

    #[test]
    fn extensions_count_as_content() {
        let chunk = b"1;aaaaaaaaaaaaaaaaaa\r\na\r\n";
        let body = |count| [&chunk.repeat(count)[..], b"0\r\n\r\n"].concat();
        assert_eq!(chunked(&body(4)), Ok(&b""[..]));
        assert_eq!(chunked(&body(5)), Err(BodyError::TooLarge));
    }

    #[test]
    fn bodies_have_a_bound() {
        assert_eq!(chunked(b"65\r\n"), Err(BodyError::TooLarge));
        assert_eq!(chunked(b"ffffffffffffffff\r\n"), Err(BodyError::TooLarge));
        let sum = [&b"40\r\n"[..], &[b'a'; 64], b"\r\n40\r\n"].concat();
        assert_eq!(chunked(&sum), Err(BodyError::TooLarge));
        assert!(matches!(BodyDrain::new(Framing::Length(101), 100), Err(BodyError::TooLarge)));
        assert!(matches!(BodyDrain::new(Framing::Length(u64::MAX), 100), Err(BodyError::TooLarge)));
    }

    #[test]
    fn a_length_is_counted() {
        let mut body = BodyDrain::new(Framing::Length(5), 100).expect("allowed");
        assert_eq!(body.advance(b"hel"), Ok(3));
        assert!(!body.is_done());
        assert_eq!(body.advance(b"loGET"), Ok(2));
        assert!(body.is_done());
        assert_eq!(body.advance(b"GET"), Ok(0));
    }
}
