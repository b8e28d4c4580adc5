//! How long clients may use a file without revalidation: `Cache-Control` (RFC 9111, section 5.2)
//! by pattern.

use std::fmt;

use glob::{MatchOptions, Pattern, PatternError};

use super::cache_directives::{self, NoDirective, is_directive};
use super::media_type::MediaType;
use crate::foreign_pattern;

/// Web pages are revalidated before each use: they name the other files of a site, and must not
/// name old ones.
const OF_PAGES: &str = "no-cache";

/// A response that caches may use for longer than this without revalidation lives for long. A
/// cached lookup may be a second behind; in a cache that keeps it for a minute that hardly
/// matters.
const LONG_SECONDS: u64 = 60;

/// Whether this value of `Cache-Control` lets a response be used for long without revalidation.
pub fn is_for_long(value: &[u8]) -> bool {
    let mut is_for_long = false;
    for directive in value.split(|&byte| byte == b',') {
        let mut parts = directive.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            // Whatever else the field has, each use is revalidated, or nothing is stored.
            b"no-cache" | b"no-store" => return false,
            b"immutable" => is_for_long = true,
            b"max-age" | b"s-maxage" => {
                let seconds = parts.next().unwrap_or_default().trim_ascii();
                let seconds = seconds.strip_prefix(b"\"").unwrap_or(seconds);
                let seconds = seconds.strip_suffix(b"\"").unwrap_or(seconds);
                let number = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
                // Caches may take a malformed or too large number for anything.
                is_for_long |= number.is_none_or(|seconds: u64| seconds > LONG_SECONDS);
            }
            _ => {}
        }
    }
    is_for_long
}

/// A pattern and the field value of the files that it matches.
#[derive(Clone, Debug)]
pub struct Rule {
    pattern: Pattern,
    /// Whether the pattern is for paths, and not for the last name of each.
    is_for_paths: bool,
    value: String,
}

/// Why a text is no rule.
#[derive(Debug)]
pub enum RuleError {
    /// It has no `=`.
    NoValue,
    /// Its value is empty or not printable ASCII.
    Value,
    /// Its value says something that caches do not understand.
    NoDirective(NoDirective),
    /// Its pattern is empty.
    NoPattern,
    /// It is a value without a pattern.
    ValueAlone(String),
    /// Its pattern is malformed.
    Pattern(PatternError),
    /// Its pattern, which can match no file, and what to write.
    MatchesNothing(String, String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::NoValue => {
                f.write_str("there is no `=`; write PATTERN=VALUE, as in '*.css=max-age=3600'")
            }
            RuleError::Value => f.write_str("the value is empty or not printable ASCII"),
            RuleError::NoDirective(error) => error.fmt(f),
            RuleError::ValueAlone(value) => {
                write!(f, "there is no pattern; for all files write '*={value}'")
            }
            RuleError::NoPattern => f.write_str("the pattern is empty; '*' is for all files"),
            RuleError::Pattern(error) => write!(f, "the pattern is malformed: {error}"),
            RuleError::MatchesNothing(pattern, instead) => {
                write!(f, "`{pattern}` matches no file: {instead}")
            }
        }
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// Reads `PATTERN=VALUE`, as in `assets/**=public, max-age=31536000, immutable`.
    ///
    /// A pattern with a `/` is for the path below the root, any other for the file's
    /// name, wherever it is. `*` stands for anything but `/`, `**` for any folders.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        let first = text.split(['=', ',']).next().unwrap_or_default();
        if is_directive(first.trim()) && cache_directives::check(text).is_ok() {
            return Err(RuleError::ValueAlone(text.to_owned()));
        }
        let (pattern, value) = text.split_once('=').ok_or(RuleError::NoValue)?;
        if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(RuleError::Value);
        }
        if pattern.is_empty() {
            return Err(RuleError::NoPattern);
        }
        cache_directives::check(value).map_err(RuleError::NoDirective)?;
        if let Some(instead) = instead(pattern) {
            return Err(RuleError::MatchesNothing(pattern.to_owned(), instead));
        }
        let is_for_paths = pattern.contains('/');
        let pattern = Pattern::new(pattern.trim_start_matches('/')).map_err(RuleError::Pattern)?;
        Ok(Rule { pattern, is_for_paths, value: value.to_owned() })
    }

    fn matches(&self, path: &str) -> bool {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let subject = if self.is_for_paths { path } else { name };
        self.pattern.matches_with(subject, options)
    }
}

