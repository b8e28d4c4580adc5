//! What a client says in `Accept` (RFC 9110, section 12.5.1).

use std::cmp::max;

use crate::files::arrangement::Form;
use crate::files::encodings::parse_weight;

/// How welcome something is: by its weight, and between equal weights by how exactly it is
/// named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Welcome {
    weight: u16,
    precision: u8,
}

/// The form of a listing that is more welcome, given the value of the client's `Accept`
/// (several lines joined by commas). The page where both are the same, and where neither is
/// accepted: a 406 helps no client.
pub(super) fn listing_form(accept: &[u8]) -> Form {
    let json = welcome(accept, b"application", b"json");
    match json.weight > 0 && json > welcome(accept, b"text", b"html") {
        true => Form::Json,
        false => Form::Html,
    }
}

/// The form of what the host says about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureForm {
    /// One line of plain text.
    Text,
    /// A page.
    Html,
    /// JSON with this media type.
    Json(&'static str),
}

/// The form of a failure for the value of the client's `Accept`. A page is for those that name
/// HTML, as browsers do: programs that accept anything get one line. JSON is for those that prefer
/// it to both.
pub(super) fn failure_form(accept: &[u8]) -> FailureForm {
    const PROBLEM: &str = "application/problem+json";
    // What most programs send.
    if accept.is_empty() || accept == b"*/*" {
        return FailureForm::Text;
    }
    let html = named(accept, b"text", b"html");
    // Nothing is more welcome: what browsers send, which need not be read three times more.
    if html.weight == 1000 {
        return FailureForm::Html;
    }
    let json = welcome(accept, b"application", b"json");
    let problem = named(accept, b"application", b"problem+json");
    let text = welcome(accept, b"text", b"plain");
    if html.weight > 0 && html >= max(json, problem) && html.weight >= text.weight {
        return FailureForm::Html;
    }
    let best = max(json, problem);
    match best.weight > 0 && best > text {
        true if problem >= json => FailureForm::Json(PROBLEM),
        true => FailureForm::Json("application/json"),
        false => FailureForm::Text,
    }
}

/// How welcome content of this type is. Of the ranges that name it the most exact counts.
/// Parameters of a type are passed over: there is one form of each.
fn welcome(accept: &[u8], kind: &[u8], subtype: &[u8]) -> Welcome {
    let ranges = split(accept, b',').filter_map(|range| {
        let mut parts = split(range, b';').map(<[u8]>::trim_ascii);
        let name = parts.next()?;
        let slash = name.iter().position(|&byte| byte == b'/')?;
        let (of, rest) = (&name[..slash], &name[slash + 1..]);
        let is = |one: &[u8], other| one.eq_ignore_ascii_case(other);
        let precision = match (of, rest) {
            (b"*", b"*") => 1,
            (of, b"*") if is(of, kind) => 2,
            (of, rest) if is(of, kind) && is(rest, subtype) => 3,
            _ => return None,
        };
        let is_weight = |part: &&[u8]| part.get(..2).is_some_and(|start| is(start, b"q="));
        let weight = parse_weight(parts.find(is_weight))?;
        Some(Welcome { weight, precision })
    });
    ranges.max_by_key(|welcome| (welcome.precision, welcome.weight)).unwrap_or_default()
}

/// The same where the type itself is named; content that only a range has is not welcome.
fn named(accept: &[u8], kind: &[u8], subtype: &[u8]) -> Welcome {
    let welcome = welcome(accept, kind, subtype);
    if welcome.precision == 3 { welcome } else { Welcome::default() }
}

/// The parts of a text between separators that stand outside of quotes (section 5.6.4).
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |&byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'"' => is_quoted = !is_quoted,
            b'\\' => is_escaped = is_quoted,
            _ => return byte == separator && !is_quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::FailureForm::{Html, Json, Text};
    use super::{Form, failure_form, listing_form};

    #[test]
    fn json_is_for_whom_it_is_more_welcome_than_a_page() {
        for accept in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/*",
            "application/json, */*",
            "application/json, text/plain, */*",
            "text/html;q=0.8, application/json",
            "text/html;q=0, */*",
            "text/html;q=0.5,application/json;q=0.501",
            "application/json;v=\"a,b;q=0\"",
            "text/*;q=0.1, application/json;q=0.2",
            "application/json;charset=utf-8;q=0.9, text/html;q=0.8",
            "application/*;q=0, application/json",
        ] {
            assert_eq!(listing_form(accept.as_bytes()), Form::Json, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html",
            "application/json, text/html",
            "text/html, application/json;q=0.9, */*;q=0.8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json;q=0",
            "application/json; Q=0.000",
            "application/json;q=0, */*",
            "application/json;q=0, application/*",
            "text/html;q=0, application/json;q=0",
            "application/json;q=2",
            "application/jsonp",
            "x-application/json",
            "text/plain;a=\"application/json\"",
            "text/html;q=0",
            "json",
        ] {
            assert_eq!(listing_form(accept.as_bytes()), Form::Html, "{accept}");
        }
    }

    #[test]
    fn failure_is_a_page_for_those_that_name_html() {
        const JSON: super::FailureForm = Json("application/json");
        for (accept, form) in [
            ("", Text),
            ("*/*", Text),
            ("text/*", Text),
            ("text/plain", Text),
            ("image/avif,image/webp,*/*;q=0.8", Text),
            ("text/css,*/*;q=0.1", Text),
            ("text/html;q=0, */*", Text),
            ("text/html;q=0.5, text/plain", Text),
            ("application/json, text/plain, */*", Text),
            ("application/json;q=0", Text),
            ("application/octet-stream", Text),
            ("text/html", Html),
            ("TEXT/HTML", Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Html),
            ("text/html;q=0.9, application/json;q=0.9", Html),
            ("application/json", JSON),
            ("application/*", JSON),
            ("application/json, */*", JSON),
            ("application/json, text/javascript, */*; q=0.01", JSON),
            ("application/json, text/html;q=0.5", JSON),
            ("application/problem+json", Json("application/problem+json")),
            ("application/problem+json, application/json", Json("application/problem+json")),
            ("application/problem+json;q=0.5, application/json", JSON),
        ] {
            assert_eq!(failure_form(accept.as_bytes()), form, "{accept}");
        }
    }
}
