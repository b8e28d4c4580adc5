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

mod expected;
mod table;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::decision::{Decision, Kind};
use super::digest::Digest;
use crate::guest::decision::request::Facts;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::named_file;
use crate::text::escaped;
use expected::Expected;
use table::parse;

/// Bytes of a file of cases: half a million of them.
const MAX_BYTES: u64 = 64 << 20;

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

impl CaseFile {
    /// Reads a file of cases. The error names the file, and the place in it.
    pub fn read(path: &Path) -> Result<CaseFile, String> {
        let shown = path.display();
        let text = named_file::read_text(path, MAX_BYTES)
            .map_err(|error| format!("cannot read the cases {shown}: {error}"))?;
        let cases = parse(&text)
            .map_err(|error| format!("the cases in {shown} cannot be read: {error}"))?;
        Ok(CaseFile { path: path.to_owned(), digest: Digest::of(text.as_bytes()), cases })
    }

    /// Asks a guest for the decision of each case.
    pub fn outcomes(&self, guest: &LoadedGuest) -> Vec<CaseOutcome> {
        self.cases.iter().map(|case| self.outcome(case, guest)).collect()
    }

    /// Asks a guest for the decision of one of its cases.
    pub(super) fn outcome(&self, case: &Case, guest: &LoadedGuest) -> CaseOutcome {
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
    }
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
    /// Asks the guest, as [`LoadedGuest::decide_uncached`] does.
    pub fn decide(&self, guest: &LoadedGuest) -> Result<Decision, Failure> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        guest.decide_uncached(self.line, fields, self.facts)
    }
}

impl Case {
    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        let facts = Facts { client: self.client };
        Asked { line: &self.line, fields: &self.fields, facts }
    }

    /// Asks the guest, and compares. Without a mismatch it gives the decision.
    pub fn run(&self, guest: &LoadedGuest) -> Result<Decision, Mismatch> {
        self.judge(self.asked().decide(guest))
    }

    /// Tells how a decision is not the one that must be made, if it is not.
    pub(super) fn mismatch(&self, decision: &Decision) -> Option<Mismatch> {
        if self.expected.holds(decision) {
            return None;
        }
        Some(Mismatch { expected: self.expected.to_string(), got: decision.to_string() })
    }

    /// Compares what was decided.
    fn judge(&self, decision: Result<Decision, Failure>) -> Result<Decision, Mismatch> {
        let got = match decision {
            Ok(decision) => match self.mismatch(&decision) {
                None => return Ok(decision),
                Some(mismatch) => return Err(mismatch),
            },
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
            write!(f, " ({}: {})", escaped(name), escaped(value))?;
        }
        Ok(())
    }
}
