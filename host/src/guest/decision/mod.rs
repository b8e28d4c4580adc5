//! What may be decided about a request: the cases of `wit/policy.wit`, with the
//! short forms written out.
//!
//! A value of these types keeps the contract's rules (`rules` has checked them):
//! what carries it out need not check them again.

pub mod interests;
pub mod request;
pub mod rules;
pub(in crate::guest) mod unchecked;

use std::borrow::Cow;
use std::fmt;

use crate::guest::digest::Digest;
use crate::http::{Field, Fields};
use crate::in_flight::SharedBytes;

/// How to respond to a request. The short forms of the contract have become a
/// [`Decision::Serve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve the first candidate that exists.
    Serve {
        /// What to try, in this order. Never empty.
        candidates: Vec<Candidate>,
        /// 200, or a status from 400.
        status: u16,
        /// Fields for the response.
        fields: Fields,
    },
    /// There is nothing here.
    NotFound,
    /// Send the client elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// An `http` or `https` URL or a relative reference, in visible ASCII.
        location: String,
        /// Further fields for the response.
        fields: Fields,
    },
    /// Respond with this.
    Reply {
        /// 200 to 599, without those that only the host can use.
        status: u16,
        /// Fields for the response.
        fields: Fields,
        /// The body.
        body: SharedBytes,
    },
}

/// One thing that the host may try to serve. Its path is relative, stays below
/// the root and has no empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// The index page of this directory: `""` is the root, and no path ends in `/`.
    Index(String),
    /// This file.
    File(String),
}

impl Candidate {
    /// The path, of a file or of a directory.
    pub fn path(&self) -> &str {
        match self {
            Candidate::Index(path) | Candidate::File(path) => path,
        }
    }

    fn lend(&self) -> innkeeper_cases::Candidate<'_> {
        match self {
            Candidate::Index(path) => innkeeper_cases::Candidate::Index(path),
            Candidate::File(path) => innkeeper_cases::Candidate::File(path),
        }
    }
}

/// The kinds of decision, as `wit/policy.wit` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The index page of one directory.
    Index,
    /// One file.
    File,
    /// Several candidates, another status or further fields.
    Serve,
    /// Nothing.
    NotFound,
    /// Elsewhere.
    Redirect,
    /// The guest's own response.
    Reply,
}

impl Kind {
    /// All of them, in the order of the contract.
    pub const ALL: [Kind; 6] =
        [Kind::Index, Kind::File, Kind::Serve, Kind::NotFound, Kind::Redirect, Kind::Reply];

    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Index => "index",
            Kind::File => "file",
            Kind::Serve => "serve",
            Kind::NotFound => "not-found",
            Kind::Redirect => "redirect",
            Kind::Reply => "reply",
        }
    }
}

impl Decision {
    /// The digest of the decision: of two that differ it differs.
    pub fn digest(&self) -> Digest {
        let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
        // Each kind of part has a number, and each part its length.
        let fields: &[Field] = match self {
            Decision::Serve { candidates, status, fields } => {
                parts.push(vec![0].into());
                parts.push(status.to_le_bytes().to_vec().into());
                for candidate in candidates {
                    let is_index = matches!(candidate, Candidate::Index(_));
                    parts.push(vec![1 + u8::from(is_index)].into());
                    parts.push(candidate.path().as_bytes().into());
                }
                fields
            }
            Decision::NotFound => {
                parts.push(vec![3].into());
                &[]
            }
            Decision::Redirect { status, location, fields } => {
                parts.push(vec![4].into());
                parts.push(status.to_le_bytes().to_vec().into());
                parts.push(location.as_bytes().into());
                fields
            }
            Decision::Reply { status, fields, body } => {
                parts.push(vec![5].into());
                parts.push(status.to_le_bytes().to_vec().into());
                parts.push((&**body).into());
                fields
            }
        };
        parts.push(vec![6].into());
        for field in fields {
            parts.push(field.name.as_bytes().into());
            parts.push((&*field.value).into());
        }
        Digest::of_parts(parts.iter().map(|part| &**part))
    }

