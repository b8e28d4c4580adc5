//! Negotiation of content: the language that a client prefers (RFC 9110, section 12.5.4), found
//! by lookup (RFC 4647, section 3.4).

/// The available language that matches the ranges of `accept-language` best, if any does.
///
/// Of ranges with the same quality the first counts. A range also matches a less specific
/// tag (`de-AT` matches `de`), and if there is none, a more specific one (`zh` matches
/// `zh-Hans`). A malformed range is ignored.
///
/// ```
/// use innkeeper_guest::negotiation::best_language;
///
/// let ranges = ["da", "en-gb;q=0.8", "en;q=0.7"].into_iter();
/// assert_eq!(best_language(ranges, &["fr", "en-GB", "en"]), Some("en-GB"));
/// ```
pub fn best_language<'r, 'a>(
    ranges: impl Iterator<Item = &'r str>,
    available: &[&'a str],
) -> Option<&'a str> {
    let ranges: Vec<_> = ranges.filter_map(Range::parse).collect();
    let is_refused =
        |tag: &str| ranges.iter().any(|range| range.quality == 0 && is_same(range.tag, tag));
    let open: Vec<_> = available.iter().copied().filter(|tag| !is_refused(tag)).collect();
    let mut best = None;
    let mut quality = 0;
    for range in ranges.iter().filter(|range| range.tag != "*") {
        if range.quality > quality
            && let Some(tag) = range.lookup(&open)
        {
            (best, quality) = (Some(tag), range.quality);
        }
    }
    // `*` matches any language that no other range names.
    if ranges.iter().any(|range| range.tag == "*" && range.quality > quality) {
        let is_named = |tag: &str| ranges.iter().any(|range| is_same(range.tag, tag));
        return open.into_iter().find(|tag| !is_named(tag)).or(best);
    }
    best
}

/// The language that the client prefers to all others: the first of those with the highest
/// quality. `None` if it prefers none, as with `*`.
pub fn preferred_language<'r>(ranges: impl Iterator<Item = &'r str>) -> Option<&'r str> {
    let mut best: Option<Range<'r>> = None;
    for range in ranges.filter_map(Range::parse) {
        if range.quality > best.as_ref().map_or(0, |best| best.quality) {
            best = Some(range);
        }
    }
    best.map(|range| range.tag).filter(|tag| *tag != "*")
}

/// Whether a language is this one or more specific: `de-AT` is within `de` (RFC 4647, section
/// 3.3.1).
pub fn is_within(language: &str, range: &str) -> bool {
    language.get(..range.len()).is_some_and(|start| is_same(start, range))
        && matches!(language.as_bytes().get(range.len()), None | Some(b'-'))
}

/// One element of the field: a language range and its quality.
struct Range<'a> {
    tag: &'a str,
    /// In thousandths. 0 is a refusal.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Range<'a>> {
        let (tag, weight) = match element.split_once(';') {
            Some((tag, weight)) => (tag.trim_end(), Some(weight.trim_start())),
            None => (element, None),
        };
        let is_tag = |tag: &str| {
            tag.split('-').all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            })
        };
        let quality = match weight {
            Some(weight) => quality(weight.strip_prefix(['q', 'Q'])?.strip_prefix('=')?)?,
            None => 1000,
        };
        (tag == "*" || is_tag(tag)).then_some(Range { tag, quality })
    }

    /// The available language that this range matches.
    fn lookup<'t>(&self, available: &[&'t str]) -> Option<&'t str> {
        let mut tag = self.tag;
        loop {
            if let Some(found) = available.iter().copied().find(|one| is_same(one, tag)) {
                return Some(found);
            }
            match tag.rsplit_once('-') {
                Some((shorter, _)) => tag = shorter,
                None => break,
            }
        }
        // None is the same: it would have been found.
        available.iter().copied().find(|one| is_within(one, self.tag))
    }
}

/// Language tags are the same in any letter case.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Parses a quality, `0` to `1` with up to three digits after the dot
/// (RFC 9110, section 12.4.2).
fn quality(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let place_values = [100, 10, 1];
    let thousandths = digits
        .bytes()
        .zip(place_values)
        .map(|(digit, value)| u16::from(digit - b'0') * value)
        .sum();
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::best_language;

    #[track_caller]
    fn check(field: &str, available: &[&'static str], expected: Option<&str>) {
        let ranges = field.split(',').map(str::trim);
        assert_eq!(best_language(ranges, available), expected, "{field:?} of {available:?}");
    }

    #[test]
    fn example_of_rfc_9110_is_matched() {
        let field = "da, en-gb;q=0.8, en;q=0.7";
        check(field, &["en", "da"], Some("da"));
        check(field, &["en", "en-GB"], Some("en-GB"));
        check(field, &["fr", "en-US", "en"], Some("en"));
        check(field, &["fr"], None);
    }

    #[test]
    fn range_matches_a_less_specific_tag() {
        // RFC 4647, section 3.4.
        check("zh-Hant-CN-x-private1-private2", &["zh", "zh-Hant"], Some("zh-Hant"));
        check("de-CH-1996", &["de", "de-DE"], Some("de"));
        check("de-AT, fr", &["fr", "de"], Some("de"));
        check("zh-TW", &["zh-Hans"], None);
    }

    #[test]
    fn range_matches_a_more_specific_tag_if_there_is_no_other() {
        check("zh", &["en", "zh-Hans"], Some("zh-Hans"));
        check("zh", &["zh-Hans", "zh"], Some("zh"));
        check("z", &["zh"], None);
        check("zh-H", &["zh-Hans"], None);
    }

    #[test]
    fn quality_comes_before_order() {
        check("en;q=0.5, de", &["en", "de"], Some("de"));
        check("en;q=0.501, de;q=0.502", &["en", "de"], Some("de"));
        check("en;q=0.5, de;q=0.5", &["de", "en"], Some("en"));
        check("EN ; Q=0.5, DE;q=0.4", &["de", "en"], Some("en"));
        check("fr, de;q=0.1", &["en", "de"], Some("de"));
        check("en;q=1.000, de;q=1.0", &["de", "en"], Some("en"));
    }

    #[test]
    fn refused_language_is_not_chosen() {
        check("en;q=0", &["en"], None);
        check("*, en;q=0", &["en", "de"], Some("de"));
        check("en-GB, en;q=0.000", &["en"], None);
        check("de, *;q=0", &["en", "de"], Some("de"));
        check("fr, *;q=0", &["en", "de"], None);
    }

    #[test]
    fn star_matches_a_language_that_no_other_range_names() {
        check("*", &["en", "de"], Some("en"));
        check("fr, *;q=0.5", &["en", "de"], Some("en"));
        check("de, *;q=0.5", &["en", "de"], Some("de"));
        check("en;q=0.1, *;q=0.9", &["en", "de"], Some("de"));
        check("en;q=0.1, *;q=0.9", &["en"], Some("en"));
    }

    #[test]
    fn malformed_range_is_ignored() {
        for element in [
            "",
            ";",
            ";q=1",
            "de;",
            "de;q",
            "de;q=",
            "de;q=2",
            "de;q=1.1",
            "de;q=0.1234",
            "de;q=-1",
            "de;q=.5",
            "de;q=0,5",
            "de;p=1",
            "de;q=1;q=1",
            "de--at",
            "-de",
            "de-",
            "abcdefghi",
            "d_e",
            "**",
            "de-*",
            "q=1",
        ] {
            check(&format!("{element}, en;q=0.001"), &["de", "en"], Some("en"));
        }
    }
}
