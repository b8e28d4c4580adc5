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

/// A decision of `wit/policy.wit`. The short forms `index`, `file` and `not-found` are a
/// [`Decision::Serve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// `serve`, `index`, `file` and `not-found`: the first thing that is possible.
    Serve {
        /// What to try, in this order.
        candidates: Vec<Candidate<'a>>,
        /// Where to send the client if no candidate can be chosen.
        otherwise: Option<Redirect<'a>>,
        /// Fields of every response.
        fields: Vec<Field<'a>>,
    },
    /// `redirect`
    Redirect(Redirect<'a>),
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

/// What must be there.
#[derive(Clone, Copy, Debug)]
pub enum Page<'a> {
    /// The index page of the directory with this path. A `/` at the end of the path
    /// makes no difference.
    Index(&'a str),
    /// The file with this path.
    File(&'a str),
}

/// What the host may do, if a page is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The page.
    pub page: Page<'a>,
    /// The status of the response.
    pub status: u16,
    /// Where to send the client, if it is a redirect.
    pub location: Option<&'a str>,
    /// Fields of the response, besides those of the decision.
    pub fields: Vec<Field<'a>>,
}

/// Elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The status of the response.
    pub status: u16,
    /// Its `Location`.
    pub location: &'a str,
    /// Further fields.
    pub fields: Vec<Field<'a>>,
}

/// A field of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

impl Page<'_> {
    /// The path, without a `/` at the end of a directory's.
    fn path(&self) -> &str {
        match self {
            Page::Index(path) => path.strip_suffix('/').unwrap_or(path),
            Page::File(path) => path,
        }
    }
}

impl PartialEq for Page<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.path() == other.path()
    }
}

impl Eq for Page<'_> {}

impl<'a> From<Page<'a>> for Candidate<'a> {
    /// The page, with status 200.
    fn from(page: Page<'a>) -> Candidate<'a> {
        Candidate { page, status: 200, location: None, fields: Vec::new() }
    }
}

impl<'a> Decision<'a> {
    /// There is nothing here.
    pub const NOT_FOUND: Decision<'a> =
        Decision::Serve { candidates: Vec::new(), otherwise: None, fields: Vec::new() };

    /// The short form for this page.
    pub fn page(page: Page<'a>) -> Decision<'a> {
        let candidates = vec![page.into()];
        Decision::Serve { candidates, otherwise: None, fields: Vec::new() }
    }
}

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
                Decision::Serve { candidates, otherwise, fields } => {
                    return write_serve(candidates, otherwise.as_ref(), fields, f);
                }
                Decision::Redirect(redirect) => return fmt::Display::fmt(redirect, f),
                Decision::Reply { status, fields, body } => {
                    write!(f, "reply {status}")?;
                    if let Some(limit) = body_bytes {
                        write!(f, " {}", Quoted { bytes: body, limit })?;
                    }
                    fields
                }
            };
            write_fields(fields, f)
        })
    }
}

/// What may be served, what happens otherwise, and what is in every response.
fn write_serve(
    candidates: &[Candidate<'_>],
    otherwise: Option<&Redirect<'_>>,
    fields: &[Field<'_>],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match (candidates, otherwise, fields) {
        ([], None, []) => return f.write_str("not-found"),
        ([one], None, []) if *one == Candidate::from(one.page) => return write!(f, "{one}"),
        ([], ..) => f.write_str("serve nothing")?,
        _ => f.write_str("serve ")?,
    }
    for (index, candidate) in candidates.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{candidate}")?;
    }
    if let Some(otherwise) = otherwise {
        write!(f, ", otherwise {otherwise}")?;
    }
    if !fields.is_empty() {
        f.write_str(", always")?;
    }
    write_fields(fields, f)
}

fn write_fields(fields: &[Field<'_>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, " {field}"))
}

/// On one line, escaped, in the contract's words: `file "a.css"`, `not-found`,
/// `reply 400 "no\n"`. Of a long body the beginning is shown.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_words(Some(SHOWN_OF_BODIES)).fmt(f)
    }
}

