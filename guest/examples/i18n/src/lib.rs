//! A policy for a site in several languages: each language has a folder, and a page is
//! served in the language that the client prefers.
//!
//! `innkeeper_guest::negotiation` finds that language.

use innkeeper_guest::{Candidate, Decision, DefaultPolicy, Policy, Request, Serve, negotiation};

/// A language of the site. Its folder has the name of its tag.
struct Language {
    tag: &'static str,
    coverage: Coverage,
}

/// How much of the site a language has. A policy cannot see which files exist, so the
/// table says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coverage {
    /// All pages.
    Whole,
    /// Some pages. The others are served in the first language.
    Partial,
}

/// The languages of the site. A client that prefers none of them gets the first.
const LANGUAGES: [Language; 3] = [
    Language { tag: "en", coverage: Coverage::Whole },
    Language { tag: "de", coverage: Coverage::Whole },
    Language { tag: "zh-Hans", coverage: Coverage::Partial },
];

/// The policy.
#[derive(Debug)]
pub struct ByLanguage;

impl Policy for ByLanguage {
    const INTERESTS: &'static [&'static str] = &["accept-language"];

    /// Pages have a language. Style sheets, images and all other files are shared, and
    /// stand beside the languages' folders.
    fn decide(request: &Request) -> Decision {
        match DefaultPolicy::decide(request) {
            Decision::Index(path) => page(request, &path, Candidate::index),
            Decision::File(path) if is_page(&path) => page(request, &path, Candidate::file),
            decision => decision,
        }
    }
}

innkeeper_guest::export!(ByLanguage);

/// Serves a page in the language of its URL, or else in the language of the client.
fn page(request: &Request, path: &str, candidate: fn(String) -> Candidate) -> Decision {
    let first_name = path.split('/').next();
    if let Some(named) = LANGUAGES.iter().find(|language| Some(language.tag) == first_name) {
        return candidate(path.to_owned()).with("content-language", named.tag).into();
    }
    let tags = LANGUAGES.each_ref().map(|language| language.tag);
    let best = negotiation::best_language(request.list("accept-language"), &tags);
    let [first, ..] = &LANGUAGES;
    let language = LANGUAGES.iter().find(|language| Some(language.tag) == best).unwrap_or(first);
    let within = |language: &Language| {
        let path = [language.tag, "/", path].concat();
        candidate(path).with("content-language", language.tag)
    };
    let serve = match language.coverage {
        Coverage::Whole => Serve::one(within(language)),
        // The host finds out which of the two exists.
        Coverage::Partial => Serve::first_of([within(language), within(first)]),
    };
    // Also without the field, and where no page exists: it depends on the field all the same.
    serve.with("vary", "accept-language").into()
}

/// Whether a file is a page: its name ends in `.html`, or has no dot.
fn is_page(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    !name.contains('.') || name.ends_with(".html")
}

#[cfg(test)]
mod tests {
    use super::{ByLanguage, Coverage, LANGUAGES};
    use innkeeper_guest::testing::{check, check_cases};
    use innkeeper_guest::{Candidate, Decision, Serve};

    fn german(candidate: Candidate) -> Serve {
        Serve::one(candidate.with("content-language", "de"))
    }

    #[test]
    fn first_language_is_whole() {
        let [first, ..] = &LANGUAGES;
        assert!(first.coverage == Coverage::Whole);
    }

    #[test]
    fn page_is_in_the_language_of_the_client() {
        let fields = [("Accept-Language", "fr;q=0.9"), ("Accept-Language", "de-AT, en;q=0.5")];
        let page = german(Candidate::file("de/about.html")).with("vary", "accept-language");
        check::<ByLanguage>("GET /about.html HTTP/1.1", &fields, page);
        let page = german(Candidate::index("de/docs/")).with("vary", "accept-language");
        check::<ByLanguage>("GET /docs/ HTTP/1.1", &fields, page);
    }

    #[test]
    fn url_with_a_language_ignores_the_client() {
        let page = german(Candidate::file("de/about"));
        check::<ByLanguage>("GET /de/about HTTP/1.1", &[("accept-language", "en")], page);
        let page = german(Candidate::index("de/"));
        check::<ByLanguage>("GET /de/ HTTP/1.1", &[], page);
    }

    #[test]
    fn malformed_field_is_ignored() {
        let page = Candidate::index("en/").with("content-language", "en");
        let page = Serve::one(page).with("vary", "accept-language");
        check::<ByLanguage>("GET / HTTP/1.1", &[("accept-language", "de;q=2, ;;;, =")], page);
    }

    #[test]
    fn file_that_is_no_page_has_no_language() {
        let fields = [("accept-language", "de")];
        check::<ByLanguage>("GET /style.css HTTP/1.1", &fields, Decision::file("style.css"));
        check::<ByLanguage>("GET /.git/config HTTP/1.1", &fields, Decision::NotFound);
    }

    #[test]
    fn cases_pass() {
        check_cases::<ByLanguage>(include_str!("../cases.toml"));
    }
}
