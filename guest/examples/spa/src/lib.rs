//! A policy for single-page apps and clean URLs: `/about` is `about.html`, and a
//! route that no file has is the app's own page.
//!
//! It builds on the default policy, which takes the request line apart.

use guest::decision::Decision;

/// What to try for a request, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Policy {
    /// The default policy's decision stands.
    Default(Decision),
    /// A page: the first of these files and index pages that exists.
    Page(Vec<Page>),
}

/// One place where a page may be.
#[derive(Debug, PartialEq, Eq)]
pub enum Page {
    /// This file.
    File(String),
    /// The index page of this directory.
    Index(String),
}

/// Decides about the request with this line.
///
/// A path whose last name has a dot names a file, such as a style sheet, and is not
/// found if it is not there: a page instead would only confuse. Any other path is
/// a page.
pub fn decide(line: &[u8]) -> Policy {
    let app = Page::Index(String::new());
    match guest::decide::decide(line) {
        Decision::File(path) if !names_a_file(&path) => Policy::Page(vec![
            Page::File(path.clone()),
            Page::File([&path, ".html"].concat()),
            Page::Index(path),
            app,
        ]),
        Decision::Index(path) => Policy::Page(vec![Page::Index(path), app]),
        decision => Policy::Default(decision),
    }
}

fn names_a_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// Binds the policy to `wit/policy.wit`.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "`export!` expands to the exported functions of the canonical ABI")]
mod component {
    use super::{Page, Policy, decide};
    use exports::innkeeper::policy::policy::{Candidate, Decision, Guest, Reply, Request, Serve};

    wit_bindgen::generate!({ path: "../../../wit", world: "guest" });

    struct Spa;

    impl Guest for Spa {
        fn interests() -> Vec<String> {
            Vec::new()
        }

        fn decide(request: Request) -> Decision {
            use guest::decision::Decision as Default;
            match decide(&request.line) {
                Policy::Page(pages) => Decision::Serve(Serve {
                    candidates: pages
                        .into_iter()
                        .map(|page| match page {
                            Page::File(path) => Candidate::File(path),
                            Page::Index(path) => Candidate::Index(path),
                        })
                        .collect(),
                    status: 200,
                    fields: Vec::new(),
                }),
                Policy::Default(Default::Index(path)) => Decision::Index(path),
                Policy::Default(Default::File(path)) => Decision::File(path),
                Policy::Default(Default::NotFound) => Decision::NotFound,
                Policy::Default(Default::Reply(reply)) => Decision::Reply(Reply {
                    status: reply.status,
                    fields: Vec::new(),
                    body: reply.body.into_bytes(),
                }),
            }
        }
    }

    export!(Spa);
}

#[cfg(test)]
mod tests {
    use super::{Decision, Page, Policy, decide};

    #[track_caller]
    fn check(target: &str, expected: &[&str]) {
        let decision = decide(format!("GET {target} HTTP/1.1").as_bytes());
        let Policy::Page(pages) = decision else { panic!("{target}: {decision:?}") };
        let pages: Vec<_> = pages
            .into_iter()
            .map(|page| match page {
                Page::File(path) => path,
                Page::Index(path) => format!("index of {path:?}"),
            })
            .collect();
        assert_eq!(pages, expected, "{target}");
    }

    #[test]
    fn a_route_is_a_page() {
        check("/", &[r#"index of """#, r#"index of """#]);
        check("/a/b?c", &["a/b", "a/b.html", r#"index of "a/b""#, r#"index of """#]);
        check("/a/", &[r#"index of "a/""#, r#"index of """#]);
    }

    #[test]
    fn a_name_with_a_dot_is_a_file() {
        let decision = decide(b"GET /a/style.css HTTP/1.1");
        assert_eq!(decision, Policy::Default(Decision::File("a/style.css".to_owned())));
    }

    #[test]
    fn what_is_private_stays_so() {
        assert_eq!(decide(b"GET /.env HTTP/1.1"), Policy::Default(Decision::NotFound));
    }
}
