//! The default policy: request line in, decision out.

use crate::decision::{Decision, Reply};
use crate::line::{Fault as LineFault, RequestLine, Target};
use crate::path::{Fault as PathFault, SitePath};
use crate::policy::Policy;
use crate::request::Request;

/// Decides how to respond to the request with this line, given without its line end.
///
/// - A URL whose path ends in `/` names a directory: the decision is its index page.
/// - Any other path names a file.
/// - Names that begin with a dot are private, except `/.well-known/` (RFC 8615).
/// - A path that can name no file is not found; a malformed request line gets a 400.
///
/// Every input has a decision, also one that is not text. The method does not matter
/// here: the host applies it to files.
// Everything that makes a decision is inlined: the compiler then sees which kinds can
// result, and the built-in guest has no code for the others (2.8 kB of 18).
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

/// [`decide`](fn@decide) as a policy: the guest that is built into innkeeper, and a base
/// for other policies.
#[derive(Clone, Copy, Debug)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {
    #[inline(always)]
    fn decide(request: &Request) -> Decision {
        decide(request.line())
    }
}

/// Whether the path names a private file.
fn is_private(path: &SitePath) -> bool {
    path.has_dot_file_but(".well-known")
}

/// A response of one line that says what is wrong with the request.
#[inline(always)]
fn refuse(status: u16, what: &str) -> Decision {
    // Not `concat`: it would bring the formatting of panics into the module.
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

    /// The host's tests run the same table against the component.
    #[test]
    fn cases_pass() {
        let count = check_cases::<DefaultPolicy>(include_str!("../cases.toml"));
        assert!(count > 80, "only {count} cases");
    }

    /// What holds for the decision on every request.
    fn assert_safe(decision: &Decision) {
        match decision {
            Decision::File(path) => {
                assert!(!path.is_empty());
                assert_is_below_root(path);
            }
            Decision::Index(path) => {
                if let Some(path) = path.strip_suffix('/') {
                    assert_is_below_root(path);
                } else {
                    assert_eq!(path, "");
                }
            }
            Decision::NotFound => {}
            Decision::Reply(reply) => assert!([400, 505].contains(&reply.status)),
            Decision::Serve(_) | Decision::Redirect(_) => panic!("{decision:?}"),
        }
    }

    fn assert_is_below_root(path: &str) {
        for name in path.split('/') {
            assert!(!["", ".", ".."].contains(&name), "{path:?}");
            assert!(!name.contains(|c: char| c == '\\' || c.is_ascii_control()), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_gets_a_safe_decision(line in prop::collection::vec(any::<u8>(), 0..200)) {
            assert_safe(&decide(&line));
        }

        #[test]
        fn any_path_is_below_root(
            path in r"(/|\.|\.\.|%2[eEfF]|%00|%5c|\\|%c3%a9|%[0-9a-f]{0,2}|[a-c?#:@*]){0,30}",
        ) {
            assert_safe(&decide(format!("GET /{path} HTTP/1.1").as_bytes()));
        }

        #[test]
        fn escaped_name_is_decoded_once(name in "[^/\0\\\\\u{1}-\u{1f}\u{7f}.][^/\0\\\\\u{1}-\u{1f}\u{7f}]{0,20}") {
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let decision = decide(format!("GET /{escaped} HTTP/1.1").as_bytes());
            prop_assert_eq!(decision, Decision::File(name));
        }
    }
}
