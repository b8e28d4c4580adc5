//! Where a request's body ends (RFC 9112, sections 6 and 7).

use super::request::{is_token, members};

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Bytes of a line in a chunked body, before its line end.
const LINE_BYTES: usize = 256;

/// Fields of a trailer.
const TRAILER_FIELDS: usize = 32;

/// Digits of a chunk's size.
const SIZE_DIGITS: usize = 16;

/// RFC 9112, section 6.3, without what it lets a lenient server accept.
pub fn framing(
    minor_version: u8,
    transfer_encoding: &[Vec<u8>],
    content_length: &[Vec<u8>],
) -> Result<Framing, u16> {
    if !transfer_encoding.is_empty() {
        if minor_version == 0 || !content_length.is_empty() {
            return Err(400);
        }
        let [coding] = transfer_encoding else { return Err(400) };
        let codings = members(transfer_encoding);
        let chunked = codings.iter().filter(|coding| *coding == b"chunked").count();
        return match (coding.to_ascii_lowercase().as_slice(), chunked) {
            (_, 2..) => Err(400),
            (b"chunked", _) => Ok(Framing::Chunked),
            // A coding that innkeeper has not, or a list.
            _ => Err(501),
        };
    }
    match content_length {
        [] => Ok(Framing::None),
        [length] if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let mut value = 0_u64;
            for digit in length {
                value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            }
            Ok(if value == 0 { Framing::None } else { Framing::Length(value) })
        }
        _ => Err(400),
    }
}

/// How many of the bytes belong to the body. `None` if it goes on.
pub fn length(framing: Framing, bytes: &[u8], allowance: u64) -> Result<Option<usize>, u16> {
    match framing {
        Framing::None => Ok(Some(0)),
        Framing::Length(length) if length > allowance => Err(413),
        Framing::Length(length) => {
            let length = usize::try_from(length).expect("the allowance is small");
            Ok((length <= bytes.len()).then_some(length))
        }
        Framing::Chunked => chunked_length(bytes, allowance),
    }
}

fn chunked_length(bytes: &[u8], allowance: u64) -> Result<Option<usize>, u16> {
    let mut at = 0;
    let mut content = 0_u64;
    loop {
        let Some((line, next)) = line(bytes, at, begins_size, is_size)? else { return Ok(None) };
        at = next;
        let size = size(line)?;
        // Extensions count as content.
        let extended = if line.contains(&b';') { line.len() } else { 0 };
        let extended = u64::try_from(extended).expect("64 bits are enough");
        content = content.saturating_add(size).saturating_add(extended);
        if content > allowance {
            return Err(413);
        }
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).expect("the allowance is small");
        let end = &bytes[bytes.len().min(at + size)..bytes.len().min(at + size + 2)];
        if !b"\r\n".starts_with(end) {
            return Err(400);
        }
        if end.len() < 2 {
            return Ok(None);
        }
        at += size + 2;
    }
    for fields in 0.. {
        let Some((line, next)) = line(bytes, at, begins_field, is_field)? else { return Ok(None) };
        at = next;
        if line.is_empty() {
            return Ok(Some(at));
        }
        if fields == TRAILER_FIELDS {
            return Err(400);
        }
    }
    unreachable!("there is an end to the lines")
}

/// The line that begins there, and where the next one does. `None` if it goes on. It is
/// wrong as soon as it does not begin, or does not end, as it should.
fn line(
    bytes: &[u8],
    start: usize,
    begins: fn(&[u8]) -> bool,
    is_whole: fn(&[u8]) -> bool,
) -> Result<Option<(&[u8], usize)>, u16> {
    for at in start..bytes.len() {
        let line = &bytes[start..at];
        match (bytes[at], line.last()) {
            (b'\n', Some(b'\r')) => return Ok(Some((&line[..line.len() - 1], at + 1))),
            (_, Some(b'\r')) => return Err(400),
            (b'\r', _) if is_whole(line) => {}
            (b'\t' | b' '..=b'~' | 0x80.., _)
                if line.len() < LINE_BYTES && begins(&bytes[start..=at]) => {}
            _ => return Err(400),
        }
    }
    Ok(None)
}

/// RFC 9112, section 7.1: `chunk-size [ chunk-ext ]`.
fn size(line: &[u8]) -> Result<u64, u16> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(&digits.copied().map(char::from).collect::<String>(), 16).map_err(|_| 400)
}

/// Whether something that may stand there begins like this: `chunk-size [ chunk-ext ]`.
fn begins_size(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    (1..=SIZE_DIGITS).contains(&digits) && extensions(&line[digits..]).is_ok()
}

/// Whether it is whole.
fn is_size(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    (1..=SIZE_DIGITS).contains(&digits) && extensions(&line[digits..]) == Ok(Extent::Whole)
}

/// What came of reading something of the grammar that does not begin wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// It may end there.
    Whole,
    /// More must follow.
    Begun,
}

/// RFC 9112, section 7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
fn extensions(mut rest: &[u8]) -> Result<Extent, ()> {
    loop {
        if rest.is_empty() {
            return Ok(Extent::Whole);
        }
        rest = behind_blanks(rest);
        match rest {
            [] => return Ok(Extent::Begun),
            [b';', behind @ ..] => rest = behind_blanks(behind),
            _ => return Err(()),
        }
        if rest.is_empty() {
            return Ok(Extent::Begun);
        }
        rest = behind_token(rest).ok_or(())?;
        let [b'=', behind @ ..] = behind_blanks(rest) else { continue };
        rest = match behind_blanks(behind) {
            [] => return Ok(Extent::Begun),
            [b'"', quoted @ ..] => match behind_quotes(quoted) {
                Some(behind) => behind,
                None => return Ok(Extent::Begun),
            },
            value => behind_token(value).ok_or(())?,
        };
    }
}

fn behind_blanks(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| b" \t".contains(byte)).count()..]
}

/// `None` if there is no token.
fn behind_token(bytes: &[u8]) -> Option<&[u8]> {
    let length = (0..bytes.len()).take_while(|&at| is_token(&bytes[at..=at])).count();
    (length > 0).then(|| &bytes[length..])
}

/// `None` if the quotes do not end. Which bytes may stand in them, `line` has seen to.
fn behind_quotes(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [] | [b'\\'] => None,
        [b'"', rest @ ..] => Some(rest),
        [b'\\', _, rest @ ..] | [_, rest @ ..] => behind_quotes(rest),
    }
}

fn is_field(line: &[u8]) -> bool {
    line.is_empty() || line.contains(&b':')
}

/// RFC 9112, section 5.
fn begins_field(line: &[u8]) -> bool {
    let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
    is_token(&line[..colon])
}
