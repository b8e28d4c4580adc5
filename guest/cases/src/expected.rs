//! The decision that a case states, and whether a decision matches it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::decision::{Candidate, Decision, Field};

/// The expected decision. The names are those of `wit/policy.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "a decision, as { file = \"a.html\" }")]
pub enum Expected {
    /// The index page of this directory.
    Index(String),
    /// This file.
    File(String),
    /// Candidates, with a status or fields.
    Serve(ExpectedServe),
    /// Nothing.
    NotFound,
    /// A redirect.
    Redirect(ExpectedRedirect),
    /// A response of the guest's own.
    Reply(ExpectedReply),
}

/// The expected `serve`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `candidates`")]
pub struct ExpectedServe {
    /// All candidates, in their order.
    pub candidates: Vec<ExpectedCandidate>,
    /// The status; 200 if it is not stated.
    #[serde(default = "ok")]
    pub status: u16,
    /// Fields that are among those of the decision.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// An expected candidate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "a candidate, as { file = \"a.html\" }")]
pub enum ExpectedCandidate {
    /// The index page of this directory.
    Index(String),
    /// This file.
    File(String),
}

impl ExpectedCandidate {
    fn stated(&self) -> Candidate<'_> {
        match self {
            ExpectedCandidate::Index(path) => Candidate::Index(path),
            ExpectedCandidate::File(path) => Candidate::File(path),
        }
    }
}

/// The expected `redirect`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `status` and `location`")]
pub struct ExpectedRedirect {
    /// The status.
    pub status: u16,
    /// The `Location`.
    pub location: String,
    /// Fields that are among those of the decision.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The expected `reply`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as { status = 410 }")]
pub struct ExpectedReply {
    /// The status; 200 if it is not stated.
    #[serde(default = "ok")]
    pub status: u16,
    /// The body, if it is stated.
    pub body: Option<String>,
    /// Fields that are among those of the decision.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

impl Expected {
    /// Whether the decision is this one, as far as it is stated.
    pub fn matches(&self, decision: &Decision<'_>) -> bool {
        match (self.stated(), decision) {
            (
                Decision::Serve { candidates, status, fields },
                Decision::Serve { candidates: given, status: got, fields: among },
            ) => candidates == *given && status == *got && are_among(&fields, among),
            (Decision::NotFound, Decision::NotFound) => true,
            (
                Decision::Redirect { status, location, fields },
                Decision::Redirect { status: got, location: given, fields: among },
            ) => location == *given && status == *got && are_among(&fields, among),
            (
                Decision::Reply { status, fields, body },
                Decision::Reply { status: got, fields: among, body: given },
            ) => {
                let is_same_body = self.body_bytes().is_none() || body == *given;
                is_same_body && status == *got && are_among(&fields, among)
            }
            _ => false,
        }
    }

    /// The decision that states no more than this.
    fn stated(&self) -> Decision<'_> {
        let serve = |candidate| Decision::Serve {
            candidates: vec![candidate],
            status: 200,
            fields: Vec::new(),
        };
        match self {
            Expected::Index(path) => serve(Candidate::Index(path)),
            Expected::File(path) => serve(Candidate::File(path)),
            Expected::Serve(ExpectedServe { candidates, status, fields }) => Decision::Serve {
                candidates: candidates.iter().map(ExpectedCandidate::stated).collect(),
                status: *status,
                fields: lend(fields),
            },
            Expected::NotFound => Decision::NotFound,
            Expected::Redirect(ExpectedRedirect { status, location, fields }) => {
                Decision::Redirect { status: *status, location, fields: lend(fields) }
            }
            Expected::Reply(ExpectedReply { status, body, fields }) => Decision::Reply {
                status: *status,
                fields: lend(fields),
                body: body.as_deref().unwrap_or_default().as_bytes(),
            },
        }
    }

    /// The length of the body of a reply, if it is stated.
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        match self {
            Expected::Reply(reply) => reply.body.as_ref().map(String::len),
            _ => None,
        }
    }
}

fn lend(fields: &BTreeMap<String, String>) -> Vec<Field<'_>> {
    fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect()
}