    /// The decision as cases compare and print it.
    pub fn lend(&self) -> innkeeper_cases::Decision<'_> {
        match self {
            Decision::Serve { candidates, status, fields } => innkeeper_cases::Decision::Serve {
                candidates: candidates.iter().map(Candidate::lend).collect(),
                status: *status,
                fields: lend(fields),
            },
            Decision::NotFound => innkeeper_cases::Decision::NotFound,
            Decision::Redirect { status, location, fields } => {
                innkeeper_cases::Decision::Redirect {
                    status: *status,
                    location,
                    fields: lend(fields),
                }
            }
            Decision::Reply { status, fields, body } => {
                innkeeper_cases::Decision::Reply { status: *status, fields: lend(fields), body }
            }
        }
    }

    /// Its kind: the short form, where there is one for it.
    pub fn kind(&self) -> Kind {
        match self {
            Decision::Serve { candidates, status: 200, fields } if fields.is_empty() => {
                match candidates.as_slice() {
                    [Candidate::Index(_)] => Kind::Index,
                    [Candidate::File(_)] => Kind::File,
                    _ => Kind::Serve,
                }
            }
            Decision::Serve { .. } => Kind::Serve,
            Decision::NotFound => Kind::NotFound,
            Decision::Redirect { .. } => Kind::Redirect,
            Decision::Reply { .. } => Kind::Reply,
        }
    }
}

fn lend(fields: &[Field]) -> Vec<innkeeper_cases::Field<'_>> {
    fields
        .iter()
        .map(|field| innkeeper_cases::Field { name: &field.name, value: &field.value })
        .collect()
}

/// In the words of cases: `file "a.css"`, `not-found`, `reply 400 "no\n"`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lend().fmt(f)
    }
}

/// `index "docs"`, `file "a.css"`
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lend().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Decision, Field, Fields};

    #[test]
    fn decisions_that_differ_have_different_digests() {
        let field = |name: &str, value: &str| Field {
            name: name.to_owned().into(),
            value: value.as_bytes().to_vec().into(),
        };
        let serve = |candidates: &[&Candidate], status, fields: &[Field]| Decision::Serve {
            candidates: candidates.iter().map(|&candidate| candidate.clone()).collect(),
            status,
            fields: fields.to_vec().into(),
        };
        let reply = |body: Vec<u8>, fields: &[Field]| Decision::Reply {
            status: 200,
            fields: fields.to_vec().into(),
            body: body.into(),
        };
        let redirect = |status, location: &str| Decision::Redirect {
            status,
            location: location.to_owned(),
            fields: Fields::new(),
        };
        let (index, file) = (Candidate::Index("a".into()), Candidate::File("a".into()));
        let long = |last: u8| [vec![b'x'; 200], vec![last]].concat();
        let all = [
            serve(&[&index], 200, &[]),
            serve(&[&file], 200, &[]),
            serve(&[&file], 404, &[]),
            serve(&[&index, &file], 200, &[]),
            serve(&[&file], 200, &[field("a", "b"), field("c", "d")]),
            // What people are shown of these is the same.
            serve(&[&file], 200, &[field("a", "b) (c: d")]),
            Decision::NotFound,
            redirect(301, "/"),
            redirect(308, "/"),
            redirect(301, "/a"),
            reply(Vec::new(), &[]),
            reply(Vec::new(), &[field("a", "b")]),
            reply(long(b'y'), &[]),
            reply(long(b'z'), &[]),
        ];
        for (number, one) in all.iter().enumerate() {
            assert_eq!(one.digest(), one.clone().digest());
            for other in &all[..number] {
                assert_ne!(one.digest(), other.digest(), "{one} and {other}");
            }
        }
    }
}
