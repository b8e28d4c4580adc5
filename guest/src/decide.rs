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

    /// Decisions in one line of text, so that tests are lines of data.
    fn text(decision: Decision) -> String {
        match decision {
            Decision::Index(path) => format!("index {path:?}"),
            Decision::File(path) => format!("file {path:?}"),
            Decision::NotFound => "not-found".to_owned(),
            Decision::Reply(reply) => format!("reply {}", reply.status),
        }
    }

    #[track_caller]
    fn check(line: &str, decision: &str) {
        assert_eq!(text(decide(line.as_bytes())), decision, "for {line:?}");
    }

    #[test]
    fn the_notes_it_began_with() {
        check("GET / HTTP/1.1", r#"index """#);
        check("GET /index.html HTTP/1.1", r#"file "index.html""#);
        check("GET /missing.html HTTP/1.1", r#"file "missing.html""#);
    }

    #[test]
    fn a_path_that_ends_in_a_slash_is_a_directory() {
        check("GET /docs/ HTTP/1.1", r#"index "docs/""#);
        check("GET /docs/a/ HTTP/1.0", r#"index "docs/a/""#);
        check("GET /docs/. HTTP/1.1", r#"index "docs/""#);
        check("GET /docs/a/.. HTTP/1.1", r#"index "docs/""#);
        check("GET /docs HTTP/1.1", r#"file "docs""#);
    }

    #[test]
    fn the_query_does_not_name_the_file() {
        check("GET /?a=/../b HTTP/1.1", r#"index """#);
        check("GET /a.css?v=1?2 HTTP/1.1", r#"file "a.css""#);
        check("GET /a%3Fb HTTP/1.1", r#"file "a?b""#);
    }

    #[test]
    fn every_method_gets_the_same_decision() {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW", "get"] {
            check(&format!("{method} /a HTTP/1.1"), r#"file "a""#);
        }
    }

    #[test]
    fn all_four_forms_of_target() {
        check("GET /a HTTP/1.1", r#"file "a""#);
        check("GET http://h/a HTTP/1.1", r#"file "a""#);
        check("GET HTTP://h:80/a?b HTTP/1.1", r#"file "a""#);
        check("GET http://h HTTP/1.1", r#"index """#);
        check("GET http://h?b HTTP/1.1", r#"index """#);
        check("CONNECT h:443 HTTP/1.1", "not-found");
        check("OPTIONS * HTTP/1.1", "not-found");
    }

    #[test]
    fn dot_files_are_private_and_well_known_is_not() {
        check("GET /.git/config HTTP/1.1", "not-found");
        check("GET /a/.env HTTP/1.1", "not-found");
        check("GET /%2egit/config HTTP/1.1", "not-found");
        check("GET /.well-known/ HTTP/1.1", r#"index ".well-known/""#);
        check("GET /.well-known/security.txt HTTP/1.1", r#"file ".well-known/security.txt""#);
        check("GET /.well-known/.x HTTP/1.1", "not-found");
        check("GET /a/.well-known/x HTTP/1.1", "not-found");
        check("GET /.well-knownx HTTP/1.1", "not-found");
        check("GET /... HTTP/1.1", "not-found");
    }

    #[test]
    fn what_lies_above_the_root_is_not_found() {
        check("GET /../outside.txt HTTP/1.1", "not-found");
        check("GET /a/../../outside.txt HTTP/1.1", "not-found");
        check("GET /%2e%2E/outside.txt HTTP/1.1", "not-found");
        check("GET http://h/../outside.txt HTTP/1.1", "not-found");
        check("GET /a/../b HTTP/1.1", r#"file "b""#);
    }

    #[test]
    fn what_can_name_no_file_is_not_found() {
        check("GET /a%2Fb HTTP/1.1", "not-found");
        check("GET /..%2f..%2fetc/passwd HTTP/1.1", "not-found");
        check("GET /a%5cb HTTP/1.1", "not-found");
        check(r"GET /..\outside.txt HTTP/1.1", "not-found");
        check("GET /a%00b HTTP/1.1", "not-found");
        check("GET /a%0d%0aSet-Cookie:x HTTP/1.1", "not-found");
        check("GET /%7f HTTP/1.1", "not-found");
        check("GET /%c0%ae%c0%ae/outside.txt HTTP/1.1", "not-found");
        check("GET /caf%E9 HTTP/1.1", "not-found");
    }

    #[test]
    fn malformed_lines_are_refused() {
        for line in [
            "",
            " ",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 HTTP/1.1",
            "GET\t/\tHTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1.10",
            "GET / HTTP/11",
            "GET / ICE/1.1",
            "G=T / HTTP/1.1",
            "GET /a\0b HTTP/1.1",
            "GET /caf\u{e9} HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /%4 HTTP/1.1",
            "GET /%zz HTTP/1.1",
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET h:80 HTTP/1.1",
            "CONNECT / HTTP/1.1",
            "CONNECT h HTTP/1.1",
            "CONNECT h:x HTTP/1.1",
            "GET http:///a HTTP/1.1",
            "GET http://u:p@h/ HTTP/1.1",
            "GET http://h:99999999/ HTTP/1.1",
            "GET http://[::1/ HTTP/1.1",
            "GET ftp://h/ HTTP/1.1",
        ] {
            check(line, "reply 400");
        }
    }

    #[test]
    fn other_major_versions_are_not_supported() {
        check("GET / HTTP/2.0", "reply 505");
        check("PRI * HTTP/2.0", "reply 505");
        check("GET / HTTP/0.9", "reply 505");
        check("GET / HTTP/1.2", r#"index """#);
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
