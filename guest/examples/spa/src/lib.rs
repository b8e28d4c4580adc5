//! A policy for single-page apps and clean URLs: `/about` is `about.html`, and a
//! route without a file is the app's page.
//!
//! It builds on the default policy, which parses the request line.

use innkeeper_guest::{Candidate, Decision, DefaultPolicy, Policy, Request, Serve};

/// The policy.
#[derive(Debug)]
pub struct Spa;

impl Policy for Spa {
    /// A path whose last name has a dot names a file, such as a style sheet. If the file
    /// is missing the response is 404: a page instead would only confuse. Any other path
    /// is a page.
    fn decide(request: &Request) -> Decision {
        let app = Candidate::index("");
        match DefaultPolicy::decide(request) {
            Decision::File(path) if !names_a_file(&path) => Serve::first_of([
                Candidate::file(path.clone()),
                Candidate::file([&path, ".html"].concat()),
                Candidate::index(path),
                app,
            ])
            .into(),
            Decision::Index(path) => Serve::first_of([Candidate::index(path), app]).into(),
            decision => decision,
        }
    }
}

innkeeper_guest::export!(Spa);

fn names_a_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::Spa;
    use innkeeper_guest::testing::{check, check_cases};
    use innkeeper_guest::{Candidate, Decision, Serve};

    #[test]
    fn route_is_a_page_or_the_app() {
        let index = |path: &str| Candidate::index(path);
        check::<Spa>("GET / HTTP/1.1", &[], Serve::first_of([index(""), index("")]));
        check::<Spa>("GET /a/ HTTP/1.1", &[], Serve::first_of([index("a/"), index("")]));
        let file = |path: &str| Candidate::file(path);
        check::<Spa>(
            "GET /a/b?c HTTP/1.1",
            &[],
            Serve::first_of([file("a/b"), file("a/b.html"), index("a/b"), index("")]),
        );
    }

    #[test]
    fn name_with_a_dot_is_a_file() {
        check::<Spa>("GET /a/style.css HTTP/1.1", &[], Decision::file("a/style.css"));
        // Only the last name counts.
        check::<Spa>(
            "GET /v1.2/notes/ HTTP/1.1",
            &[],
            Serve::first_of([Candidate::index("v1.2/notes/"), Candidate::index("")]),
        );
    }

    #[test]
    fn private_name_is_not_found() {
        check::<Spa>("GET /.env HTTP/1.1", &[], Decision::NotFound);
    }

    #[test]
    fn cases_pass() {
        check_cases::<Spa>(include_str!("../cases.toml"));
    }
}
