//! Conditional requests (RFC 9110, section 13): whether a file is sent, or only
//! the word that the client has it already. What a date is worth stands in
//! [`super::validators`].

use std::time::SystemTime;

use super::validators::Validators;

/// The conditions of a request: the values of the fields, joined by commas where
/// one came in several lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`
    pub if_match: Option<Vec<u8>>,
    /// `If-None-Match`
    pub if_none_match: Option<Vec<u8>>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<Vec<u8>>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<Vec<u8>>,
    /// `If-Range`
    pub if_range: Option<Vec<u8>>,
}

/// What the conditions come to, for a GET or HEAD of a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request proceeds as if it had none.
    Proceed,
    /// The client has this version: 304.
    NotModified,
    /// The client asked for another version: 412.
    Failed,
}

impl Conditions {
    /// Evaluates them in the order of RFC 9110, section 13.2.2.
    pub fn evaluate(&self, file: &Validators) -> Verdict {
        self.verdict(
            |tags, comparison| lists(tags, file, comparison),
            |date| is_unmodified_since(date, file),
            // A later date than that of the file may be the date of a version that was here before.
            |date| file.modified == Some(date),
        )
    }

    /// The same for content that has this entity tag, as it stands in `ETag`, and no date.
    pub fn evaluate_tag(&self, tag: &str) -> Verdict {
        let lists = |tags: &[u8], comparison| lists_tag(tags, Some(tag), comparison);
        self.verdict(lists, |_| true, |_| false)
    }

    /// By whether entity tags list the content, whether it is unmodified since a date, and whether
    /// it is the version of a date. A date that is none is ignored.
    fn verdict(
        &self,
        lists: impl Fn(&[u8], Comparison) -> bool,
        is_unmodified_since: impl Fn(SystemTime) -> bool,
        is_of: impl Fn(SystemTime) -> bool,
    ) -> Verdict {
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => lists(tags, Comparison::Strong),
            (None, Some(date)) => parse_date(date).is_none_or(is_unmodified_since),
            (None, None) => true,
        };
        if !holds {
            return Verdict::Failed;
        }
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => lists(tags, Comparison::Weak),
            (None, Some(date)) => parse_date(date).is_some_and(is_of),
            (None, None) => false,
        };
        if is_known { Verdict::NotModified } else { Verdict::Proceed }
    }

    /// Whether a range of this version is of use to the client: `If-Range` names it, or the
    /// client did not say which version it has a part of.
    ///
    /// Only a strong entity tag names a version well enough (RFC 9110, sections 13.1.5 and
    /// 8.8.2.2). For a date, in `If-Range` or in `If-Unmodified-Since` beside a range, the whole file
    /// is sent.
    pub fn allow_range(&self, file: &Validators) -> bool {
        match &self.if_range {
            Some(value) => file.tag.is_some_and(|tag| tag.to_string().as_bytes() == value),
            None => {
                self.if_match.is_some()
                    || self.if_unmodified_since.as_deref().and_then(parse_date).is_none()
            }
        }
    }
}

/// Whether a file was not modified after this date. Where its file system has no such time,
/// the condition is ignored (RFC 9110, section 13.1.4).
fn is_unmodified_since(date: SystemTime, file: &Validators) -> bool {
    file.modified.is_some_and(|modified| modified <= date)
        || file.changed.is_none_or(|changed| changed <= date)
}

/// How entity tags are compared (RFC 9110, section 8.8.3.2). Ours are strong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag is equal to none.
    Strong,
    /// `W/` does not matter.
    Weak,
}

/// Whether a list of entity tags names this version of a file.
fn lists(tags: &[u8], file: &Validators, comparison: Comparison) -> bool {
    lists_tag(tags, file.tag.map(|tag| tag.to_string()).as_deref(), comparison)
}

/// Whether a list of entity tags has this one; `*` names every version that
/// exists. What is malformed names nothing.
fn lists_tag(tags: &[u8], tag: Option<&str>, comparison: Comparison) -> bool {
    if tags == b"*" {
        return true;
    }
    let Some(tag) = tag else {
        return false;
    };
    let mut rest = tags;
    loop {
        rest = rest.trim_ascii_start();
        while let [b',', after @ ..] = rest {
            rest = after.trim_ascii_start();
        }
        let is_weak = rest.starts_with(b"W/");
        let opaque = if is_weak { &rest[2..] } else { rest };
        let [b'"', inside @ ..] = opaque else {
            return false;
        };
        let Some(end) = inside.iter().position(|&byte| byte == b'"') else {
            return false;
        };
        let listed = &opaque[..end + 2];
        if listed == tag.as_bytes() && (!is_weak || comparison == Comparison::Weak) {
            return true;
        }
        rest = &inside[end + 1..];
    }
}

