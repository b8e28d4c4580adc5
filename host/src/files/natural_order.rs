//! The order in which people sort names: `file2` before `file10`, and `b` after `A`.

use std::cmp::Ordering;

/// Compares names: digits by the number that they are, letters whether large or small. Names that
/// are then equal are in the order of their bytes.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    by_words(one, other).then_with(|| one.cmp(other))
}

fn by_words(mut one: &str, mut other: &str) -> Ordering {
    loop {
        let (Some(a), Some(b)) = (one.chars().next(), other.chars().next()) else {
            return one.len().cmp(&other.len());
        };
        let order = match a.is_ascii_digit() && b.is_ascii_digit() {
            true => {
                let (a, b) = (number(&mut one), number(&mut other));
                // Without zeros at their beginning: the longer one is larger.
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }
            false => {
                (one, other) = (&one[a.len_utf8()..], &other[b.len_utf8()..]);
                match a.is_ascii() && b.is_ascii() {
                    true => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
                    false => a.to_lowercase().cmp(b.to_lowercase()),
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits at the beginning of a text, and returns them without zeros before them.
fn number<'a>(text: &mut &'a str) -> &'a str {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn names_are_in_the_order_of_people() {
        let sorted = [
            "",
            "!",
            "0",
            "00",
            "01.txt",
            "1.txt",
            "2.txt",
            "10.txt",
            "99999999999999999999998",
            "99999999999999999999999",
            "100000000000000000000000",
            "A",
            "a",
            "a 1",
            "a0b",
            "B",
            "b",
            "File2a",
            "file2b",
            "file10",
            "v1.2.10",
            "v1.10.2",
            "\u{c4}",
            "\u{e4}",
            "\u{e9}2",
            "\u{c9}10",
            "\u{4f60}2",
            "\u{4f60}10",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, sorted);
    }

    #[test]
    fn order_is_total() {
        let letters = ["", "a", "A", "1", "01", "10", "-", "\u{e9}", "\u{c9}"];
        let mut names = Vec::new();
        for a in letters {
            for b in letters {
                for c in letters {
                    names.push([a, b, c].concat());
                }
            }
        }
        names.sort();
        names.dedup();
        // Sorting panics, or leaves something out of order, where the order contradicts itself.
        names.sort_by(|a, b| compare(a, b));
        for (nth, one) in names.iter().enumerate() {
            assert!(names[nth + 1..].iter().all(|other| compare(one, other).is_lt()), "{one}");
        }
    }
}
