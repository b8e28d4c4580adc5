//! A stream of answers, taken apart as a strict client would (RFC 9112, section 6.3).

use super::request::is_token;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in order of arrival.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The values of this field.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|field| field.0 == name);
        named.map(|field| field.1.as_str()).collect()
    }

    /// Whether it is the last one.
    pub fn is_last(&self) -> bool {
        self.values("connection") == ["close"]
    }
}

/// What a request asks for, as far as it decides where its answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A head alone.
    Head,
    /// A head and a body.
    Body,
    /// One or the other: the answer is the last.
    Last,
}

/// All answers of a connection, given what their requests asked for. The error tells what is
/// wrong with the stream.
pub fn answers(mut bytes: &[u8], asks: impl Fn(usize) -> Asks) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.ok_or("a head without an end")?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
        bytes = &bytes[end + 4..];
        let mut answer = head_of(head)?;
        let length = match answer.values("content-length").as_slice() {
            [] if matches!(answer.status, 204 | 304) => 0,
            [length] if !matches!(answer.status, 204 | 304) => {
                length.parse().map_err(|_| format!("Content-Length: {length}"))?
            }
            lengths => return Err(format!("{} with Content-Length {lengths:?}", answer.status)),
        };
        let has_body = match asks(answers.len()) {
            Asks::Head => false,
            Asks::Body => true,
            Asks::Last => !bytes.is_empty(),
        };
        if has_body {
            answer.body = bytes.get(..length).ok_or("a body that ends early")?.to_vec();
            bytes = &bytes[length..];
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn head_of(head: &str) -> Result<Answer, String> {
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split_once(' '));
    let status = status.map(|(status, _)| status).filter(|status| status.len() == 3);
    let status: u16 = status.and_then(|status| status.parse().ok()).ok_or("a bad status line")?;
    if !(200..600).contains(&status) {
        return Err(format!("the status is {status}"));
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or_else(|| format!("a field: {line:?}"))?;
        if !is_token(name.as_bytes()) || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!("a field: {line:?}"));
        }
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let answer = Answer { status, fields, body: Vec::new() };
    match answer.values("date").len() {
        1 => Ok(answer),
        count => Err(format!("{count} dates")),
    }
}