/// The value of `Cache-Control` for the file with this path: that of the first rule that matches.
/// Without one pages are revalidated, and other files have no field: how long they are fresh is the
/// client's judgement (RFC 9111, section 4.2.2), unless the guest gives a field of its own.
pub(super) fn of(path: &str, media_type: MediaType, rules: &[Rule]) -> Option<String> {
    let rule = rules.iter().find(|rule| rule.matches(path));
    rule.map(|rule| rule.value.as_str())
        .or(media_type.is_html().then_some(OF_PAGES))
        .map(str::to_owned)
}

/// What to write in place of a pattern that can match no file.
fn instead(pattern: &str) -> Option<String> {
    let is_folder = pattern.ends_with('/');
    // A file of that name is called by its extension alone.
    let is_extension = pattern.starts_with('.')
        && !pattern.contains(['/', '*', '?', '['])
        && MediaType::of(&format!("x{pattern}")) != MediaType::of("x");
    match (is_folder, is_extension) {
        (true, _) => Some(format!("for all files beneath the folder write `{pattern}**`")),
        (_, true) => Some(format!("for all with that extension write `*{pattern}`")),
        _ => foreign_pattern::instead(pattern, "*.css"),
    }
}

#[cfg(test)]
mod tests {
    use super::{MediaType, Rule, is_for_long, of};

    #[test]
    fn value_that_lives_for_more_than_a_minute_is_for_long() {
        for (value, expected) in [
            ("public, max-age=31536000, immutable", true),
            ("immutable", true),
            ("MAX-AGE=61", true),
            ("max-age=60", false),
            ("max-age = \"3600\"", true),
            ("s-maxage=600", true),
            ("max-age=0, s-maxage=3600", true),
            ("max-age=99999999999999999999999", true),
            ("max-age=often", true),
            ("no-cache", false),
            ("max-age=31536000, no-cache", false),
            ("no-store, max-age=31536000", false),
            ("max-age=5, stale-while-revalidate=60", false),
            ("private", false),
            ("", false),
        ] {
            assert_eq!(is_for_long(value.as_bytes()), expected, "{value}");
        }
    }

    fn check(rules: &[&str], path: &str, expected: Option<&str>) {
        let rules: Vec<_> = rules.iter().map(|rule| Rule::parse(rule).expect("a rule")).collect();
        let value = of(path, MediaType::of(path), &rules);
        assert_eq!(value.as_deref(), expected, "{path} by {rules:?}");
    }

    #[test]
    fn without_rules_pages_are_revalidated() {
        check(&[], "index.html", Some("no-cache"));
        check(&[], "a/style.css", None);
    }

    #[test]
    fn first_rule_that_matches_is_used() {
        let rules = ["assets/**/*=immutable", "*.css=max-age=60", "/index.html=no-store"];
        check(&rules, "assets/app.css", Some("immutable"));
        check(&rules, "assets/a/b/app.js", Some("immutable"));
        check(&["assets/**=immutable"], "assets/app.css", Some("immutable"));
        check(&["assets/**=immutable"], "assets/a/b/app.js", Some("immutable"));
        check(&["assets/**=immutable"], "other/app.js", None);
        check(&["assets/*=immutable"], "assets/a/app.js", None);
        check(&rules, "style.css", Some("max-age=60"));
        check(&rules, "a/style.css", Some("max-age=60"));
        check(&rules, "index.html", Some("no-store"));
        check(&rules, "a/index.html", Some("no-cache"));
        check(&rules, "a/app.js", None);
    }

    #[test]
    fn malformed_rule_is_an_error() {
        for (text, part) in [
            ("*.css", "no `=`"),
            ("*.css=", "empty"),
            ("*.css=a\r\nb", "printable"),
            ("[=no-store", "malformed"),
            (".js=no-store", "write `*.js`"),
            ("assets/=no-store", "write `assets/**`"),
            ("*.{png,jpg}=no-store", "`*.png`, `*.jpg`"),
            ("~*\\.png$=no-store", "regular expression"),
            ("=no-store", "'*' is for all files"),
            ("*=3600", "write max-age=3600"),
            ("max-age=3600", "write '*=max-age=3600'"),
            ("public, max-age=60", "write '*=public, max-age=60'"),
            ("no-store", "write '*=no-store'"),
        ] {
            let error = Rule::parse(text).expect_err("no rule").to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
