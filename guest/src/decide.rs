//! The default policy: a request line comes in, a decision goes out.

use crate::decision::{Decision, Reply};
use crate::line::{Fault as LineFault, RequestLine, Target};
use crate::path::{Fault as PathFault, SitePath};
use crate::policy::Policy;
use crate::request::Request;

/// Decides how to answer the request with this line, given without its line end.
///
/// - A URL whose path ends in `/` is a directory, and its index page answers.
/// - Any other path is a file.
/// - Names that begin with a dot are private, except `/.well-known/` (RFC 8615).
/// - What can name no file is not found; what is no request line gets a 400.
///
/// Every input has a decision, also one that is not text. The method does not
/// matter here: for what is served from the site the host knows the methods.
// All that makes a decision is inlined: the compiler then sees which kinds come out
// of here, and the built-in guest has no code for the others (2.8 kB of 18).
#[inline(always)]
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

/// [`decide`] as a policy: the guest that is built into innkeeper, and what others
/// build on.
#[derive(Clone, Copy, Debug)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {
    /// The request line is all that it reads.
    #[inline(always)]
    fn decide(request: &Request) -> Decision {
        decide(request.line())
    }
}

/// Whether the path names something that is not for everybody.
fn is_private(path: &SitePath) -> bool {
    path.has_dot_file_but(".well-known")
}

/// A one-line answer that says what is wrong with the request.
#[inline(always)]
fn refuse(status: u16, what: &str) -> Decision {
    // Not `concat`: it brings the formatting of a panic into the module.
    let mut body = Vec::with_capacity(what.len() + 1);
    body.extend_from_slice(what.as_bytes());
    body.push(b'\n');
    Reply::text(status, body).into()
}

#[cfg(test)]
mod tests {
    use super::{DefaultPolicy, decide};
    use crate::decision::Decision;
    use crate::testing::check_cases;
    use proptest::prelude::*;

    /// The table of cases, run natively. The host's tests run it against the
    /// component.
    #[test]
    fn the_cases_hold() {
        let count = check_cases::<DefaultPolicy>(include_str!("../cases.toml"));
        assert!(count > 80, "only {count} cases were found");
    }

    /// What must hold of every decision, whatever was asked.
    fn assert_safe(decision: &Decision) {
        match decision {
            Decision::File(path) => {
                assert!(!path.is_empty());
                assert_stays_below_the_root(path);
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
            Decision::Serve(_) | Decision::Redirect(_) => panic!("{decision:?}"),
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
            assert_safe(&decide(&line));
        }

        #[test]
        fn any_path_stays_below_the_root(
            path in r"(/|\.|\.\.|%2[eEfF]|%00|%5c|\\|%c3%a9|%[0-9a-f]{0,2}|[a-c?#:@*]){0,30}",
        ) {
            assert_safe(&decide(format!("GET /{path} HTTP/1.1").as_bytes()));
        }

        #[test]
        fn decoding_happens_once(name in "[^/\0\\\\\u{1}-\u{1f}\u{7f}.][^/\0\\\\\u{1}-\u{1f}\u{7f}]{0,20}") {
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let decision = decide(format!("GET /{escaped} HTTP/1.1").as_bytes());
            prop_assert_eq!(decision, Decision::File(name));
        }
    }
}
