//! What may be decided about a request: the cases of `wit/policy.wit`, with the
//! short forms written out.
//!
//! A value of these types keeps the contract's rules (`rules` has checked them):
//! what carries it out need not check them again.

pub mod ambient;
mod candidate;
pub mod client_buckets;
pub mod interests;
mod native;
pub mod request;
pub mod rules;
pub(in crate::guest) mod unchecked;

use std::borrow::Cow;
use std::fmt;

use candidate::lend;
pub use candidate::{Candidate, Otherwise, Page};

use crate::guest::digest::Digest;
use crate::http::{Field, Fields};
use crate::in_flight::SharedBytes;

/// How to respond to a request. The short forms of the contract have become a
/// [`Decision::Serve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Do the first of several things that is possible.
    Serve {
        /// What to try, in this order. Without any there is nothing here.
        candidates: Vec<Candidate>,
        /// Where to send the client if no candidate can be chosen.
        otherwise: Option<Box<Otherwise>>,
        /// Fields of every response that the host makes of the decision.
        fields: Fields,
    },
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

/// The kinds of decision, as `wit/policy.wit` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The index page of one directory.
    Index,
    /// One file.
    File,
    /// Several candidates, another status, a redirect or further fields.
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
            Decision::Serve { candidates, otherwise, fields } => {
                parts.push(vec![0].into());
                for candidate in candidates {
                    let is_index = matches!(candidate.page, Page::Index(_));
                    parts.push(vec![1 + u8::from(is_index)].into());
                    parts.push(candidate.path().as_bytes().into());
                    parts.push(candidate.status.to_le_bytes().to_vec().into());
                    push_location(&mut parts, candidate.location());
                    push_fields(&mut parts, candidate.own_fields());
                }
                if let Some(otherwise) = otherwise {
                    parts.push(vec![3].into());
                    parts.push(otherwise.status.to_le_bytes().to_vec().into());
                    push_location(&mut parts, Some(&otherwise.location));
                    push_fields(&mut parts, &otherwise.own);
                }
                fields
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
        push_fields(&mut parts, fields);
        Digest::of_parts(parts.iter().map(|part| &**part))
    }

    /// There is nothing here: a [`Decision::Serve`] without anything.
    pub const fn not_found() -> Decision {
        Decision::Serve { candidates: Vec::new(), otherwise: None, fields: Fields::new() }
    }

    /// The decision as cases compare and print it.
    pub fn lend(&self) -> innkeeper_cases::Decision<'_> {
        match self {
            Decision::Serve { candidates, otherwise, fields } => innkeeper_cases::Decision::Serve {
                candidates: candidates.iter().map(Candidate::lend).collect(),
                otherwise: otherwise.as_deref().map(Otherwise::lend),
                fields: lend(fields),
            },
            Decision::Redirect { status, location, fields } => {
                innkeeper_cases::Decision::Redirect(innkeeper_cases::Redirect {
                    status: *status,
                    location,
                    fields: lend(fields),
                })
            }
            Decision::Reply { status, fields, body } => {
                innkeeper_cases::Decision::Reply { status: *status, fields: lend(fields), body }
            }
        }
    }

    /// Its kind: the short form, where there is one for it.
    pub fn kind(&self) -> Kind {
        match self {
            Decision::Serve { candidates, otherwise: None, fields } if fields.is_empty() => {
                match candidates.as_slice() {
                    [] => Kind::NotFound,
                    [one] if one.is_short() => match one.page {
                        Page::Index(_) => Kind::Index,
                        Page::File(_) => Kind::File,
                    },
                    _ => Kind::Serve,
                }
            }
            Decision::Serve { .. } => Kind::Serve,
            Decision::Redirect { .. } => Kind::Redirect,
            Decision::Reply { .. } => Kind::Reply,
        }
    }
}

/// A part that is there or not.
fn push_location<'a>(parts: &mut Vec<Cow<'a, [u8]>>, location: Option<&'a str>) {
    parts.push(vec![u8::from(location.is_some())].into());
    parts.extend(location.map(|location| location.as_bytes().into()));
}

