//! The decision that a case states, and whether a decision matches it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::decision::{Candidate, Decision, Field, Page, Redirect};

/// The expected decision. The names are those of `wit/policy.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", expecting = "a decision, as { file = \"a.html\" }")]
pub enum Expected {
    /// The index page of this directory.
    Index(String),
    /// This file.
    File(String),
    /// Candidates, what happens otherwise, and fields.
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
#[serde(deny_unknown_fields, expecting = "a table with `candidates` or `otherwise`")]
pub struct ExpectedServe {
    /// All candidates, in their order. If they are not stated, there may be any.
    pub candidates: Option<Vec<ExpectedCandidate>>,
    /// Where the client is sent if no candidate is chosen. If it is not stated, there is none.
    pub otherwise: Option<ExpectedRedirect>,
    /// Fields that are among those of the decision.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// An expected candidate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "CandidateTable")]
pub struct ExpectedCandidate {
    /// The page.
    pub page: ExpectedPage,
    /// The status; 200 if it is not stated.
    pub status: u16,
    /// Where the client is sent. If it is not stated, the page is.
    pub location: Option<String>,
    /// Fields that are among those of the candidate and of the decision.
    pub fields: BTreeMap<String, String>,
}

/// An expected page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedPage {
    /// The index page of this directory.
    Index(String),
    /// This file.
    File(String),
}

/// An expected candidate, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a candidate, as { file = \"a.html\" }")]
struct CandidateTable {
    index: Option<String>,
    file: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    location: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

impl TryFrom<CandidateTable> for ExpectedCandidate {
    type Error = &'static str;

    fn try_from(table: CandidateTable) -> Result<ExpectedCandidate, &'static str> {
        let CandidateTable { index, file, status, location, fields } = table;
        let page = match (index, file) {
            (Some(path), None) => ExpectedPage::Index(path),
            (None, Some(path)) => ExpectedPage::File(path),
            _ => return Err("a candidate has either `index` or `file`"),
        };
        Ok(ExpectedCandidate { page, status, location, fields })
    }
}

impl ExpectedCandidate {
    fn stated(&self) -> Candidate<'_> {
        Candidate {
            page: match &self.page {
                ExpectedPage::Index(path) => Page::Index(path),
                ExpectedPage::File(path) => Page::File(path),
            },
            status: self.status,
            location: self.location.as_deref(),
            fields: lend(&self.fields),
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

impl ExpectedRedirect {
    fn stated(&self) -> Redirect<'_> {
        Redirect { status: self.status, location: &self.location, fields: lend(&self.fields) }
    }
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
                Decision::Serve { candidates, otherwise, fields },
                Decision::Serve { candidates: given, otherwise: got, fields: among },
            ) => {
                let is_same = |(one, given)| is_candidate(one, given, among);
                let are_same =
                    candidates.len() == given.len() && candidates.iter().zip(given).all(is_same);
                (are_same || self.leaves_candidates_open())
                    && match (&otherwise, got) {
                        (Some(otherwise), Some(got)) => is_redirect(otherwise, got, among),
                        (None, None) => true,
                        _ => false,
                    }
                    && are_among(&fields, among)
            }
            (Decision::Redirect(redirect), Decision::Redirect(got)) => {
                is_redirect(&redirect, got, &[])
            }
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

    /// Whether it is a `serve` of any candidates.
    fn leaves_candidates_open(&self) -> bool {
        matches!(self, Expected::Serve(ExpectedServe { candidates: None, .. }))
    }

