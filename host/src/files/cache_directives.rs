//! What a `Cache-Control` of responses may say (RFC 9111, section 5.2.2): an operator's value that
//! no cache understands does nothing, and looks as if it did.

use std::fmt;

use crate::http::token::is_token;

/// Those of the registry that are for responses
/// (<https://www.iana.org/assignments/http-cache-directives>), and what stands behind their `=`.
const DIRECTIVES: [(&str, Argument); 13] = [
    ("immutable", Argument::None),
    ("max-age", Argument::Seconds),
    ("must-revalidate", Argument::None),
    ("must-understand", Argument::None),
    ("no-cache", Argument::Fields),
    ("no-store", Argument::None),
    ("no-transform", Argument::None),
    ("private", Argument::Fields),
    ("proxy-revalidate", Argument::None),
    ("public", Argument::None),
    ("s-maxage", Argument::Seconds),
    ("stale-if-error", Argument::Seconds),
    ("stale-while-revalidate", Argument::Seconds),
];

/// Names that are near: less than this they have nothing in common (Jaro-Winkler similarity).
const SIMILAR: f64 = 0.85;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    None,
    Seconds,
    /// Names of fields, quoted; optional.
    Fields,
}

/// A directive that caches do not understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDirective {
    directive: String,
    advice: String,
}

impl fmt::Display for NoDirective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no directive of caches; {}", self.directive, self.advice)
    }
}

/// Whether this is the name of a directive.
pub(super) fn is_directive(name: &str) -> bool {
    argument(name).is_some()
}

/// Refuses a value with a directive that caches ignore.
pub(super) fn check(value: &str) -> Result<(), NoDirective> {
    directives(value).into_iter().try_for_each(check_one)
}

/// The members of the list. A comma may stand in quotes.
fn directives(value: &str) -> Vec<&str> {
    let mut is_quoted = false;
    value
        .split(|c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        })
        .map(str::trim)
        .collect()
}

fn check_one(directive: &str) -> Result<(), NoDirective> {
    let wrong = |advice: String| NoDirective { directive: directive.to_owned(), advice };
    let (name, given) = match directive.split_once('=') {
        Some((name, given)) => (name.trim(), Some(given.trim())),
        None => (directive, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (argument(name), given) {
        (None, None) if is_number(name) => Err(wrong(format!("write max-age={name}"))),
        (None, _) => Err(wrong(similar(name))),
        (Some(Argument::None), None) | (Some(Argument::Fields), None) => Ok(()),
        (Some(Argument::Seconds), Some(given)) if is_number(given.trim_matches('"')) => Ok(()),
        (Some(Argument::Fields), Some(given)) if is_fields(given) => Ok(()),
        (Some(Argument::Seconds), _) => Err(wrong(format!("write seconds, as in {name}=3600"))),
        (Some(Argument::Fields), Some(_)) => {
            Err(wrong(format!("write names of fields, as in {name}=\"set-cookie\"")))
        }
        (Some(Argument::None), Some(_)) => Err(wrong(format!("write {name} alone"))),
    }
}

fn argument(name: &str) -> Option<Argument> {
    let is = |(known, _): &&(&str, Argument)| known.eq_ignore_ascii_case(name);
    DIRECTIVES.iter().find(is).map(|(_, argument)| *argument)
}

fn is_fields(given: &str) -> bool {
    let names = given.strip_prefix('"').and_then(|given| given.strip_suffix('"'));
    names.is_some_and(|names| names.split(',').all(|name| is_token(name.trim())))
}

fn similar(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(known, &name);
    let all = DIRECTIVES.iter().map(|(known, _)| (*known, likeness(known)));
    match all.max_by(|(_, one), (_, other)| one.total_cmp(other)) {
        Some((known, likeness)) if likeness >= SIMILAR => format!("did you mean {known}?"),
        _ => "write for example max-age=3600, no-cache or no-store".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn value_that_caches_understand_is_accepted() {
        for value in [
            "public, max-age=31536000, immutable",
            "no-cache",
            "No-Store",
            "max-age=\"60\"",
            "private=\"set-cookie, x-a\", max-age=5",
            "max-age=5,stale-while-revalidate=60,stale-if-error=60",
        ] {
            assert_eq!(check(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn value_that_caches_ignore_is_refused_with_advice() {
        for (value, advice) in [
            ("3600", "`3600` is no directive of caches; write max-age=3600"),
            ("public, 60", "write max-age=60"),
            ("maxage=3600", "did you mean max-age?"),
            ("imutable", "did you mean immutable?"),
            ("max-age", "write seconds, as in max-age=3600"),
            ("max-age=1h", "write seconds"),
            ("max-age=-1", "write seconds"),
            ("no-store=1", "write no-store alone"),
            ("private=a", "write names of fields"),
            ("only-if-cached", "write for example"),
            ("public,", "`` is no directive"),
        ] {
            let error = check(value).expect_err(value).to_string();
            assert!(error.contains(advice), "{value}: {error}");
        }
    }
}
