//! What a case says must be decided, and whether a decision is that.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::guest::decision::{Candidate, Decision, Field};
use crate::text::escaped;

/// What must be decided. The names are those of `wit/policy.wit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Expected {
    Index(String),
    File(String),
    Serve(ExpectedServe),
    NotFound,
    Redirect(ExpectedRedirect),
    Reply(ExpectedReply),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedServe {
    candidates: Vec<ExpectedCandidate>,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExpectedCandidate {
    Index(String),
    File(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedRedirect {
    status: u16,
    location: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedReply {
    #[serde(default = "ok")]
    status: u16,
    body: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

impl Expected {
    /// What keeps every decision from being that. The error is a sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Expected::Serve(serve) if serve.candidates.is_empty() => {
                Err("`candidates` is empty; name those that the guest decides on".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether the decision is that, as far as it is stated.
    pub(super) fn holds(&self, decision: &Decision) -> bool {
        match (self, decision) {
            (Expected::Index(path), Decision::Serve { candidates, status: 200, .. }) => {
                matches!(candidates.as_slice(), [one] if is_index(path, one))
            }
            (Expected::File(path), Decision::Serve { candidates, status: 200, .. }) => {
                matches!(candidates.as_slice(), [Candidate::File(one)] if one == path)
            }
            (Expected::Serve(serve), Decision::Serve { candidates, status, fields }) => {
                let same = |(expected, one): (&ExpectedCandidate, &Candidate)| match expected {
                    ExpectedCandidate::Index(path) => is_index(path, one),
                    ExpectedCandidate::File(path) => *one == Candidate::File(path.clone()),
                };
                serve.status == *status
                    && serve.candidates.len() == candidates.len()
                    && serve.candidates.iter().zip(candidates).all(same)
                    && are_there(&serve.fields, fields)
            }
            (Expected::NotFound, Decision::NotFound) => true,
            (Expected::Redirect(redirect), Decision::Redirect { status, location, fields }) => {
                redirect.status == *status
                    && redirect.location == *location
                    && are_there(&redirect.fields, fields)
            }
            (Expected::Reply(reply), Decision::Reply { status, fields, body }) => {
                reply.status == *status
                    && reply.body.as_ref().is_none_or(|expected| expected.as_bytes() == &**body)
                    && are_there(&reply.fields, fields)
            }
            _ => false,
        }
    }
}

/// Whether the candidate is the index page of this directory, with or without a
/// `/` at its end.
fn is_index(path: &str, candidate: &Candidate) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    matches!(candidate, Candidate::Index(one) if one == path)
}

/// Whether each expected field is among those of a decision.
fn are_there(expected: &BTreeMap<String, String>, fields: &[Field]) -> bool {
    expected.iter().all(|(name, value)| {
        let is_it = |field: &Field| {
            field.name.eq_ignore_ascii_case(name) && field.value == value.as_bytes()
        };
        fields.iter().any(is_it)
    })
}

/// In the words in which a decision is shown.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidate = |expected: &ExpectedCandidate| match expected {
            ExpectedCandidate::Index(path) => format!("index {path:?}"),
            ExpectedCandidate::File(path) => format!("file {path:?}"),
        };
        let fields = match self {
            Expected::Index(path) => return write!(f, "index {path:?}"),
            Expected::File(path) => return write!(f, "file {path:?}"),
            Expected::NotFound => return write!(f, "not-found"),
            Expected::Serve(serve) => {
                let candidates: Vec<_> = serve.candidates.iter().map(candidate).collect();
                write!(f, "serve {} with status {}", candidates.join(", "), serve.status)?;
                &serve.fields
            }
            Expected::Redirect(redirect) => {
                write!(f, "redirect {} to {:?}", redirect.status, redirect.location)?;
                &redirect.fields
            }
            Expected::Reply(reply) => {
                write!(f, "reply {}", reply.status)?;
                if let Some(body) = &reply.body {
                    write!(f, " {body:?}")?;
                }
                &reply.fields
            }
        };
        fields
            .iter()
            .try_for_each(|(name, value)| write!(f, " ({}: {})", escaped(name), escaped(value)))
    }
}

#[cfg(test)]
mod tests {
    use crate::guest::cases::table::parse;
    use crate::guest::decision::{Candidate, Decision, Field};

    /// Whether the case expects this decision.
    fn holds(expected: &str, decision: &Decision) -> bool {
        let text = format!("case = [{{ line = 'GET / HTTP/1.1', decision = {expected} }}]");
        let cases = parse(&text).unwrap_or_else(|error| panic!("{expected}: {error}"));
        cases[0].expected.holds(decision)
    }

    fn serve(candidates: &[Candidate], status: u16) -> Decision {
        let fields = vec![Field { name: "X-A".to_owned(), value: b"1".to_vec() }];
        Decision::Serve { candidates: candidates.to_vec(), status, fields: fields.into() }
    }

    #[test]
    fn what_is_stated_is_compared() {
        let (index, file) = (Candidate::Index("d".to_owned()), Candidate::File("f".to_owned()));
        let page = serve(std::slice::from_ref(&index), 200);
        for (expected, same) in [
            ("{ index = 'd' }", true),
            ("{ index = 'd/' }", true),
            ("{ index = 'e' }", false),
            ("{ file = 'd' }", false),
            ("'not-found'", false),
            ("{ serve = { candidates = [{ index = 'd' }] } }", true),
            ("{ serve = { candidates = [{ index = 'd' }], status = 404 } }", false),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '1' } } }", true),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '2' } } }", false),
            ("{ serve = { candidates = [{ index = 'd' }], fields = { x-b = '1' } } }", false),
            ("{ serve = { candidates = [{ index = 'd' }, { file = 'f' }] } }", false),
        ] {
            assert_eq!(holds(expected, &page), same, "{expected}");
        }
        let both = serve(&[file, index], 404);
        assert!(holds(
            "{ serve = { candidates = [{file='f'},{index='d'}], status = 404 } }",
            &both
        ));
        assert!(!holds(
            "{ serve = { candidates = [{index='d'},{file='f'}], status = 404 } }",
            &both
        ));
        assert!(!holds("{ file = 'f' }", &both));
        let reply =
            Decision::Reply { status: 400, fields: Vec::new(), body: b"no\n".as_slice().into() };
        assert!(holds("{ reply = { status = 400 } }", &reply));
        assert!(holds("{ reply = { status = 400, body = \"no\\n\" } }", &reply));
        assert!(!holds("{ reply = { status = 400, body = '' } }", &reply));
        assert!(!holds("{ reply = {} }", &reply));
        let away =
            Decision::Redirect { status: 308, location: "/a".to_owned(), fields: Vec::new() };
        assert!(holds("{ redirect = { status = 308, location = '/a' } }", &away));
        assert!(!holds("{ redirect = { status = 301, location = '/a' } }", &away));
    }
}
