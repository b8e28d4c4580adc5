//! The lines of `_redirects` and `_headers`: what both files have in common.

use super::checks::is_space;
use super::fault::{Fault, Faults, Mistake};
use super::table::Place;

/// Bytes of a file: 50,000 rules of 80 bytes. The host reads no more than this and one.
pub const FILE_BYTES: usize = 4 << 20;

/// Rules of one file. Netlify recommends fewer than 10,000, Cloudflare allows 2,100. That this many
/// stay quick to read and to decide by is measured.
pub const RULES: usize = 50_000;

/// Bytes of a line. Cloudflare allows 2,000 and Netlify has no limit; a target alone may have
/// [`MAX_LOCATION_BYTES`](crate::contract::MAX_LOCATION_BYTES).
pub const LINE_BYTES: usize = 16 << 10;

/// A file that is read line by line.
pub(super) struct Reader<'f> {
    source: u16,
    /// What is not read yet.
    rest: &'f [u8],
    line: u32,
    faults: Faults,
}

impl<'f> Reader<'f> {
    /// Begins with a file, whose rules are of this source.
    pub(super) fn new(file: &'f [u8], source: u16) -> Reader<'f> {
        let rest = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut reader = Reader { source, rest, line: 0, faults: Faults::default() };
        if file.len() > FILE_BYTES {
            reader.fault(Mistake::FileTooLarge);
            reader.rest = b"";
        }
        reader
    }

    /// The next line that is neither empty nor a comment, without white space around it. What is
    /// wrong with lines on the way is noted.
    pub(super) fn next(&mut self) -> Option<&'f str> {
        while !self.rest.is_empty() {
            self.line = self.line.saturating_add(1);
            let end = self.rest.iter().position(|&byte| byte == b'\n');
            let (line, rest) = match end.and_then(|end| self.rest.split_at_checked(end)) {
                Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
                None => (self.rest, &b""[..]),
            };
            self.rest = rest;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii_start().first().is_none_or(|&first| first == b'#') {
                continue;
            }
            match check(line) {
                Ok("") => {}
                Ok(line) if line.starts_with('#') => {}
                Ok(line) => return Some(line),
                Err(mistake) => self.fault(mistake),
            }
        }
        None
    }

    /// Where the line stands.
    pub(super) fn place(&self) -> Place {
        Place { source: self.source, line: self.line }
    }

    /// Notes what is wrong with the line.
    pub(super) fn fault(&mut self, mistake: Mistake) {
        self.faults.add(Fault { place: self.place(), mistake });
    }

    /// Takes a rule, if there are not too many; then nothing more is read.
    pub(super) fn push<T>(&mut self, rules: &mut Vec<T>, rule: T) {
        if rules.len() < RULES {
            rules.push(rule);
        } else {
            self.fault(Mistake::TooManyRules);
            self.rest = b"";
        }
    }

    /// The rules, or all that is wrong.
    pub(super) fn finish<T>(self, rules: Vec<T>) -> Result<Vec<T>, Faults> {
        if self.faults.count() == 0 { Ok(rules) } else { Err(self.faults) }
    }
}

/// The line as text, without white space around it.
fn check(line: &[u8]) -> Result<&str, Mistake> {
    if line.len() > LINE_BYTES {
        return Err(Mistake::LineTooLong);
    }
    let line = str::from_utf8(line).map_err(|_| Mistake::NotUtf8)?;
    let is_bad = |character: &char| character.is_control() && *character != '\t';
    match line.chars().find(is_bad) {
        Some(character) => Err(Mistake::Control(character)),
        None => Ok(line.trim_matches(is_space)),
    }
}
