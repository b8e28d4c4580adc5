//! A decision, as far as cases compare it, and the one line in which it is printed.
//!
//! The host and the guest crate each have their own type of decisions, and one function that
//! lends it as a [`Decision`].

use std::fmt;

use crate::text::{Plain, Quoted};

/// Bytes of a path or a location that are printed: more than any path that can be opened
/// has (4,096).
const SHOWN_OF_PATHS: usize = 5_000;

/// Bytes of a body that are printed, unless a case states a longer one.
pub(crate) const SHOWN_OF_BODIES: usize = 100;

/// A decision of `wit/policy.wit`. The short forms `index` and `file` are a
/// [`Decision::Serve`] with one candidate and status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// `serve`, `index` and `file`: the first candidate that exists.
    Serve {
        /// What to try, in this order.
        candidates: Vec<Candidate<'a>>,
        /// The status of the response.
        status: u16,
        /// Fields of the response.
        fields: Vec<Field<'a>>,
    },
    /// `not-found`
    NotFound,
    /// `redirect`
    Redirect {
        /// The status of the response.
        status: u16,
        /// Its `Location`.
        location: &'a str,
        /// Further fields.
        fields: Vec<Field<'a>>,
    },
    /// `reply`: a response of the guest's own.
    Reply {
        /// Its status.
        status: u16,
        /// Its fields.
        fields: Vec<Field<'a>>,
        /// Its body.
        body: &'a [u8],
    },
}

/// What the host may try to serve.
#[derive(Clone, Copy, Debug)]
pub enum Candidate<'a> {
    /// The index page of the directory with this path. A `/` at the end of the path
    /// makes no difference.
    Index(&'a str),
    /// The file with this path.
    File(&'a str),
}

/// A field of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

impl Candidate<'_> {
    /// The path, without a `/` at the end of a directory's.
    fn path(&self) -> &str {
        match self {
            Candidate::Index(path) => path.strip_suffix('/').unwrap_or(path),
            Candidate::File(path) => path,
        }
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.path() == other.path()
    }
}

impl Eq for Candidate<'_> {}

impl Decision<'_> {
    /// The decision in words, with all of a reply's body.
    pub fn in_full(&self) -> impl fmt::Display {
        self.in_words(Some(usize::MAX))
    }

    /// The decision in words, with at most this many bytes of a reply's body, or without a
    /// body.
    pub(crate) fn in_words(&self, body_bytes: Option<usize>) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let fields = match self {
                Decision::Serve { candidates, status, fields } => {
                    match candidates.as_slice() {
                        [one] if *status == 200 && fields.is_empty() => write!(f, "{one}")?,
                        _ => {
                            f.write_str("serve ")?;
                            for (index, candidate) in candidates.iter().enumerate() {
                                let comma = if index == 0 { "" } else { ", " };
                                write!(f, "{comma}{candidate}")?;
                            }
                            write!(f, " with status {status}")?;
                        }
                    }
                    fields
                }
                Decision::NotFound => return f.write_str("not-found"),
                Decision::Redirect { status, location, fields } => {
                    let location = Quoted { bytes: location.as_bytes(), limit: SHOWN_OF_PATHS };
                    write!(f, "redirect {status} to {location}")?;
                    fields
                }
                Decision::Reply { status, fields, body } => {
                    write!(f, "reply {status}")?;
                    if let Some(limit) = body_bytes {
                        write!(f, " {}", Quoted { bytes: body, limit })?;
                    }
                    fields
                }
            };
            fields.iter().try_for_each(|field| write!(f, " {field}"))
        })
    }
}

/// On one line, escaped, in the contract's words: `file "a.css"`, `not-found`,
/// `reply 400 "no\n"`. Of a long body the beginning is shown.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_words(Some(SHOWN_OF_BODIES)).fmt(f)
    }
}

/// `index "docs"`, `file "a.css"`
impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Candidate::Index(_) => "index",
            Candidate::File(_) => "file",
        };
        write!(f, "{kind} {}", Quoted { bytes: self.path().as_bytes(), limit: SHOWN_OF_PATHS })
    }
}

/// `(name: value)`
impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}: {})", Plain(self.name.as_bytes()), Plain(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Decision, Field};

    #[test]
    fn every_decision_has_its_words() {
        let serve = |candidates: &[Candidate<'static>], status, fields: &[Field<'static>]| {
            Decision::Serve { candidates: candidates.to_vec(), status, fields: fields.to_vec() }
        };
        let reply = |body| Decision::Reply { status: 400, fields: Vec::new(), body };
        let (index, file) = (Candidate::Index("d/"), Candidate::File("f"));
        let vary = Field { name: "vary", value: b"host\xff" };
        for (decision, words) in [
            (serve(&[index], 200, &[]), r#"index "d""#),
            (serve(&[Candidate::Index("")], 200, &[]), r#"index """#),
            (serve(&[file], 200, &[]), r#"file "f""#),
            (serve(&[file], 404, &[]), r#"serve file "f" with status 404"#),
            (
                serve(&[file, index], 200, &[vary]),
                r#"serve file "f", index "d" with status 200 (vary: host\xff)"#,
            ),
            (Decision::NotFound, "not-found"),
            (
                Decision::Redirect { status: 308, location: "/a", fields: vec![vary] },
                r#"redirect 308 to "/a" (vary: host\xff)"#,
            ),
            (reply(b"no\n"), r#"reply 400 "no\n""#),
            (reply(&[b'a'; 102]), &format!("reply 400 \"{}\" and 2 bytes more", "a".repeat(100))),
        ] {
            assert_eq!(decision.to_string(), words);
        }
    }
}
