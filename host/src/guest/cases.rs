//! Cases: what a guest must decide, as a table that any language can share.
//!
//! A file of cases is TOML:
//!
//! ```toml
//! case = [
//!     { line = "GET / HTTP/1.1", decision = { index = "" } },
//!     { line = "GET /a HTTP/1.1", fields = { host = "b" }, decision = "not-found" },
//! ]
//! ```
//!
//! What a case does not state of a decision is not compared, except that a status
//! not stated is the one of the contract's short forms: 200.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::decision::{Candidate, Decision, Field, Kind};
use super::digest::Digest;
use super::generation::Generation;
use super::instance::Failure;
use super::interests::{CLIENT_ADDRESS, Facts, SCHEME};

/// Cases that were read from a file.
#[derive(Debug)]
pub struct CaseFile {
    /// Where they stand.
    pub path: PathBuf,
    /// Tells this version of the file apart from others.
    pub digest: Digest,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One case: a request, and what must be decided.
#[derive(Debug)]
pub struct Case {
    /// The line of the file on which it begins, counted from 1.
    pub line_number: usize,
    /// What it shows, if the file says so.
    pub name: Option<String>,
    /// The request line, as bytes.
    pub line: Vec<u8>,
    /// The header fields, in order of their names.
    pub fields: Vec<(String, String)>,
    /// Where the request comes from.
    pub client: IpAddr,
    expected: Expected,
}

/// A case that does not hold.
#[derive(Debug)]
pub struct Mismatch {
    /// What must be decided.
    pub expected: String,
    /// What was decided, or why nothing was.
    pub got: String,
}

/// What came of one case.
#[derive(Debug, Serialize)]
pub struct CaseOutcome {
    /// The file of cases.
    pub file: String,
    /// Its line in that file.
    pub line: usize,
    /// What it shows, if the file says so.
    pub name: Option<String>,
    /// The request.
    pub asked: String,
    /// Whether it holds.
    pub holds: bool,
    /// What must be decided, if it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was decided.
    pub got: String,
    /// The kind of the decision, if it holds.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    case: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    name: Option<String>,
    line: Option<String>,
    /// The line with `\xHH` for bytes that are no text.
    escaped_line: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMany>,
    decision: Expected,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What must be decided. The names are those of `wit/policy.wit`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Index(String),
    File(String),
    Serve(ExpectedServe),
    NotFound,
    Redirect(ExpectedRedirect),
    Reply(ExpectedReply),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedServe {
    candidates: Vec<ExpectedCandidate>,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ExpectedCandidate {
    Index(String),
    File(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRedirect {
    status: u16,
    location: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedReply {
    #[serde(default = "ok")]
    status: u16,
    body: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

impl CaseFile {
    /// Reads a file of cases. The error names the file, and the place in it.
    pub fn read(path: &Path) -> Result<CaseFile, String> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read the cases {shown}: {error}"))?;
        let cases = parse(&text).map_err(|error| format!("{shown} has no cases: {error}"))?;
        Ok(CaseFile { path: path.to_owned(), digest: Digest::of(text.as_bytes()), cases })
    }

    /// Asks a guest for the decision of each case.
    pub fn outcomes(&self, guest: &Generation) -> Vec<CaseOutcome> {
        let outcome = |case: &Case| {
            let (kind, expected, got) = match case.run(guest) {
                Ok(decision) => (Some(decision.kind()), None, decision.to_string()),
                Err(mismatch) => (None, Some(mismatch.expected), mismatch.got),
            };
            CaseOutcome {
                file: self.path.display().to_string(),
                line: case.line_number,
                name: case.name.clone(),
                asked: case.to_string(),
                holds: expected.is_none(),
                expected,
                got,
                kind,
            }
        };
        self.cases.iter().map(outcome).collect()
    }
}

/// Reads cases. The error names the place.
fn parse(text: &str) -> Result<Vec<Case>, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
    if table.case.is_empty() {
        return Err("it has no `case`; write case = [ { line = …, decision = … } ]".to_owned());
    }
    let line_number = |offset: usize| text[..offset].matches('\n').count() + 1;
    table
        .case
        .into_iter()
        .map(|row| {
            let line_number = line_number(row.span().start);
            row.into_inner()
                .into_case(line_number)
                .map_err(|error| format!("line {line_number}: {error}"))
        })
        .collect()
}

impl Row {
    fn into_case(self, line_number: usize) -> Result<Case, String> {
        let line = match (self.line, self.escaped_line) {
            (Some(line), None) => line.into_bytes(),
            (None, Some(escaped)) => unescape(&escaped)?,
            _ => return Err("a case has either `line` or `escaped-line`".to_owned()),
        };
        let mut case = Case {
            line_number,
            name: self.name,
            line,
            fields: Vec::new(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            expected: self.decision,
        };
        for (name, values) in self.fields {
            let values = match values {
                OneOrMany::One(value) => vec![value],
                OneOrMany::Many(values) => values,
            };
            match (name.as_str(), values.as_slice()) {
                (CLIENT_ADDRESS, [address]) => {
                    case.client = address
                        .parse()
                        .map_err(|_| format!("`{CLIENT_ADDRESS}` is no address: {address:?}"))?;
                }
                (SCHEME, [scheme]) if scheme == "http" => {}
                _ if name.starts_with(':') => {
                    return Err(format!("{name:?} cannot have this value, or is no fact"));
                }
                _ => case.fields.extend(values.into_iter().map(|value| (name.clone(), value))),
            }
        }
        Ok(case)
    }
}

/// Bytes from text with `\xHH` and `\\`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let hex = after.strip_prefix('x').and_then(|after| after.get(..2));
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            return Err(r"in `escaped-line` a backslash begins \xHH or \\".to_owned());
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// A request, as far as a guest may see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request line.
    pub line: &'a [u8],
    /// The header fields.
    pub fields: &'a [(String, String)],
    /// What is known besides.
    pub facts: Facts,
}

impl Asked<'_> {
    /// Asks the guest, as [`Generation::try_out`] does.
    pub fn decide(&self, guest: &Generation) -> Result<Decision, Failure> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        guest.try_out(self.line, fields, self.facts)
    }
}

impl Case {
    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        let facts = Facts { client: self.client };
        Asked { line: &self.line, fields: &self.fields, facts }
    }

    /// Asks the guest, and compares. Without a mismatch it gives the decision.
    pub fn run(&self, guest: &Generation) -> Result<Decision, Mismatch> {
        self.judge(self.asked().decide(guest))
    }

    /// Compares what was decided.
    pub fn judge(&self, decision: Result<Decision, Failure>) -> Result<Decision, Mismatch> {
        let got = match decision {
            Ok(decision) if self.expected.holds(&decision) => return Ok(decision),
            Ok(decision) => decision.to_string(),
            Err(Failure::Refused(refusal)) => format!("a decision that is refused: {refusal}"),
            Err(failure) => format!("no decision: {failure}"),
        };
        Err(Mismatch { expected: self.expected.to_string(), got })
    }
}

/// The request: its line, and its fields in parentheses.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line.escape_ascii())?;
        for (name, value) in &self.fields {
            write!(f, " ({name}: {value})")?;
        }
        Ok(())
    }
}

