//! Files of cases: what a guest must decide, and the outcome for one guest.
//!
//! `innkeeper_cases` has the grammar of the files, and judges and prints decisions; the
//! unit tests of a policy share it.

mod request;

use std::fmt;
use std::path::{Path, PathBuf};

use innkeeper_cases::{Case, Mismatch, TableError};
use serde::Serialize;

pub use self::request::GuestRequest;
use crate::guest::decision::{Decision, Kind};
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::named_file::{self, NamedFileError};

/// Bytes of a file of cases: half a million of them.
const MAX_BYTES: u64 = 64 << 20;

/// Cases that were read from a file.
#[derive(Debug)]
pub struct CaseFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Tells this version of the file apart from others.
    pub digest: Digest,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// A file of cases that cannot be read.
#[derive(Debug)]
pub struct CaseFileError {
    /// The path of the file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: CaseFileProblem,
}

/// What is wrong with a file of cases.
#[derive(Debug)]
pub enum CaseFileProblem {
    /// Its bytes cannot be read.
    File(NamedFileError),
    /// It is no table of cases.
    Table(TableError),
}

/// The outcome of one case.
#[derive(Debug, Serialize)]
pub struct CaseOutcome {
    /// The file of cases.
    pub file: String,
    /// The line of the case in that file.
    pub line: usize,
    /// What the case shows, if the file says so.
    pub name: Option<String>,
    /// The request.
    pub request: String,
    /// Whether the guest decides as expected.
    pub passed: bool,
    /// The expected decision, if the case failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The decision, or why there is none.
    pub got: String,
    /// What the guest printed, and where it trapped, if the case failed: lines for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<String>,
    /// Fields and facts that the case states, and the guest does not read: without them it would be
    /// the same case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// The kind of the decision, if the case passed.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// Reads files of cases.
pub fn read_cases(paths: &[PathBuf]) -> Result<Vec<CaseFile>, CaseFileError> {
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

impl CaseFile {
    /// Reads a file of cases.
    pub fn read(path: &Path) -> Result<CaseFile, CaseFileError> {
        let error = |problem| CaseFileError { path: path.to_owned(), problem };
        let text = named_file::read_text(path, MAX_BYTES)
            .map_err(|cause| error(CaseFileProblem::File(cause)))?;
        let cases =
            innkeeper_cases::parse(&text).map_err(|cause| error(CaseFileProblem::Table(cause)))?;
        Ok(CaseFile { path: path.to_owned(), digest: Digest::of(text.as_bytes()), cases })
    }

    /// Has a guest decide each case.
    pub fn outcomes(&self, guest: &LoadedGuest) -> Vec<CaseOutcome> {
        self.cases.iter().map(|case| self.outcome(case, guest)).collect()
    }

    /// Has a guest decide one of its cases.
    pub(super) fn outcome(&self, case: &Case, guest: &LoadedGuest) -> CaseOutcome {
        let (decision, mut printed) = GuestRequest::from(case).listen(guest);
        let (kind, expected, got) = match judge(case, decision) {
            Ok(decision) => (Some(decision.kind()), None, decision.to_string()),
            Err(mismatch) => (None, Some(mismatch.expected), mismatch.got),
        };
        if kind.is_some() {
            printed.clear();
        }
        CaseOutcome {
            file: self.path.display().to_string(),
            line: case.line_number,
            name: case.name.clone(),
            request: case.to_string(),
            passed: expected.is_none(),
            expected,
            got,
            printed,
            unread: guest.unread_of(case),
            kind,
        }
    }
}

/// Compares a decision with the expected one.
fn judge(case: &Case, decision: Result<Decision, Failure>) -> Result<Decision, Mismatch> {
    match decision {
        Ok(decision) => case.judge(&decision.lend()).map(|()| decision),
        Err(Failure::Refused(refusal)) => {
            Err(case.mismatch(format_args!("a decision that is refused: {refusal}")))
        }
        Err(failure) => Err(case.mismatch(format_args!("no decision: {failure}"))),
    }
}

impl fmt::Display for CaseFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            CaseFileProblem::File(error) => write!(f, "cannot read the cases {path}: {error}"),
            CaseFileProblem::Table(error) => {
                write!(f, "the cases in {path} cannot be read: {error}")
            }
        }
    }
}

impl std::error::Error for CaseFileError {}

#[cfg(test)]
mod tests {
    use crate::clock::thread_cpu_time;

    /// The lines before each case were counted again for each.
    #[test]
    fn time_of_reading_cases_grows_as_their_number() {
        let case = "[[case]]\nline = 'GET /a/b/c HTTP/1.1'\n\ndecision = 'not-found'\n\n";
        let taken = |count: usize| {
            let text = case.repeat(count);
            let before = thread_cpu_time();
            let cases = innkeeper_cases::parse(&text).expect("cases");
            assert_eq!(cases[count - 1].line_number, 5 * count - 4);
            thread_cpu_time() - before
        };
        let (few, many) = (taken(2_000), taken(16_000));
        assert!(many < few * 20, "{few:?} for 2,000 and {many:?} for 16,000");
    }
}
