//! The fields that choose what is sent: `Range`, `Accept-Encoding` and the conditions.
//!
//! The input is lines: one value for each field, in the order of [`run`], with nothing in
//! it that no head lets through.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use innkeeper::files::conditions::{Conditions, Verdict};
use innkeeper::files::encodings::preferred;
use innkeeper::files::ranges::{MAX_RANGES, Wanted};
use innkeeper::files::validators::{Validators, Version};

use super::reference::fields::{Asked, codings, ranges, tags};

/// Lengths of files.
const LENGTHS: [u64; 9] = [0, 1, 2, 10, 100, 10_000, 1 << 33, u64::MAX - 1, u64::MAX];

/// What stands for the file's own tag in an input.
const TAG: &[u8] = b"TAG";

/// Runs the target.
pub fn run(input: &[u8]) {
    if input.iter().any(|&byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n')) {
        return;
    }
    let mut lines = input.split(|&byte| byte == b'\n');
    let mut next = || lines.next().filter(|line| !line.is_empty());
    let range = next();
    let accept_encoding = next();
    if let Some(field) = range {
        LENGTHS.iter().for_each(|&length| check_ranges(field, length));
    }
    if let Some(field) = accept_encoding {
        let preferred: Vec<_> = preferred(field).iter().map(|coding| coding.name()).collect();
        assert_eq!(preferred, codings(field));
    }
    let file = file(true);
    let own = file.tag.expect("a tag").to_string().into_bytes();
    let mut condition = || next().map(|line| replace(line, &own));
    let conditions = Conditions {
        if_match: condition(),
        if_none_match: condition(),
        if_modified_since: condition(),
        if_unmodified_since: condition(),
        if_range: condition(),
    };
    check_conditions(&conditions, &file);
    check_conditions(&conditions, &self::file(false));
}

/// A version of a file, with its validators or without.
fn file(is_settled: bool) -> Validators {
    // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    let modified_ns = 784_111_777_000_000_000;
    let version = Version { device: 1, inode: 1, length: 2, modified_ns, changed_ns: modified_ns };
    let age = if is_settled { 1_000 } else { 0 };
    Validators::of(version, UNIX_EPOCH + Duration::from_secs(784_111_777 + age))
}

/// Replaces the mark by the tag.
fn replace(line: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.windows(TAG.len()).position(|window| window == TAG) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(tag);
        rest = &rest[at + TAG.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn check_ranges(field: &[u8], length: u64) {
    let parts = match Wanted::of(field, length, MAX_RANGES) {
        Wanted::Whole => {
            assert_eq!(ranges(field, length), Asked::Whole, "of {length}");
            return;
        }
        Wanted::Nothing => {
            assert_eq!(ranges(field, length), Asked::Nothing, "of {length}");
            return;
        }
        Wanted::Part(part) => vec![part],
        Wanted::Parts(parts) => {
            assert!((2..=32).contains(&parts.len()), "{parts:?}");
            parts
        }
    };
    let mut sum = 0_u64;
    for part in &parts {
        assert!(part.first <= part.last && part.last < length, "{part:?} of {length}");
        sum = sum.checked_add(part.length()).expect("no more than the file");
    }
    assert!(sum <= length, "{parts:?} of {length}");
    let parts = parts.iter().map(|part| (part.first, part.last)).collect();
    assert_eq!(Asked::Parts(parts), ranges(field, length), "of {length}");
}

fn check_conditions(conditions: &Conditions, file: &Validators) {
    let verdict = conditions.evaluate(file);
    let allowed = conditions.allow_range(file);
    let Some(expected) = expected(conditions, file) else { return };
    assert_eq!(verdict, expected, "{conditions:?}");
    // By a tag alone, and a strong one: no date says which version a client has a part of.
    let own = file.tag.map(|tag| tag.to_string().into_bytes());
    let unmodified = conditions.if_unmodified_since.as_deref();
    let expected = match &conditions.if_range {
        Some(value) => own.is_some_and(|own| own == *value),
        None => conditions.if_match.is_some() || unmodified.and_then(date).is_none(),
    };
    assert_eq!(allowed, expected, "{conditions:?}");
}

/// RFC 9110, section 13.2.2, step by step. `None` if a list of tags is malformed.
fn expected(conditions: &Conditions, file: &Validators) -> Option<Verdict> {
    let own = file.tag.map(|tag| tag.to_string().into_bytes());
    let lists = |field: &[u8], weakly: bool| {
        if field == b"*" {
            return Some(true);
        }
        let tags = tags(field)?;
        Some(tags.iter().any(|(is_weak, tag)| (weakly || !is_weak) && own.as_ref() == Some(tag)))
    };
    if let Some(field) = &conditions.if_match {
        if !lists(field, false)? {
            return Some(Verdict::Failed);
        }
    } else if let Some(date) = conditions.if_unmodified_since.as_deref().and_then(date)
        && file.modified.is_none_or(|modified| modified > date)
        && file.changed.is_some_and(|changed| changed > date)
    {
        return Some(Verdict::Failed);
    }
    if let Some(field) = &conditions.if_none_match {
        if lists(field, true)? {
            return Some(Verdict::NotModified);
        }
    } else if let Some(date) = conditions.if_modified_since.as_deref().and_then(date)
        && file.modified == Some(date)
    {
        return Some(Verdict::NotModified);
    }
    Some(Verdict::Proceed)
}

/// A date. The same library reads it: what is held against it is only that it does not
/// panic.
fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}
