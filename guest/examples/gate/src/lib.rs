//! A policy with a gate before one folder: a request for `private/` needs a name and a
//! password, or a signed link. For all other paths the default policy decides.
//!
//! In reading order: this file decides; `basic` and `link` check credentials and links;
//! `keys` is the file to change; `mac` has the cryptography, from other crates.

use innkeeper_guest::{Decision, DefaultPolicy, Page, Policy, Reply, Request, Serve, Target};

mod basic;
mod keys;
mod link;
mod mac;

use link::{End, Link};

/// The folder behind the gate.
const FOLDER: &str = "private";

/// The time by the minute. The host remembers decisions until the next one.
const TIME: &str = ":time/60";

/// The policy.
#[derive(Debug)]
pub struct Gate;

impl Policy for Gate {
    const INTERESTS: &'static [&'static str] = &["authorization", TIME];

    fn decide(request: &Request) -> Decision {
        // The gate goes by the path that would be served, decoded and resolved, as a URL
        // has many spellings.
        let page = match DefaultPolicy::decide(request) {
            Decision::Index(path) if is_gated(&path) => Page::Index(path),
            Decision::File(path) if is_gated(&path) => Page::File(path),
            decision => return decision,
        };
        let query = match request.parse().map(|line| line.target) {
            Ok(Target::Origin { query, .. } | Target::Absolute { query, .. }) => query,
            _ => None,
        };
        let credentials = request.value("authorization");
        if credentials.is_some_and(|given| basic::is_known(given, keys::KEY, &keys::USERS)) {
            return behind_the_gate(page).into();
        }
        let now = request.value(TIME).and_then(|seconds| seconds.parse().ok());
        let end = End { now, version: keys::VERSION };
        match Link::read(query.unwrap_or_default(), page.path(), keys::KEY, end) {
            // The link does not reach the sites that the page links to.
            Link::Good => behind_the_gate(page).with("referrer-policy", "no-referrer").into(),
            Link::Bad => Reply::text(403, "This link is not valid, or no longer.\n")
                .with("cache-control", "no-store")
                .into(),
            Link::Unsigned => Reply::text(401, "This needs a name and a password.\n")
                .with("www-authenticate", r#"Basic realm="private", charset="UTF-8""#)
                .with("cache-control", "no-store")
                .into(),
        }
    }
}

innkeeper_guest::export!(Gate);

/// Whether a path is behind the gate: the folder, or a path beneath it.
fn is_gated(path: &str) -> bool {
    path.split('/').next() == Some(FOLDER)
}

/// Serves the page to this client alone, and has it validated each time. So is the response if
/// there is no such page.
fn behind_the_gate(page: Page) -> Serve {
    Serve::one(page.into()).with("cache-control", "private, no-cache").with("vary", "authorization")
}

#[cfg(test)]
mod tests {
    use super::{Gate, behind_the_gate};
    use innkeeper_guest::testing::{check, check_cases, decide};
    use innkeeper_guest::{Decision, Page};

    const ALICE: (&str, &str) = ("authorization", "Basic YWxpY2U6b3BlbiBzZXNhbWU=");

    fn status(decision: &Decision) -> u16 {
        match decision {
            Decision::Reply(reply) => reply.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_gated_path_is_401() {
        for target in [
            "/private",
            "/private/",
            "/private/a",
            "//private/a",
            "/./private/a",
            "/a/../private/a",
            "/%70rivate/a",
            "/private/%2e/a",
            "http://host/private/a",
            "/private/a?sig",
        ] {
            let line = format!("GET {target} HTTP/1.1");
            assert_eq!(status(&decide::<Gate>(&line, &[])), 401, "{target}");
            assert!(matches!(decide::<Gate>(&line, &[ALICE]), Decision::Serve(_)), "{target}");
        }
    }

    #[test]
    fn other_paths_need_no_credentials() {
        check::<Gate>("GET / HTTP/1.1", &[], Decision::index(""));
        check::<Gate>("GET /privately HTTP/1.1", &[], Decision::file("privately"));
        check::<Gate>("GET /a/private HTTP/1.1", &[], Decision::file("a/private"));
        check::<Gate>("GET /private/../a HTTP/1.1", &[], Decision::file("a"));
        // Also not with credentials that would be wrong there.
        check::<Gate>("GET /a?sig=1 HTTP/1.1", &[("authorization", "x")], Decision::file("a"));
    }

    #[test]
    fn known_user_passes_also_with_a_bad_link() {
        let page = || behind_the_gate(Page::File("private/a".into()));
        check::<Gate>("GET /private/a HTTP/1.1", &[ALICE], page());
        check::<Gate>("GET /private/a?sig=1 HTTP/1.1", &[ALICE], page());
        // Of two fields none counts.
        assert_eq!(status(&decide::<Gate>("GET /private/a HTTP/1.1", &[ALICE, ALICE])), 401);
    }

    #[test]
    fn link_opens_its_path_in_every_spelling() {
        let sig = "fe86d4051395c6fac13279453a9505a618abdad88d70545ef1d7498438584a41";
        for path in ["/private/caf%C3%A9%201.txt", "/private//caf%c3%a9%20%31.txt"] {
            let line = format!("GET {path}?expires-version=7&sig={sig} HTTP/1.1");
            let page = behind_the_gate(Page::File("private/caf\u{e9} 1.txt".into()));
            check::<Gate>(&line, &[], page.with("referrer-policy", "no-referrer"));
        }
    }

    #[test]
    fn link_ends_with_its_minute() {
        let sig = "3187b6549648b3b62a3346db58416f08a127176a96b3c11943fca4f2dcbb2eb7";
        let line = format!("GET /private/report.pdf?expires=1735689660&sig={sig} HTTP/1.1");
        for (now, is_open) in [("1735689600", true), ("1735689660", false)] {
            let decision = decide::<Gate>(&line, &[(":time/60", now)]);
            assert_eq!(matches!(decision, Decision::Serve(_)), is_open, "{now}");
        }
    }

    #[test]
    fn cases_pass() {
        check_cases::<Gate>(include_str!("../cases.toml"));
    }
}
