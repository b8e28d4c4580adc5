//! The default policy: a request line comes in, a decision goes out.

use crate::decision::{Decision, Reply};
use crate::path::{Fault as PathFault, SitePath};
use crate::request::{Fault as LineFault, RequestLine, Target};

/// Decides how to answer the request with this line, given without its line end.
///
/// - A URL whose path ends in `/` is a directory, and its index page answers.
/// - Any other path is a file.
/// - Names that begin with a dot are private, except `/.well-known/` (RFC 8615).
/// - What can name no file is not found; what is no request line gets a 400.
///
/// Every input has a decision, also one that is not text. The method does not
/// matter here: for what is served from the site the host knows the methods.
pub fn decide(line: &[u8]) -> Decision {
    let request = match RequestLine::parse(line) {
        Ok(request) => request,
        Err(LineFault::Malformed(what)) => return refuse(400, what),
        Err(LineFault::Version) => return refuse(505, "HTTP version not supported"),
    };
    let path = match request.target {
        Target::Origin { path, .. } | Target::Absolute { path, .. } => path,
        Target::Authority(_) | Target::Asterisk => return Decision::NotFound,
    };
    match SitePath::resolve(path) {
        Ok(path) if is_private(&path) => Decision::NotFound,
        Ok(path) if path.is_directory() => Decision::Index(path.into_string()),
        Ok(path) => Decision::File(path.into_string()),
        Err(PathFault::Escape) => refuse(400, "malformed percent-escape"),
        Err(PathFault::NamesNothing) => Decision::NotFound,
    }
}

/// Whether the path names something that is not for everybody.
fn is_private(path: &SitePath) -> bool {
    path.names()
        .enumerate()
        .any(|(depth, name)| name.starts_with('.') && (depth, name) != (0, ".well-known"))
}

/// A one-line answer that says what is wrong with the request.
fn refuse(status: u16, what: &str) -> Decision {
    Decision::Reply(Reply { status, body: [what, "\n"].concat() })
}

#[cfg(test)]
mod tests {
    use super::decide;
    use crate::decision::Decision;
    use proptest::prelude::*;

    /// The table of cases, run natively. The host's tests run it against the
    /// component.
    #[test]
    fn the_cases_hold() {
        let table: toml::Table = include_str!("../cases.toml").parse().expect("a table");
        let cases = table["case"].as_array().expect("cases");
        assert!(cases.len() > 80, "only {} cases were found", cases.len());
        for case in cases {
            let line = match (case.get("line"), case.get("escaped-line")) {
                (Some(line), None) => line.as_str().expect("text").as_bytes().to_vec(),
                (None, Some(escaped)) => unescape(escaped.as_str().expect("text")),
                _ => panic!("{case:?} has no line"),
            };
            assert_eq!(text(&decide(&line)), expected(&case["decision"]), "for {case:?}");
        }
    }

    /// A decision in one line of text.
    fn text(decision: &Decision) -> String {
        match decision {
            Decision::Index(path) => format!("index {path:?}"),
            Decision::File(path) => format!("file {path:?}"),
            Decision::NotFound => "not-found".to_owned(),
            Decision::Reply(reply) => format!("reply {}", reply.status),
        }
    }

    /// The same of what a case expects: of the kinds that this policy has.
    fn expected(decision: &toml::Value) -> String {
        if let Some(kind) = decision.as_str() {
            return kind.to_owned();
        }
        let (kind, value) = decision.as_table().and_then(|table| table.iter().next()).expect("one");
        match value.get("status") {
            Some(status) => format!("{kind} {}", status.as_integer().expect("a number")),
            None => format!("{kind} {:?}", value.as_str().expect("a path")),
        }
    }

    /// Bytes from text with `\xHH` and `\\`.
    fn unescape(text: &str) -> Vec<u8> {
        let mut parts = text.split('\\');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        while let Some(part) = parts.next() {
            match part.strip_prefix('x').and_then(|hex| hex.split_at_checked(2)) {
                Some((hex, rest)) => {
                    bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
                    bytes.extend_from_slice(rest.as_bytes());
                }
                None => {
                    assert_eq!(part, "", "a backslash begins {part:?}");
                    bytes.push(b'\\');
                    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
                }
            }
        }
        bytes
    }

    /// What must hold of every decision, whatever was asked.
    fn assert_safe(decision: Decision) {
        match decision {
            Decision::File(path) => {
                assert!(!path.is_empty());
                assert_stays_below_the_root(&path);
            }
            Decision::Index(path) => {
                if let Some(path) = path.strip_suffix('/') {
                    assert_stays_below_the_root(path);
                } else {
                    assert_eq!(path, "");
                }
            }
            Decision::NotFound => {}
            Decision::Reply(reply) => assert!([400, 505].contains(&reply.status)),
        }
    }

    fn assert_stays_below_the_root(path: &str) {
        for name in path.split('/') {
            assert!(!["", ".", ".."].contains(&name), "{path:?}");
            assert!(!name.contains(|c: char| c == '\\' || c.is_ascii_control()), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_decision(line in prop::collection::vec(any::<u8>(), 0..200)) {
            assert_safe(decide(&line));
        }

        #[test]
        fn any_path_stays_below_the_root(
            path in r"(/|\.|\.\.|%2[eEfF]|%00|%5c|\\|%c3%a9|%[0-9a-f]{0,2}|[a-c?#:@*]){0,30}",
        ) {
            assert_safe(decide(format!("GET /{path} HTTP/1.1").as_bytes()));
        }

        #[test]
        fn decoding_happens_once(name in "[^/\0\\\\\u{1}-\u{1f}\u{7f}.][^/\0\\\\\u{1}-\u{1f}\u{7f}]{0,20}") {
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let decision = decide(format!("GET /{escaped} HTTP/1.1").as_bytes());
            prop_assert_eq!(decision, Decision::File(name));
        }
    }
}
