//! One case of the corpus, and the text that it is read from.
//!
//! ```text
//! # frame-cl-te                      its name, alone in its line
//! # What is hostile about it.        more about it, if the name does not tell
//! for \x01 \x02                      the case is there once with each of these for `{}`
//! > POST / HTTP/1.1                  a line to send; CRLF is added
//! >> 0\r\n\r\n\x00                   bytes to send, with Rust's escapes
//! >* 300 a\r\n                       bytes to send so many times
//! = 400 closed                       the statuses of the answers, and what becomes of
//!                                    the connection: `open`, `closed`, or `either`
//!                                    where it matters how the bytes arrive
//! = HEAD:200 open                    an answer that has no content, as it is to HEAD
//! = 405 200? closed                  answers that come or not, by how the bytes arrive
//! = closed                           no answer
//! body range.txt                     what the first answer's content is: this file
//! field Location: /docs/             a field that the first answer has
//! no field Content-Range             and one that it has not
//! allowed 400 405 close              what a strict server may answer first, where
//!                                    there is a choice; `close` without an answer
//! lacks body                         its body did not come, and what follows may be it
//! bytes 20000                        bytes of all answers at most
//! guest not-found                    what the default guest decides on the line alone
//! unasked 400                        the same, and the host refuses the line itself
//! see RFC 9112 6.1                   where it stands
//! peers nginx 400 closed, …          what others answer; `waits` is for more to come
//! only HTTP/1: line ends, …          why it has no meaning in HTTP/2; with `for` some of these
//!                                    hold for some of the cases
//! HTTP/2: 200, reset by NAME, …      what comes there for the first request, if it is another
//! ```
//!
//! Cases are parted by empty lines.

use crate::corpus;
use crate::wire::unescape;

pub struct Case {
    /// The file and line where it begins, and its name.
    pub name: String,
    pub raw: Vec<u8>,
    pub expected: Expected,
    pub content: Option<String>,
    pub fields: Vec<(String, String)>,
    pub absent: Vec<String>,
    pub allowed: Option<Vec<String>>,
    pub lacks_body: bool,
    pub bytes: usize,
    pub guest: Option<Guest>,
    /// Why it has no meaning in HTTP/2.
    pub own: Vec<String>,
    /// What comes in HTTP/2 for the first request: one of these.
    pub http2: Vec<String>,
}

/// The answers that must come, and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub answers: Vec<Answer>,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub to_head: bool,
    /// By how the bytes arrive.
    pub may_be_missing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Open,
    Closed,
    /// By when the bytes arrive.
    Either,
}

/// What the guest decides alone.
pub struct Guest {
    pub decision: String,
    /// Whether the host asks it about this line.
    pub is_asked: bool,
}

/// More than any answer here has.
const MOST_BYTES: usize = 16 << 10;

impl corpus::Case for Case {
    type Reading = Option<Expected>;

    fn new(name: String) -> Case {
        Case {
            name,
            raw: Vec::new(),
            expected: Expected { answers: Vec::new(), then: Then::Closed },
            content: None,
            fields: Vec::new(),
            absent: Vec::new(),
            allowed: None,
            lacks_body: false,
            bytes: MOST_BYTES,
            guest: None,
            own: Vec::new(),
            http2: Vec::new(),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn take(&mut self, line: &str, expected: &mut Option<Expected>) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" | "for" | "see" | "peers" => {}
            ">" => {
                self.raw.extend_from_slice(rest.as_bytes());
                self.raw.extend_from_slice(b"\r\n");
            }
            ">>" => self.raw.extend_from_slice(&unescape(rest)),
            ">*" => {
                let (times, text) = rest.split_once(' ').ok_or("how often what?")?;
                let times = times.parse().map_err(|_| "that is no number")?;
                self.raw.extend_from_slice(&unescape(text).repeat(times));
            }
            "=" if expected.is_none() => *expected = Some(Expected::read(rest)?),
            "body" => self.content = Some(rest.to_owned()),
            "field" => {
                let (name, value) = rest.split_once(": ").ok_or("that is no field")?;
                self.fields.push((name.to_owned(), value.to_owned()));
            }
            "no" => {
                let name = rest.strip_prefix("field ").ok_or("no what?")?;
                self.absent.push(name.to_owned());
            }
            "allowed" => self.allowed = Some(rest.split(' ').map(str::to_owned).collect()),
            "lacks" if rest == "body" => self.lacks_body = true,
            "bytes" => self.bytes = rest.parse().map_err(|_| "that is no number")?,
            "guest" | "unasked" => {
                self.guest = Some(Guest { decision: rest.to_owned(), is_asked: word == "guest" });
            }
            "only" if self.own.is_empty() => {
                let why = rest.strip_prefix("HTTP/1: ").ok_or("only what?")?;
                self.own = why.split(", ").map(str::to_owned).collect();
            }
            "HTTP/2:" if self.http2.is_empty() => {
                self.http2 = rest.split(", ").map(str::to_owned).collect();
            }
            _ => return Err("this begins with no word that is known, or is there twice"),
        }
        Ok(())
    }

    fn finish(&mut self, expected: Option<Expected>) -> Result<(), &'static str> {
        self.expected = expected.ok_or("no answer")?;
        Ok(())
    }
}

impl Case {
    /// The request line, as the guest gets it: behind empty lines, without its end.
    pub fn line(&self) -> &[u8] {
        let mut rest = &self.raw[..];
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            rest = behind;
        }
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap_or(rest.len());
        &rest[..end]
    }
}

impl Expected {
    fn read(text: &str) -> Result<Expected, &'static str> {
        let mut words: Vec<_> = text.split(' ').collect();
        let then = match words.pop() {
            Some("open") => Then::Open,
            Some("closed") => Then::Closed,
            Some("either") => Then::Either,
            _ => return Err("what becomes of the connection?"),
        };
        let answer = |word: &str| -> Result<Answer, &'static str> {
            let (status, to_head) = match word.strip_prefix("HEAD:") {
                Some(status) => (status, true),
                None => (word, false),
            };
            let (status, may_be_missing) = match status.strip_suffix('?') {
                Some(status) => (status, true),
                None => (status, false),
            };
            let status = status.parse().map_err(|_| "that is no status")?;
            Ok(Answer { status, to_head, may_be_missing })
        };
        let answers: Vec<_> = words.into_iter().map(answer).collect::<Result<_, _>>()?;
        match answers.is_sorted_by_key(|answer| answer.may_be_missing) {
            true => Ok(Expected { answers, then }),
            false => Err("behind what may be missing there is something that may not"),
        }
    }

    /// Whether answers with these statuses are those.
    pub fn are(&self, statuses: &[u16]) -> bool {
        let certain = self.answers.iter().filter(|answer| !answer.may_be_missing).count();
        let expected = self.answers.iter().map(|answer| answer.status);
        (certain..=self.answers.len()).contains(&statuses.len())
            && expected.zip(statuses).all(|(expected, status)| expected == *status)
    }
}