    /// The decision that states no more than this.
    fn stated(&self) -> Decision<'_> {
        match self {
            Expected::Index(path) => Decision::page(Page::Index(path)),
            Expected::File(path) => Decision::page(Page::File(path)),
            Expected::Serve(ExpectedServe { candidates, otherwise, fields }) => Decision::Serve {
                candidates: candidates.iter().flatten().map(ExpectedCandidate::stated).collect(),
                otherwise: otherwise.as_ref().map(ExpectedRedirect::stated),
                fields: lend(fields),
            },
            Expected::NotFound => Decision::NOT_FOUND,
            Expected::Redirect(redirect) => Decision::Redirect(redirect.stated()),
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

/// Whether a candidate of a decision with these fields is the expected one.
fn is_candidate(expected: &Candidate<'_>, got: &Candidate<'_>, of_all: &[Field<'_>]) -> bool {
    let Candidate { page, status, location, fields } = expected;
    (page, status, location) == (&got.page, &got.status, &got.location)
        && are_among(fields, &of_one(&got.fields, of_all))
}

/// Whether a redirect of a decision with these fields is the expected one.
fn is_redirect(expected: &Redirect<'_>, got: &Redirect<'_>, of_all: &[Field<'_>]) -> bool {
    let Redirect { status, location, fields } = expected;
    (status, location) == (&got.status, &got.location)
        && are_among(fields, &of_one(&got.fields, of_all))
}

/// The fields of one response: its own, and those of the decision whose place they do not take.
fn of_one<'a>(own: &[Field<'a>], of_all: &[Field<'a>]) -> Vec<Field<'a>> {
    let adds_up = |name: &str| {
        ["link", "set-cookie", "vary"].iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    let stays = |field: &&Field<'_>| {
        adds_up(field.name) || !own.iter().any(|own| own.name.eq_ignore_ascii_case(field.name))
    };
    own.iter().chain(of_all.iter().filter(stays)).copied().collect()
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
    use crate::decision::{Candidate, Decision, Field, Page, Redirect};
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

    fn serve(candidates: &[(Page<'static>, u16)]) -> Decision<'static> {
        let candidate = |&(page, status)| Candidate { status, ..Candidate::from(page) };
        Decision::Serve {
            candidates: candidates.iter().map(candidate).collect(),
            otherwise: None,
            fields: vec![Field { name: "X-A", value: b"1" }],
        }
    }

    #[test]
    fn short_form_matches_its_one_candidate() {
        for index in [Page::Index("d"), Page::Index("d/")] {
            check(
                &serve(&[(index, 200)]),
                &[
                    ("{ index = 'd' }", true),
                    ("{ index = 'd/' }", true),
                    ("{ index = 'e' }", false),
                    ("{ file = 'd' }", false),
                    ("'not-found'", false),
                ],
            );
        }
        check(&serve(&[(Page::File("d/"), 200)]), &[("{ file = 'd' }", false)]);
        check(&serve(&[(Page::File("f"), 404)]), &[("{ file = 'f' }", false)]);
        let not_found = [("'not-found'", true), ("{ file = 'f' }", false)];
        check(&Decision::NOT_FOUND, &not_found);
        check(&serve(&[]), &not_found);
    }

    #[test]
    fn serve_without_stated_candidates_matches_any() {
        let redirect = Redirect { status: 302, location: "/", fields: Vec::new() };
        let mut decision = serve(&[(Page::File("f"), 200), (Page::Index("f"), 200)]);
        if let Decision::Serve { otherwise, .. } = &mut decision {
            *otherwise = Some(redirect);
        }
        check(
            &decision,
            &[
                ("{ serve = { otherwise = { status = 302, location = '/' } } }", true),
                ("{ serve = { otherwise = { status = 301, location = '/' } } }", false),
                ("{ serve = { fields = { x-a = '1' } } }", false),
                (
                    "{ serve = { candidates = [], otherwise = { status = 302, location = '/' } } }",
                    false,
                ),
                ("{ redirect = { status = 302, location = '/' } }", false),
            ],
        );
        check(&serve(&[(Page::File("f"), 200)]), &[("{ serve = {} }", true)]);
    }

    #[test]
    fn serve_matches_stated_candidates_and_fields() {
        check(
            &serve(&[(Page::Index("d"), 200)]),
            &[
                ("{ serve = { candidates = [{ index = 'd' }] } }", true),
                ("{ serve = { candidates = [{ index = 'd', status = 404 }] } }", false),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '1' } } }", true),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-a = '2' } } }", false),
                ("{ serve = { candidates = [{ index = 'd' }], fields = { x-b = '1' } } }", false),
                ("{ serve = { candidates = [{ index = 'd', fields = { x-a = '1' } }] } }", true),
                ("{ serve = { candidates = [{ index = 'd', fields = { x-a = '2' } }] } }", false),
                ("{ serve = { candidates = [{ index = 'd' }, { file = 'f' }] } }", false),
                ("{ serve = { candidates = [] } }", false),
                (
                    "{ serve = { candidates = [{ index = 'd' }], otherwise = { status = 302, \
                     location = '/' } } }",
                    false,
                ),
            ],
        );
        check(
            &serve(&[(Page::File("f"), 404), (Page::Index("d"), 200)]),
            &[
                ("{ serve = { candidates = [{file='f',status=404},{index='d'}] } }", true),
                ("{ serve = { candidates = [{index='d'},{file='f',status=404}] } }", false),
                ("{ serve = { candidates = [{file='f',status=404}] } }", false),
                ("{ file = 'f' }", false),
            ],
        );
    }

    #[test]
    fn candidate_matches_its_location_and_fields() {
        let own = |value| Field { name: "x-a", value };
        let candidate = Candidate {
            page: Page::File("f"),
            status: 301,
            location: Some("/f"),
            fields: vec![own(b"2"), Field { name: "vary", value: b"b" }],
        };
        let moved = Decision::Serve {
            candidates: vec![candidate],
            otherwise: None,
            fields: vec![
                own(b"1"),
                Field { name: "x-c", value: b"3" },
                Field { name: "Vary", value: b"a" },
            ],
        };
        for (entries, matches) in [
            ("status = 301, location = '/f'", true),
            ("status = 301, location = '/g'", false),
            ("status = 301", false),
            ("status = 308, location = '/f'", false),
            ("status = 301, location = '/f', fields = { x-a = '2', x-c = '3' }", true),
            ("status = 301, location = '/f', fields = { x-a = '1' }", false),
            ("status = 301, location = '/f', fields = { vary = 'a' }", true),
            ("status = 301, location = '/f', fields = { vary = 'b' }", true),
        ] {
            let text = format!("{{ serve = {{ candidates = [{{ file = 'f', {entries} }}] }} }}");
            check(&moved, &[(&text, matches)]);
        }
    }

    #[test]
    fn otherwise_is_stated_or_not_there() {
        let elsewhere = Redirect { status: 302, location: "/x", fields: Vec::new() };
        let decision = Decision::Serve {
            candidates: Vec::new(),
            otherwise: Some(elsewhere),
            fields: vec![Field { name: "x-a", value: b"1" }],
        };
        for (otherwise, matches) in [
            ("{ status = 302, location = '/x' }", true),
            ("{ status = 302, location = '/x', fields = { x-a = '1' } }", true),
            ("{ status = 302, location = '/x', fields = { x-a = '2' } }", false),
            ("{ status = 302, location = '/y' }", false),
            ("{ status = 301, location = '/x' }", false),
        ] {
            let text = format!("{{ serve = {{ candidates = [], otherwise = {otherwise} }} }}");
            check(&decision, &[(&text, matches)]);
        }
        check(&decision, &[("'not-found'", false), ("{ serve = { candidates = [] } }", false)]);
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
            &Decision::Redirect(Redirect { status: 308, location: "/a", fields: Vec::new() }),
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
