//! Range requests (RFC 9110, section 14): which bytes of a file are wanted.

/// Ranges of one request, where no other number is set. A player or a document reader asks for a
/// few. A client that asks for many small ones may want to keep the server busy, and gets the whole
/// file.
pub const MAX_RANGES: usize = 32;

/// What a `Range` field means for a file of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No range, or one that we may ignore: send everything.
    Whole,
    /// Exactly these bytes.
    Part(Part),
    /// Several parts in the order of the request, two at least, none of which overlap.
    Parts(Vec<Part>),
    /// Well formed, but nothing of it lies inside the file: 416.
    Nothing,
}

/// Some bytes of a file: at least one, both ends inclusive and inside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

impl Part {
    /// How many bytes it has.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Wanted {
    /// Reads the value of a `Range` field for a file of this length.
    ///
    /// A field that is malformed, or of another unit than bytes, is ignored, as
    /// RFC 9110, section 14.2 asks. So are, as it allows, ranges of an empty file
    /// (which has no byte that could be left out), sets that overlap and sets of
    /// more than `most` ranges: a response is never longer than the file and the heads
    /// of the parts.
    pub fn of(field: &[u8], length: u64, most: usize) -> Wanted {
        if length == 0 {
            return Wanted::Whole;
        }
        let Some(parts) = parse(field, length, most) else {
            return Wanted::Whole;
        };
        match parts.as_slice() {
            [] => Wanted::Nothing,
            [part] => Wanted::Part(*part),
            _ if overlap(&parts) => Wanted::Whole,
            _ => Wanted::Parts(parts),
        }
    }
}

/// The parts that lie inside the file. `None` if the field is to be ignored.
fn parse(field: &[u8], length: u64, most: usize) -> Option<Vec<Part>> {
    let (unit, set) = std::str::from_utf8(field).ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let mut ranges = 0;
    for range in set.split(',').map(|range| range.trim_matches([' ', '\t'])) {
        if range.is_empty() {
            continue;
        }
        ranges += 1;
        if ranges > most {
            return None;
        }
        parts.extend(parse_range(range, length)?);
    }
    (ranges > 0).then_some(parts)
}

/// One range: `Some(None)` if it lies outside the file, `None` if it is malformed.
fn parse_range(range: &str, length: u64) -> Option<Option<Part>> {
    let end = length - 1;
    match range.split_once('-')? {
        ("", suffix) => {
            // A suffix longer than the file means all of it.
            let count = number(suffix)?.min(length);
            Some((count > 0).then(|| Part { first: length - count, last: end }))
        }
        (first, "") => {
            let first = number(first)?;
            Some((first <= end).then_some(Part { first, last: end }))
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            Some((first <= end).then(|| Part { first, last: last.min(end) }))
        }
    }
}

/// `1*DIGIT`. A number that does not fit into 64 bits is beyond any file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn overlap(parts: &[Part]) -> bool {
    let mut sorted = parts.to_vec();
    sorted.sort_by_key(|part| part.first);
    sorted.windows(2).any(|pair| pair[0].last >= pair[1].first)
}

#[cfg(test)]
mod tests {
    use super::{MAX_RANGES, Part, Wanted};

    #[track_caller]
    fn check(length: u64, field: &str, expected: &str) {
        let text = |part: &Part| format!("{}-{}", part.first, part.last);
        let wanted = match Wanted::of(field.as_bytes(), length, MAX_RANGES) {
            Wanted::Whole => "200".to_owned(),
            Wanted::Part(part) => format!("206 {}", text(&part)),
            Wanted::Parts(parts) => {
                format!("206 {}", parts.iter().map(text).collect::<Vec<_>>().join(","))
            }
            Wanted::Nothing => "416".to_owned(),
        };
        assert_eq!(wanted, expected, "for {field:?} of {length}");
    }

    /// Section 14.1.2.
    #[test]
    fn the_examples_of_rfc_9110() {
        check(10_000, "bytes=0-499", "206 0-499");
        check(10_000, "bytes=500-999", "206 500-999");
        check(10_000, "bytes=-500", "206 9500-9999");
        check(10_000, "bytes=9500-", "206 9500-9999");
        check(10_000, "bytes=0-0,-1", "206 0-0,9999-9999");
        check(10_000, "bytes= 0-0, -1", "206 0-0,9999-9999");
        check(10_000, "bytes= 0-999, 4500-5499, -1000", "206 0-999,4500-5499,9000-9999");
        check(10_000, "bytes=500-600,601-999", "206 500-600,601-999");
        check(10_000, "bytes=500-700,601-999", "200");
    }

    #[test]
    fn suffix_range_longer_than_file_is_whole_file() {
        check(100, "bytes=-500", "206 0-99");
        check(100, "bytes=-100", "206 0-99");
    }

    #[test]
    fn range_that_ends_beyond_file_ends_with_file() {
        check(100, "bytes=50-500", "206 50-99");
        check(100, "bytes=99-", "206 99-99");
    }

    #[test]
    fn outside_the_file() {
        check(100, "bytes=100-", "416");
        check(100, "bytes=100-200", "416");
        check(100, "bytes=-0", "416");
        check(100, "bytes=100-,-0", "416");
        check(100, "bytes=0-1,100-", "206 0-1");
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=9-1",
            "bytes=a-b",
            "bytes=0x1-2",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1 -2",
            "bytes=0-1;2-3",
            "bytes=0-1,x",
            "items=0-1",
            "0-1",
            "bytes 0-1",
        ] {
            check(100, field, "200");
        }
    }

    #[test]
    fn range_unit_is_case_insensitive() {
        check(100, "Bytes=0-1", "206 0-1");
    }

    #[test]
    fn range_of_empty_file_is_whole_file() {
        check(0, "bytes=0-", "200");
        check(0, "bytes=-1", "200");
        check(0, "bytes=5-9", "200");
    }

    #[test]
    fn range_numbers_beyond_64_bits_are_beyond_file() {
        check(100, "bytes=0-18446744073709551615", "206 0-99");
        check(100, "bytes=0-99999999999999999999999", "206 0-99");
        check(100, "bytes=99999999999999999999999-", "416");
        check(100, "bytes=-99999999999999999999999", "206 0-99");
        check(5 << 30, "bytes=5000000000-5000000009", "206 5000000000-5000000009");
        check(u64::MAX, "bytes=-1", "206 18446744073709551614-18446744073709551614");
    }

    #[test]
    fn overlapping_and_many_ranges_are_whole_file() {
        let many = |count: u64| {
            let ranges: Vec<_> = (0..count).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
            format!("bytes={}", ranges.join(","))
        };
        check(10_000, &many(33), "200");
        let wanted = |most| Wanted::of(many(32).as_bytes(), 10_000, most);
        assert!(matches!((wanted(32), wanted(31)), (Wanted::Parts(_), Wanted::Whole)));
        check(100, "bytes=0-,0-,0-", "200");
        check(100, "bytes=0-,0-,0-,x", "200");
    }
}
