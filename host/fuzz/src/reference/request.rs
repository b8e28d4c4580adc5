//! What a connection's bytes say: requests, one after the other (RFC 9112), read as
//! strictly as innkeeper promises to.

use innkeeper::http1::Limits;

use super::body::{self, Framing};
use super::host::is_host;

/// What a server makes of the bytes at some place of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A request, and what became of its body.
    Request(Box<Request>, Body),
    /// Something that is answered with this status; then the connection is closed.
    Refused(u16),
    /// Not all of a head.
    Unfinished,
}

/// A request whose head is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub line: Vec<u8>,
    pub method: String,
    pub target: String,
    pub minor_version: u8,
    /// Names as they came, values without the blanks around them.
    pub fields: Vec<(String, Vec<u8>)>,
    pub framing: Framing,
    pub after: After,
    pub expects_continue: bool,
}

/// What the client wants of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    KeepAlive,
    KeepAliveSaid,
    Close,
}

/// What became of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It came, or there is none.
    Whole,
    /// It is answered with this status; then the connection is closed.
    Refused(u16),
    /// It did not come to its end.
    Unfinished,
}

/// All turns of a connection, up to the first that ends it whatever the client wants.
pub fn turns(mut bytes: &[u8], limits: &Limits) -> Vec<Turn> {
    let mut turns = Vec::new();
    loop {
        let (start, end) = match head_extent(bytes, limits) {
            Ok(Some(extent)) => extent,
            Ok(None) => {
                turns.push(Turn::Unfinished);
                return turns;
            }
            Err(status) => {
                turns.push(Turn::Refused(status));
                return turns;
            }
        };
        let request = match parse(&bytes[start..end], limits) {
            Ok(request) => request,
            Err(status) => {
                turns.push(Turn::Refused(status));
                return turns;
            }
        };
        bytes = &bytes[end..];
        let (body, length) = match body::length(request.framing, bytes, limits.request.body_bytes) {
            Ok(Some(length)) => (Body::Whole, length),
            Ok(None) => (Body::Unfinished, 0),
            Err(status) => (Body::Refused(status), 0),
        };
        turns.push(Turn::Request(Box::new(request), body));
        if body != Body::Whole {
            return turns;
        }
        bytes = &bytes[length..];
    }
}

/// Where the head begins, behind empty lines, and where it ends, behind its own. Each
/// byte is judged as if it were the last that has come, and each line when it is whole:
/// what is wrong first counts.
fn head_extent(bytes: &[u8], limits: &Limits) -> Result<Option<(usize, usize)>, u16> {
    let (mut start, mut line_start) = (0, 0);
    let mut empty_lines = 0;
    let mut has_request_line = false;
    let mut fields = 0;
    for at in 0..bytes.len() {
        if bytes[at] == b'\n' {
            if at + 1 - start > limits.request.head_bytes {
                return Err(431);
            }
            if at == line_start || bytes[at - 1] != b'\r' {
                return Err(400);
            }
            let is_empty = at - 1 == line_start;
            let line = &bytes[line_start..at - 1];
            line_start = at + 1;
            if is_empty && has_request_line {
                return Ok(Some((start, at + 1)));
            }
            if is_empty {
                empty_lines += 1;
                if empty_lines > limits.empty_lines {
                    return Err(400);
                }
                start = at + 1;
            } else if has_request_line {
                parse_field(line).ok_or(400_u16)?;
                fields += 1;
                if fields > limits.request.fields {
                    return Err(431);
                }
            } else {
                parse_line(line)?;
                has_request_line = true;
            }
        } else if !has_request_line {
            if at == start && bytes[at] != b'\r' && !is_token(&bytes[at..=at]) {
                return Err(400);
            }
            let line = &bytes[start..=at];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > limits.request.line_bytes {
                return Err(414);
            }
        }
        if at + 1 - start > limits.request.head_bytes {
            return Err(431);
        }
        if bytes[at] != b'\n' && at > line_start && bytes[at - 1] == b'\r' {
            return Err(400);
        }
    }
    Ok(None)
}

/// Takes a head apart. All of its lines end in CRLF.
fn parse(head: &[u8], limits: &Limits) -> Result<Request, u16> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        lines.push(&rest[..end - 1]);
        rest = &rest[end + 1..];
    }
    let (line, field_lines) = lines.split_first().expect("a head has a request line");
    let (method, target, minor_version) = parse_line(line)?;
    let mut fields = Vec::new();
    for line in field_lines.iter().take_while(|line| !line.is_empty()) {
        fields.push(parse_field(line).ok_or(400_u16)?);
        if fields.len() > limits.request.fields {
            return Err(431);
        }
    }
    let values = |name: &str| {
        let named = fields.iter().filter(|(field, _)| field.to_ascii_lowercase() == name);
        named.map(|(_, value): &(String, Vec<u8>)| value.clone()).collect::<Vec<_>>()
    };
    match values("host").as_slice() {
        [] if minor_version == 0 => {}
        [host] if is_host(host) => {}
        _ => return Err(400),
    }
    let framing =
        body::framing(minor_version, &values("transfer-encoding"), &values("content-length"))?;
    let options = members(&values("connection"));
    // A client that takes a tunnel for granted sends what is no request behind it.
    let after = if method == "CONNECT" || options.iter().any(|option| option == b"close") {
        After::Close
    } else if minor_version > 0 {
        After::KeepAlive
    } else if options.iter().any(|option| option == b"keep-alive") {
        After::KeepAliveSaid
    } else {
        After::Close
    };
    let expectations = members(&values("expect"));
    if expectations.iter().any(|expectation| expectation != b"100-continue") {
        return Err(417);
    }
    let expects_continue = !expectations.is_empty() && minor_version > 0;
    let line = line.to_vec();
    Ok(Request { line, method, target, minor_version, fields, framing, after, expects_continue })
}

/// RFC 9112, section 3.
fn parse_line(line: &[u8]) -> Result<(String, String, u8), u16> {
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = parts.as_slice() else { return Err(400) };
    if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(400);
    }
    let &[b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = *version else { return Err(400) };
    if !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return Err(400);
    }
    if major != b'1' {
        return Err(505);
    }
    // RFC 9110, section 7.4: nothing is secured here.
    if target.to_ascii_lowercase().starts_with(b"https://") {
        return Err(421);
    }
    if target.to_ascii_lowercase().starts_with(b"http://") {
        let authority = target[7..].split(|byte| b"/?".contains(byte)).next();
        if !is_host(authority.unwrap_or_default()) {
            return Err(400);
        }
    }
    Ok((text(method), text(target), minor - b'0'))
}

/// RFC 9112, section 5: `field-name ":" OWS field-value OWS`.
fn parse_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_content = |&byte: &u8| byte == b'\t' || byte == b' ' || byte > b' ' && byte != 0x7f;
    (is_token(name) && value.iter().all(is_content)).then(|| (text(name), trim(value).to_vec()))
}

/// RFC 9110, section 5.6.2.
pub fn is_token(bytes: &[u8]) -> bool {
    let is_mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

/// The members of a list, over all of its lines and in lower case (RFC 9110,
/// section 5.6.1).
pub fn members(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let joined = values.join(&b',');
    let members =
        joined.split(|&byte| byte == b',').map(|member| trim(member).to_ascii_lowercase());
    members.filter(|member| !member.is_empty()).collect()
}

/// Without the blanks around it (RFC 9110, section 5.6.3).
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
