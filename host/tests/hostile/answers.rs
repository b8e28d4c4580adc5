//! All that came over a connection, taken apart without any leniency.

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.as_str())
    }

    /// Whether it is the connection's last.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// What is the same in each answer to the same request: without the date, and
    /// without the boundary that is made anew each time.
    pub fn settled(mut self) -> Answer {
        self.fields.retain(|(name, _)| name != "Date");
        if let Some(at) = self.fields.iter().position(|(name, _)| name == "Content-Type")
            && let Some((_, boundary)) = self.fields[at].1.clone().split_once("boundary=")
        {
            let blank = "-".repeat(boundary.len());
            self.fields[at].1 = self.fields[at].1.replace(boundary, &blank);
            while let Some(at) = find(&self.content, boundary.as_bytes()) {
                self.content[at..at + boundary.len()].fill(b'-');
            }
        }
        self
    }
}

/// Takes what came apart. `is_to_head` tells of the nth answer whether it is to a HEAD.
///
/// The error tells what is wrong: something before, between or behind answers, an
/// interim answer, a head that is not as RFC 9112, section 4 has it, a length that is
/// not there, is there twice or where there must be none, content that ends early, or
/// an answer behind one that closes.
pub fn take_apart(
    mut came: &[u8],
    is_to_head: impl Fn(usize) -> bool,
) -> Result<Vec<Answer>, String> {
    let mut answers: Vec<Answer> = Vec::new();
    while !came.is_empty() {
        let nth = answers.len();
        let wrong = |what: &str| format!("answer {}: {what}", nth + 1);
        if answers.last().is_some_and(Answer::closes) {
            return Err(wrong("more came behind an answer that closes"));
        }
        let end = find(came, b"\r\n\r\n").ok_or_else(|| wrong("its head does not end"))?;
        let head = std::str::from_utf8(&came[..end]).map_err(|_| wrong("its head is not text"))?;
        came = &came[end + 4..];
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status(status_line).ok_or_else(|| wrong(status_line))?;
        if status < 200 {
            return Err(wrong("it is an interim one"));
        }
        let fields = lines.map(|line| field(line).ok_or_else(|| wrong(line)));
        let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
        let mut answer = Answer { status, fields, content: Vec::new() };
        let length = length(&answer).map_err(|what| wrong(&what))?;
        if !is_to_head(nth) {
            let taken = came.split_at_checked(length);
            let (content, rest) = taken.ok_or_else(|| wrong("its content ends early"))?;
            answer.content = content.to_vec();
            came = rest;
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// The status of a line such as `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<u16> {
    let (status, reason) = line.strip_prefix("HTTP/1.1 ")?.split_once(' ')?;
    let is_reason = !reason.is_empty() && reason.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    (is_reason && is_status).then(|| status.parse().ok())?
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_value = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_name && is_value).then(|| (name.to_owned(), value.to_owned()))
}

/// How long the content is. Fields that each answer has are checked too.
fn length(answer: &Answer) -> Result<usize, String> {
    for (nth, (name, _)) in answer.fields.iter().enumerate() {
        let is_it = |other: &(String, String)| other.0.eq_ignore_ascii_case(name);
        if answer.fields[..nth].iter().any(is_it) {
            return Err(format!("{name} is there twice"));
        }
    }
    if answer.field("server") != Some("innkeeper") || answer.field("date").is_none() {
        return Err("it has no Server or no Date".to_owned());
    }
    if answer.field("transfer-encoding").is_some() {
        return Err("it has a transfer coding".to_owned());
    }
    match (answer.field("content-length"), answer.status) {
        (None, 204 | 304) => Ok(0),
        (None, _) => Err("it has no length".to_owned()),
        (Some(_), 204 | 304) => Err("it has a length".to_owned()),
        (Some(length), _) => length.parse().map_err(|_| format!("its length is {length}")),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[test]
fn what_is_not_framed_as_it_must_be_is_noticed() {
    let head = "HTTP/1.1 200 OK\r\nServer: innkeeper\r\nDate: today\r\n";
    let whole = format!("{head}Content-Length: 1\r\n\r\na");
    let closing = format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n");
    let statuses = |came: &str, to_head: bool| {
        take_apart(came.as_bytes(), |_| to_head).map(|answers| answers.len())
    };
    assert_eq!(statuses("", false), Ok(0));
    assert_eq!(statuses(&whole.repeat(2), false), Ok(2));
    assert_eq!(statuses(&format!("{whole}{closing}"), false), Ok(2));
    for (came, to_head) in [
        (format!("{whole}b"), false),
        (format!("\r\n{whole}"), false),
        (whole.clone(), true),
        (format!("{closing}{whole}"), false),
        (format!("{closing}\r\n"), false),
        (format!("{head}Content-Length: 2\r\n\r\na"), false),
        (format!("{head}Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), false),
        (format!("{head}Content-Length: 1\r\n"), false),
        (format!("{head}\r\na"), false),
        (format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"), false),
        (format!("{head}A:b\r\nContent-Length: 0\r\n\r\n"), false),
        (format!("{head}A: b\rc\r\nContent-Length: 0\r\n\r\n"), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), false),
        (whole.replace("200", "204"), false),
        (whole.replace("200", "100"), false),
        (whole.replace("/1.1", "/1.0"), false),
        (whole.replace("200 OK", "2000 OK"), false),
    ] {
        assert!(statuses(&came, to_head).is_err(), "{came:?}");
    }
}
