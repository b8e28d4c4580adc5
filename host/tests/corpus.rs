//! A corpus: cases that stand as text in the files of a folder.
//!
//! ```text
//! # its-name                         alone in its line
//! # more about it
//! for 1 3                            the case is there once with each of these for `{}`
//! ```
//!
//! Then come lines of the kind of the case. Cases are parted by empty lines.

use std::fs;
use std::path::Path;

/// A kind of case.
pub trait Case: Sized {
    /// What is known of a case while its lines are read.
    type Reading: Default;

    /// The case of this name, before its lines.
    fn new(name: String) -> Self;

    /// The file and line where it begins, and its name.
    fn name(&self) -> &str;

    /// Reads a line.
    fn take(&mut self, line: &str, reading: &mut Self::Reading) -> Result<(), &'static str>;

    /// All lines were read.
    fn finish(&mut self, reading: Self::Reading) -> Result<(), &'static str>;
}

/// The cases of all files in this folder beside the tests: at least this many, each with a name of
/// its own.
pub fn load<C: Case>(folder: &str, least: usize) -> Vec<C> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            cases.extend(read::<C>(&file, &text).unwrap_or_else(|error| panic!("{error}")));
        }
    }
    assert!(cases.len() >= least, "only {} cases were found", cases.len());
    let mut names: Vec<_> = cases.iter().map(|case| case.name().split(' ').nth(1)).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "a name is there twice");
    }
    cases
}

/// The cases of one file. The error names the line.
pub fn read<C: Case>(file: &str, text: &str) -> Result<Vec<C>, String> {
    let lines: Vec<_> = text.lines().enumerate().collect();
    let mut cases = Vec::new();
    for block in lines.split(|(_, line)| line.is_empty()) {
        if block.iter().all(|(_, line)| line.starts_with('#')) {
            continue;
        }
        match block.iter().find_map(|(_, line)| line.strip_prefix("for ")) {
            None => cases.push(read_case(file, block, None)?),
            Some(each) => {
                for item in each.split(' ') {
                    cases.push(read_case(file, block, Some(item))?);
                }
            }
        }
    }
    Ok(cases)
}

/// Reads the lines of a case, with this for `{}`.
fn read_case<C: Case>(
    file: &str,
    block: &[(usize, &str)],
    item: Option<&str>,
) -> Result<C, String> {
    let (first, title) = block[0];
    let place = |number: usize| format!("{file}:{}", number + 1);
    let name = title.strip_prefix("# ").filter(|name| !name.contains(' '));
    let name = name.ok_or_else(|| format!("{}: no name", place(first)))?;
    let name = item.map_or(name.to_owned(), |item| format!("{name}({item})"));
    let mut case = C::new(format!("{}: {name}", place(first)));
    let mut reading = C::Reading::default();
    for &(number, line) in &block[1..] {
        let filled = item.map(|item| line.replace("{}", item));
        case.take(filled.as_deref().unwrap_or(line), &mut reading)
            .map_err(|what| format!("{}: {what}: {line:?}", place(number)))?;
    }
    case.finish(reading).map_err(|what| format!("{}: {what}", case.name()))?;
    Ok(case)
}