/// Reads a date in any of HTTP's three formats (RFC 9110, section 5.6.7).
fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Verdict};
    use crate::files::validators::{Validators, Version};
    use std::time::{Duration, UNIX_EPOCH};

    /// Modified at the time of the RFC's example, `Sun, 06 Nov 1994 08:49:37 GMT`.
    fn file() -> Validators {
        let modified_ns = 784_111_777_000_000_000;
        let version =
            Version { device: 1, inode: 1, length: 2, modified_ns, changed_ns: modified_ns };
        Validators::of(version, UNIX_EPOCH + Duration::from_secs(900_000_000))
    }

    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sunday, 06-Nov-94 08:49:36 GMT";
    const AFTER: &str = "Sun Nov  6 08:49:38 1994";

    fn conditions(fields: &[(&str, &str)]) -> Conditions {
        let mut conditions = Conditions::default();
        for (name, value) in fields {
            let value = Some(value.replace("TAG", &file().tag.expect("a tag").to_string()).into());
            match *name {
                "if-match" => conditions.if_match = value,
                "if-none-match" => conditions.if_none_match = value,
                "if-modified-since" => conditions.if_modified_since = value,
                "if-unmodified-since" => conditions.if_unmodified_since = value,
                "if-range" => conditions.if_range = value,
                _ => panic!("no condition: {name}"),
            }
        }
        conditions
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: Verdict) {
        assert_eq!(conditions(fields).evaluate(&file()), expected, "for {fields:?}");
    }

    #[test]
    fn without_conditions() {
        check(&[], Verdict::Proceed);
    }

    #[test]
    fn if_none_match() {
        for (value, expected) in [
            ("TAG", Verdict::NotModified),
            ("W/TAG", Verdict::NotModified),
            ("*", Verdict::NotModified),
            (r#""a", TAG"#, Verdict::NotModified),
            (r#""a,b" , , W/TAG, "c""#, Verdict::NotModified),
            (r#""a""#, Verdict::Proceed),
            (r#"W/"a""#, Verdict::Proceed),
            ("", Verdict::Proceed),
            ("unquoted", Verdict::Proceed),
            ("\"unended", Verdict::Proceed),
            ("w/TAG", Verdict::Proceed),
        ] {
            check(&[("if-none-match", value)], expected);
        }
    }

    #[test]
    fn if_match() {
        for (value, expected) in [
            ("TAG", Verdict::Proceed),
            ("*", Verdict::Proceed),
            (r#""a", TAG"#, Verdict::Proceed),
            ("W/TAG", Verdict::Failed),
            (r#""a""#, Verdict::Failed),
            ("unquoted", Verdict::Failed),
        ] {
            check(&[("if-match", value)], expected);
        }
    }

    #[test]
    fn dates() {
        check(&[("if-modified-since", AT)], Verdict::NotModified);
        check(&[("if-modified-since", AFTER)], Verdict::Proceed);
        check(&[("if-modified-since", BEFORE)], Verdict::Proceed);
        check(&[("if-modified-since", "yesterday")], Verdict::Proceed);
        check(&[("if-unmodified-since", AT)], Verdict::Proceed);
        check(&[("if-unmodified-since", AFTER)], Verdict::Proceed);
        check(&[("if-unmodified-since", BEFORE)], Verdict::Failed);
        check(&[("if-unmodified-since", "yesterday")], Verdict::Proceed);
    }

    #[test]
    fn entity_tag_precedes_date() {
        check(&[("if-none-match", "\"a\""), ("if-modified-since", AFTER)], Verdict::Proceed);
        check(&[("if-none-match", "TAG"), ("if-modified-since", BEFORE)], Verdict::NotModified);
        check(&[("if-match", "TAG"), ("if-unmodified-since", BEFORE)], Verdict::Proceed);
    }

    #[test]
    fn if_match_precedes_if_none_match() {
        check(&[("if-match", "\"a\""), ("if-none-match", "TAG")], Verdict::Failed);
        check(&[("if-match", "TAG"), ("if-none-match", "TAG")], Verdict::NotModified);
        check(&[("if-unmodified-since", BEFORE), ("if-none-match", "TAG")], Verdict::Failed);
    }

    #[test]
    fn version_without_validators_never_matches() {
        let young = Validators { tag: None, modified: None, ..file() };
        for (name, value, expected) in [
            ("if-none-match", "TAG", Verdict::Proceed),
            ("if-modified-since", AT, Verdict::Proceed),
            ("if-modified-since", AFTER, Verdict::Proceed),
            ("if-match", "TAG", Verdict::Failed),
            ("if-unmodified-since", BEFORE, Verdict::Failed),
            ("if-unmodified-since", AFTER, Verdict::Proceed),
        ] {
            assert_eq!(conditions(&[(name, value)]).evaluate(&young), expected, "{name}");
        }
        assert!(!conditions(&[("if-range", AT)]).allow_range(&young));
    }

    #[test]
    fn file_without_time_of_change_ignores_dates() {
        let timeless = Validators { modified: None, changed: None, ..file() };
        for name in ["if-modified-since", "if-unmodified-since"] {
            for date in [BEFORE, AT, AFTER] {
                let verdict = conditions(&[(name, date)]).evaluate(&timeless);
                assert_eq!(verdict, Verdict::Proceed, "{name}: {date}");
            }
        }
    }

    #[test]
    fn if_range() {
        for (value, expected) in [
            ("TAG", true),
            (AT, false),
            ("W/TAG", false),
            ("\"a\"", false),
            (BEFORE, false),
            (AFTER, false),
            ("", false),
            ("yesterday", false),
        ] {
            assert_eq!(
                conditions(&[("if-range", value)]).allow_range(&file()),
                expected,
                "{value}"
            );
        }
        assert!(conditions(&[]).allow_range(&file()));
    }

    #[test]
    fn date_never_validates_a_range() {
        for (fields, expected) in [
            (&[("if-unmodified-since", AT)][..], false),
            (&[("if-unmodified-since", AFTER)], false),
            (&[("if-unmodified-since", "yesterday")], true),
            (&[("if-unmodified-since", AT), ("if-match", "TAG")], true),
            (&[("if-unmodified-since", AT), ("if-range", "TAG")], true),
            (&[("if-modified-since", BEFORE)], true),
        ] {
            assert_eq!(conditions(fields).allow_range(&file()), expected, "{fields:?}");
        }
    }
}