impl Expected {
    fn holds(&self, decision: &Decision) -> bool {
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
                    && reply.body.as_ref().is_none_or(|expected| expected.as_bytes() == body)
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
        fields.iter().try_for_each(|(name, value)| write!(f, " ({name}: {value})"))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
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
        let reply = Decision::Reply { status: 400, fields: Vec::new(), body: b"no\n".to_vec() };
        assert!(holds("{ reply = { status = 400 } }", &reply));
        assert!(holds("{ reply = { status = 400, body = \"no\\n\" } }", &reply));
        assert!(!holds("{ reply = { status = 400, body = '' } }", &reply));
        assert!(!holds("{ reply = {} }", &reply));
        let away =
            Decision::Redirect { status: 308, location: "/a".to_owned(), fields: Vec::new() };
        assert!(holds("{ redirect = { status = 308, location = '/a' } }", &away));
        assert!(!holds("{ redirect = { status = 301, location = '/a' } }", &away));
    }

    #[test]
    fn requests_are_read_as_they_are_meant() {
        let cases = parse(
            "# two cases\n[[case]]\nname = 'a'\nescaped-line = 'a\\xff\\\\'\n\
             fields = { accept = ['x', 'y'], ':client-address' = '192.0.2.1' }\n\
             decision = 'not-found'\n\n[[case]]\nline = 'é'\ndecision = 'not-found'\n",
        )
        .expect("two cases");
        assert_eq!((cases[0].line_number, cases[1].line_number), (2, 8));
        assert_eq!(cases[0].line, b"a\xff\\");
        assert_eq!(cases[1].line, "é".as_bytes());
        let field = |value: &str| ("accept".to_owned(), value.to_owned());
        assert_eq!(cases[0].fields, [field("x"), field("y")]);
        assert_eq!(cases[0].client.to_string(), "192.0.2.1");
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, part) in [
            ("", "no `case`"),
            ("case = []", "no `case`"),
            ("case = [{ line = 'a' }]", "missing field `decision`"),
            ("case = [{ decision = 'not-found' }]", "either `line` or `escaped-line`"),
            ("\n\ncase = [{ line = 'a', decision = 'found' }]", "line 3"),
            ("case = [{ line = 'a', decision = 'found' }]", "not-found"),
            ("case = [{ line = 'a', decision = { page = '' } }]", "unknown variant `page`"),
            ("case = [{ lines = 'a', decision = 'not-found' }]", "unknown field `lines`"),
            ("case = [{ escaped-line = '\\q', decision = 'not-found' }]", "backslash"),
            ("case = [{ escaped-line = '\\xé', decision = 'not-found' }]", "backslash"),
            ("case = [{ line = '', fields = { ':x' = '' }, decision = 'not-found' }]", "no fact"),
            (
                "case = [{ line = '', fields = { ':client-address' = 'x' }, decision = 'not-found' }]",
                "is no address",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
