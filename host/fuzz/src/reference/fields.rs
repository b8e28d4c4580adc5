//! What some fields of a request mean (RFC 9110): each list taken apart, each member
//! judged by its grammar.

use super::request::trim;

/// What a `Range` field asks of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Everything: there is no range, or one that is ignored.
    Whole,
    /// These bytes, first and last, in this order.
    Parts(Vec<(u64, u64)>),
    /// Nothing that there is.
    Nothing,
}

/// Ranges of one field.
const RANGES: usize = 32;

/// Section 14. Sets that overlap and sets of more than 32 are ignored, and so are all of
/// an empty file.
pub fn ranges(field: &[u8], length: u64) -> Asked {
    let Some(wanted) = wanted(field) else { return Asked::Whole };
    if length == 0 || wanted.len() > RANGES {
        return Asked::Whole;
    }
    let length = u128::from(length);
    let mut parts: Vec<(u128, u128)> = Vec::new();
    for range in wanted {
        match range {
            (Some(first), Some(last)) if first < length => {
                parts.push((first, last.min(length - 1)))
            }
            (Some(first), None) if first < length => parts.push((first, length - 1)),
            (None, Some(suffix)) if suffix > 0 => {
                parts.push((length.saturating_sub(suffix), length - 1));
            }
            _ => {}
        }
    }
    for (index, one) in parts.iter().enumerate() {
        if parts[..index].iter().any(|other| one.0 <= other.1 && other.0 <= one.1) {
            return Asked::Whole;
        }
    }
    let narrow = |number: u128| u64::try_from(number).expect("it is inside the file");
    match parts.is_empty() {
        true => Asked::Nothing,
        false => Asked::Parts(parts.iter().map(|part| (narrow(part.0), narrow(part.1))).collect()),
    }
}

type Range = (Option<u128>, Option<u128>);

/// `"bytes" "=" 1#( first "-" [ last ] / "-" suffix )`.
fn wanted(field: &[u8]) -> Option<Vec<Range>> {
    let equals = field.iter().position(|&byte| byte == b'=')?;
    if !field[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut ranges = Vec::new();
    for range in field[equals + 1..].split(|&byte| byte == b',') {
        let range = trim(range);
        if range.is_empty() {
            continue;
        }
        let dash = range.iter().position(|&byte| byte == b'-')?;
        let first = position(&range[..dash])?;
        let last = position(&range[dash + 1..])?;
        match (first, last) {
            (None, None) => return None,
            (Some(first), Some(last)) if first > last => return None,
            _ => ranges.push((first, last)),
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

/// Digits, or nothing. What is larger than any file is as large as any other such
/// number.
fn position(digits: &[u8]) -> Option<Option<u128>> {
    let mut number = 0_u128;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = (number * 10 + u128::from(digit - b'0')).min(u128::from(u64::MAX));
    }
    Some((!digits.is_empty()).then_some(number))
}

/// The names of the codings that are better than the plain file, best first
/// (section 12.5.3). Of the same name the last one counts.
pub fn codings(field: &[u8]) -> Vec<&'static str> {
    let mut weights = std::collections::HashMap::new();
    for member in field.split(|&byte| byte == b',') {
        let parts: Vec<&[u8]> = member.split(|&byte| byte == b';').map(trim).collect();
        let weight = match parts.get(1) {
            None => Some(1000),
            Some(weight) => self::weight(weight),
        };
        if let Some(weight) = weight {
            let name = parts[0].to_ascii_lowercase();
            let name = if name == b"x-gzip" { b"gzip".to_vec() } else { name };
            weights.insert(name, weight);
        }
    }
    let any = weights.get(&b"*"[..]).copied();
    let plain = weights.get(&b"identity"[..]).copied().or(any).unwrap_or(0);
    let mut codings = Vec::new();
    for weight in (1..=1000).rev() {
        for name in ["br", "zstd", "gzip"] {
            let has = weights.get(name.as_bytes()).copied().or(any);
            if has == Some(weight) && weight >= plain {
                codings.push(name);
            }
        }
    }
    codings
}

/// `"q=" ( "0" [ "." 0*3DIGIT ] / "1" [ "." 0*3"0" ] )`, in thousandths.
fn weight(parameter: &[u8]) -> Option<u32> {
    let value = std::str::from_utf8(parameter).ok()?;
    let value = value.strip_prefix("q=").or(value.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The tags of a list, each with whether it is weak; `None` if the list is malformed
/// (section 8.8.3).
pub fn tags(field: &[u8]) -> Option<Vec<(bool, Vec<u8>)>> {
    let mut tags = Vec::new();
    let mut rest = field;
    loop {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Some(tags);
        }
        let is_weak = rest.starts_with(b"W/");
        let quoted = if is_weak { &rest[2..] } else { rest };
        let inside = quoted.strip_prefix(b"\"")?;
        let end = inside.iter().position(|&byte| byte == b'"')?;
        if !inside[..end].iter().all(|&byte| matches!(byte, b'!' | b'#'..=b'~' | 0x80..)) {
            return None;
        }
        tags.push((is_weak, quoted[..end + 2].to_vec()));
        rest = trim(&inside[end + 1..]);
        if !matches!(rest, [] | [b',', ..]) {
            return None;
        }
    }
}