/// As many parts as there are, and what ends them.
fn push_fields<'a>(parts: &mut Vec<Cow<'a, [u8]>>, fields: &'a [Field]) {
    for field in fields {
        parts.push(vec![6].into());
        parts.push(field.name.as_bytes().into());
        parts.push((&*field.value).into());
    }
    parts.push(vec![7].into());
}

/// In the words of cases: `file "a.css"`, `not-found`, `reply 400 "no\n"`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lend().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Decision, Field, Fields, Kind, Otherwise};

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.to_owned().into(), value: value.as_bytes().to_vec().into() }
    }

    fn serve(
        candidates: &[&Candidate],
        otherwise: Option<Otherwise>,
        fields: &[Field],
    ) -> Decision {
        Decision::Serve {
            candidates: candidates.iter().map(|&candidate| candidate.clone()).collect(),
            otherwise: otherwise.map(Box::new),
            fields: fields.to_vec().into(),
        }
    }

    #[test]
    fn decisions_that_differ_have_different_digests() {
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
        let (none, a) = (Fields::new(), Fields::from(vec![field("a", "b")]));
        let otherwise = |status, location: &str, own: &Fields| {
            Some(Otherwise::new(status, location.to_owned(), own.clone(), &none))
        };
        let (index, file) = (Candidate::index("a"), Candidate::file("a"));
        let error = Candidate::new(file.page.clone(), 404, None, none.clone(), &none);
        let with = |own: &Fields| Candidate::new(file.page.clone(), 200, None, own.clone(), &none);
        let moved = |location: &str| {
            let location = Some(location.to_owned());
            Candidate::new(file.page.clone(), 301, location, none.clone(), &none)
        };
        let long = |last: u8| [vec![b'x'; 200], vec![last]].concat();
        let all = [
            serve(&[&index], None, &[]),
            serve(&[&file], None, &[]),
            serve(&[&error], None, &[]),
            serve(&[&with(&a)], None, &[]),
            serve(&[&file, &with(&a)], None, &[]),
            serve(&[&with(&a), &file], None, &[]),
            serve(&[&file, &file], None, &a),
            serve(&[&moved("/a")], None, &[]),
            serve(&[&moved("/b")], None, &[]),
            serve(&[&file], otherwise(301, "/a", &none), &[]),
            serve(&[&file], otherwise(302, "/a", &none), &[]),
            serve(&[&file], otherwise(301, "/b", &none), &[]),
            serve(&[&file], otherwise(301, "/a", &a), &[]),
            serve(&[&file], otherwise(301, "/a", &none), &a),
            serve(&[], otherwise(301, "/a", &none), &[]),
            serve(&[&index, &file], None, &[]),
            serve(&[&file], None, &[field("a", "b"), field("c", "d")]),
            // What people are shown of these is the same.
            serve(&[&file], None, &[field("a", "b) (c: d")]),
            Decision::not_found(),
            serve(&[], None, &a),
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

    #[test]
    fn kind_is_the_short_form_where_there_is_one() {
        let (none, a) = (Fields::new(), Fields::from(vec![field("a", "b")]));
        let (index, file) = (Candidate::index("a"), Candidate::file("a"));
        let error = Candidate::new(file.page.clone(), 404, None, none.clone(), &none);
        let with = Candidate::new(file.page.clone(), 200, None, a.clone(), &none);
        let otherwise = Otherwise::new(302, "/".to_owned(), none.clone(), &none);
        for (decision, kind) in [
            (serve(&[&index], None, &[]), Kind::Index),
            (serve(&[&file], None, &[]), Kind::File),
            (Decision::not_found(), Kind::NotFound),
            (serve(&[&file, &file], None, &[]), Kind::Serve),
            (serve(&[&error], None, &[]), Kind::Serve),
            (serve(&[&with], None, &[]), Kind::Serve),
            (serve(&[&file], None, &a), Kind::Serve),
            (serve(&[], None, &a), Kind::Serve),
            (serve(&[], Some(otherwise), &[]), Kind::Serve),
        ] {
            assert_eq!(decision.kind(), kind, "{decision}");
        }
    }
}