/// Whether each expected field is among those of a decision.
fn are_among(expected: &[Field<'_>], fields: &[Field<'_>]) -> bool {
    expected.iter().all(|expected| {
        let is_it = |field: &Field<'_>| {
            field.name.eq_ignore_ascii_case(expected.name) && field.value == expected.value
        };
        fields.iter().any(is_it)
    })
}

/// In the words in which a decision is printed, with all of a stated body.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stated().in_words(self.body_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use crate::decision::{Candidate, Decision, Field};
    use crate::table::parse;

    fn expected(text: &str) -> Expected {
        let table = format!("case = [{{ line = 'GET / HTTP/1.1', decision = {text} }}]");
        let mut cases = parse(&table).unwrap_or_else(|error| panic!("{text}: {error}"));
        cases.remove(0).expected
    }

    #[track_caller]
    fn check(decision: &Decision<'_>, expectations: &[(&str, bool)]) {
        for &(text, matches) in expectations {
            assert_eq!(expected(text).matches(decision), matches, "{text} and {decision}");
        }
    }

    fn serve(candidates: &[Candidate<'static>], status: u16) -> Decision<'static> {
        let fields = vec![Field { name: "X-A", value: b"1" }];
        Decision::Serve { candidates: candidates.to_vec(), status, fields }
    }

    #[test]
    fn short_form_matches_its_one_candidate() {
        for index in [Candidate::Index("d"), Candidate::Index("d/")] {
            check(
                &serve(&[index], 200),
                &[
                    ("{ index = 'd' }", true),
                    ("{ index = 'd/' }", true),
                    ("{ index = 'e' }", false),
                    ("{ file = 'd' }", false),
                    ("'not-found'", false),
                ],
            );
        }
        check(&serve(&[Candidate::File("d/")], 200), &[("{ file = 'd' }", false)]);
        check(&serve(&[Candidate::File("f")], 404), &[("{ file = 'f' }", false)]);
        check(&Decision::NotFound, &[("'not-found'", true), ("{ file = 'f' }", false)]);
    }

    #[test]
    fn serve_matches_stated_candidates_status_and_fields() {
        check(
            &serve(&[Candidate::Index("d")], 200),
            &[
                ("{ serve = { candidates = [{ index = 'd' }] } }", true),
                ("{ serve = { candidates = [{ index = 'd' }], status = 404 } }", false),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '1' } } }", true),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '2' } } }", false),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-b = '1' } } }", false),
                ("{ serve = { candidates = [{ index = 'd' }, { file = 'f' }] } }", false),
            ],
        );
        check(
            &serve(&[Candidate::File("f"), Candidate::Index("d")], 404),
            &[
                ("{ serve = { candidates = [{file='f'},{index='d'}], status = 404 } }", true),
                ("{ serve = { candidates = [{index='d'},{file='f'}], status = 404 } }", false),
                ("{ file = 'f' }", false),
            ],
        );
    }

    #[test]
    fn reply_matches_its_body_only_if_it_is_stated() {
        check(
            &Decision::Reply { status: 400, fields: Vec::new(), body: b"no\n" },
            &[
                ("{ reply = { status = 400 } }", true),
                ("{ reply = { status = 400, body = \"no\\n\" } }", true),
                ("{ reply = { status = 400, body = '' } }", false),
                ("{ reply = {} }", false),
            ],
        );
    }

    #[test]
    fn redirect_matches_its_status_and_location() {
        check(
            &Decision::Redirect { status: 308, location: "/a", fields: Vec::new() },
            &[
                ("{ redirect = { status = 308, location = '/a' } }", true),
                ("{ redirect = { status = 301, location = '/a' } }", false),
                ("{ redirect = { status = 308, location = '/b' } }", false),
            ],
        );
    }

    #[test]
    fn expected_decision_is_printed_as_far_as_it_is_stated() {
        for (text, words) in [
            ("{ file = 'f' }", "file \"f\""),
            ("{ serve = { candidates = [{ index = 'd/' }] } }", "index \"d\""),
            ("{ reply = {} }", "reply 200"),
            ("{ reply = { body = '' } }", "reply 200 \"\""),
            ("{ reply = { fields = { vary = 'a' } } }", "reply 200 (vary: a)"),
        ] {
            assert_eq!(expected(text).to_string(), words);
        }
    }
}
