//! `_redirects` and `_headers`, as other hosts read them from the root of a site.

use innkeeper_guest::rules::fault::{Faults, Mistake};
use innkeeper_guest::rules::table::Table;
use innkeeper_guest::rules::{headers_file, lines, redirects_file};

use super::part::Part;
use super::problem::Problem;

/// Bytes of a file of rules, of any form. What reads `_redirects` and `_headers` has the same bound,
/// and says so of a file with more.
pub(super) const FILE_BYTES: u64 = lines::FILE_BYTES as u64;

/// The files.
pub(super) const NAMES: [&str; 2] = ["_redirects", "_headers"];

/// What reads each.
pub(super) const PARSERS: [Parser; 2] = [redirects, headers];

/// Reads the bytes of a file.
type Parser = fn(&[u8]) -> Result<Part, Vec<Problem>>;

/// Reads the text of `_redirects`.
pub(super) fn redirects(bytes: &[u8]) -> Result<Part, Vec<Problem>> {
    let routes = redirects_file::parse(bytes, 0).map_err(|faults| problems(&faults))?;
    Ok(Table { routes, ..Table::default() }.into())
}

/// Reads the text of `_headers`.
pub(super) fn headers(bytes: &[u8]) -> Result<Part, Vec<Problem>> {
    let headers = headers_file::parse(bytes, 0).map_err(|faults| problems(&faults))?;
    Ok(Table { headers, ..Table::default() }.into())
}

/// What is wrong with a file that has more bytes than what reads it takes.
pub(super) fn too_large() -> Vec<Problem> {
    vec![Problem::new(Mistake::FileTooLarge.to_string())]
}

/// The first faults, and how many more there are.
fn problems(faults: &Faults) -> Vec<Problem> {
    let first = faults.first().iter();
    let mut problems: Vec<_> =
        first.map(|fault| Problem::at(fault.place.line, fault.mistake.to_string())).collect();
    problems.last_mut().iter_mut().for_each(|last| last.more = faults.more());
    problems
}