/// `index "docs"`, `file "a.css"`
impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Page::Index(_) => "index",
            Page::File(_) => "file",
        };
        write!(f, "{kind} {}", path(self.path()))
    }
}

/// `file "404.html" with status 404 (cache-control: no-cache)`,
/// `file "a.html" moved 301 to "/a"`
impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.page)?;
        match (self.location, self.status) {
            (Some(location), status) => write!(f, " moved {status} to {}", path(location))?,
            (None, 200) => {}
            (None, status) => write!(f, " with status {status}")?,
        }
        write_fields(&self.fields, f)
    }
}

/// `redirect 302 to "/a" (cache-control: no-cache)`
impl fmt::Display for Redirect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redirect {} to {}", self.status, path(self.location))?;
        write_fields(&self.fields, f)
    }
}

fn path(path: &str) -> Quoted<'_> {
    Quoted { bytes: path.as_bytes(), limit: SHOWN_OF_PATHS }
}

/// `(name: value)`
impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}: {})", Plain(self.name.as_bytes()), Plain(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Decision, Field, Page, Redirect};

    #[test]
    fn every_decision_has_its_words() {
        let vary = Field { name: "vary", value: b"host\xff" };
        let (index, file) = (Candidate::from(Page::Index("d/")), Candidate::from(Page::File("f")));
        let serve = |candidates: &[&Candidate<'static>], fields: &[Field<'static>]| {
            let candidates = candidates.iter().map(|&candidate| candidate.clone()).collect();
            Decision::Serve { candidates, otherwise: None, fields: fields.to_vec() }
        };
        let error = Candidate { status: 404, ..file.clone() };
        let moved = Candidate { status: 301, location: Some("/f"), ..file.clone() };
        let with =
            |candidate: &Candidate<'static>| Candidate { fields: vec![vary], ..candidate.clone() };
        let elsewhere = Redirect { status: 308, location: "/a", fields: vec![vary] };
        let otherwise = |candidates: &[&Candidate<'static>], fields| match serve(candidates, fields)
        {
            Decision::Serve { candidates, fields, .. } => {
                Decision::Serve { candidates, otherwise: Some(elsewhere.clone()), fields }
            }
            other => other,
        };
        let reply = |body| Decision::Reply { status: 400, fields: Vec::new(), body };
        for (decision, words) in [
            (Decision::page(Page::Index("d/")), r#"index "d""#),
            (Decision::page(Page::Index("")), r#"index """#),
            (Decision::page(Page::File("f")), r#"file "f""#),
            (serve(&[&error], &[]), r#"serve file "f" with status 404"#),
            (serve(&[&moved], &[]), r#"serve file "f" moved 301 to "/f""#),
            (serve(&[&with(&file)], &[]), r#"serve file "f" (vary: host\xff)"#),
            (serve(&[&file], &[vary]), r#"serve file "f", always (vary: host\xff)"#),
            (
                serve(&[&with(&error), &with(&moved), &index], &[vary, vary]),
                r#"serve file "f" with status 404 (vary: host\xff), file "f" moved 301 to "/f" (vary: host\xff), index "d", always (vary: host\xff) (vary: host\xff)"#,
            ),
            (
                otherwise(&[&file], &[vary]),
                r#"serve file "f", otherwise redirect 308 to "/a" (vary: host\xff), always (vary: host\xff)"#,
            ),
            (
                otherwise(&[], &[]),
                r#"serve nothing, otherwise redirect 308 to "/a" (vary: host\xff)"#,
            ),
            (serve(&[], &[vary]), r#"serve nothing, always (vary: host\xff)"#),
            (Decision::NOT_FOUND, "not-found"),
            (Decision::Redirect(elsewhere.clone()), r#"redirect 308 to "/a" (vary: host\xff)"#),
            (reply(b"no\n"), r#"reply 400 "no\n""#),
            (reply(&[b'a'; 102]), &format!("reply 400 \"{}\" and 2 bytes more", "a".repeat(100))),
        ] {
            assert_eq!(decision.to_string(), words);
        }
    }
}
