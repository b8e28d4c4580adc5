//! What a path serves by itself: a file or an index page, clean URLs, and the page of an app.

use super::ask::{Ask, uncompressed};
use super::explain::{Effect, Trace};
use super::problem::{Problem, RuleError};
use super::table::{self, Place, Table, TrailingSlash};
use super::target;
use super::template::escape;
use crate::Candidate;
use crate::contract::MAX_LOCATION_BYTES;
use crate::pattern::Pattern;

/// What paths serve by themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    clean_urls: Option<(Place, TrailingSlash)>,
    app: Option<App>,
    hidden: Box<[String]>,
}

#[derive(Clone, Debug)]
struct App {
    place: Place,
    page: String,
    pattern: Pattern,
}

impl App {
    fn new(rule: &table::Spa) -> Result<App, Problem> {
        let page = target::file(&rule.page).ok_or(Problem::Page)?;
        Ok(App { place: rule.place, page, pattern: Pattern::parse(&rule.pattern)? })
    }
}

impl Pages {
    pub(super) fn new(table: &Table) -> Result<Pages, RuleError> {
        let app = |rule| App::new(rule).map_err(|problem| problem.at(rule.place));
        let app = table.spa.as_ref().map(app).transpose()?;
        let clean_urls = table.clean_urls.as_ref().map(|rule| (rule.place, rule.trailing_slash));
        let hidden = table.hidden.iter().filter_map(|path| {
            let path = target::resolve(path)?;
            Some(path.trim_end_matches('/').to_owned())
        });
        Ok(Pages { clean_urls, app, hidden: hidden.collect() })
    }

    /// The same without the page of an app.
    pub(super) fn without_app(self) -> Pages {
        Pages { app: None, ..self }
    }

    /// Whether pages have URLs without an extension.
    pub(super) fn has_clean_urls(&self) -> bool {
        self.clean_urls.is_some()
    }

    /// Whether a path below the root is never served: it is hidden, or beneath what is, or a
    /// compressed form of it.
    pub(super) fn is_hidden(&self, path: &str) -> bool {
        let is_beneath = |path: &str| {
            self.hidden.iter().any(|hidden| {
                path.strip_prefix(hidden.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let bare = path.strip_suffix('/').unwrap_or(path);
        is_beneath(path) || uncompressed(bare).is_some_and(is_beneath)
    }

    /// The candidates of the path itself.
    pub(super) fn own(&self, ask: &Ask<'_>, trace: &mut impl Trace) -> Vec<Candidate> {
        let path = ask.path.as_str();
        match self.clean_urls {
            None if ask.is_directory() => vec![Candidate::index(path)],
            None => vec![Candidate::file(path)],
            Some((place, form)) => {
                trace.note(place, Effect::CleansUrl);
                clean(ask, form)
            }
        }
    }

    /// Adds the page of the app behind the candidates of the path itself.
    pub(super) fn add_app(
        &self,
        ask: &Ask<'_>,
        candidates: &mut Vec<Candidate>,
        trace: &mut impl Trace,
    ) {
        let Some(app) = &self.app else { return };
        if has_extension(ask) || app.pattern.matches(&ask.path).is_none() {
            return;
        }
        if self.clean_urls.is_none() && !ask.is_directory() {
            // The host sends a client on to a folder only if no candidate is there.
            let folder = Candidate::index(ask.bare_path());
            push_moved(candidates, folder, ask.bare_path(), "/", ask);
        }
        trace.note(app.place, Effect::FallsBackToApp);
        candidates.push(Candidate::file(app.page.as_str()).with("cache-control", "no-cache"));
    }
}

/// The candidates for the page that a rewrite leads to: `/store` is `store`, `store.html` or the
/// index page of `store`.
pub(super) fn of_target(path: &str, status: u16) -> Vec<Candidate> {
    if path.is_empty() {
        return vec![Candidate::index("").status(status)];
    }
    if let Some(folder) = path.strip_suffix('/') {
        return vec![
            Candidate::index(folder).status(status),
            Candidate::file([folder, ".html"].concat()).status(status),
        ];
    }
    vec![
        Candidate::file(path).status(status),
        Candidate::file([path, ".html"].concat()).status(status),
        Candidate::index(path).status(status),
    ]
}

/// The candidates of a path whose pages have URLs without an extension.
fn clean(ask: &Ask<'_>, form: TrailingSlash) -> Vec<Candidate> {
    let path = ask.bare_path();
    if path.is_empty() {
        return vec![Candidate::index("")];
    }
    let page = || Candidate::file([path, ".html"].concat());
    let folder = || Candidate::index(path);
    let mut candidates = Vec::with_capacity(4);
    if ask.is_directory() {
        if form == TrailingSlash::Never {
            push_moved(&mut candidates, folder(), path, "", ask);
            push_moved(&mut candidates, page(), path, "", ask);
            // A folder without a page: the host may list it.
            candidates.push(folder());
        } else {
            candidates.extend([folder(), page()]);
        }
        return candidates;
    }
    let slash = if form == TrailingSlash::Always { "/" } else { "" };
    let without_extension = match path.strip_suffix("index.html") {
        Some("") => Some(""),
        Some(folder) if folder.ends_with('/') => folder.strip_suffix('/'),
        _ => path.strip_suffix(".html"),
    };
    match without_extension {
        Some(base) if form != TrailingSlash::Either => {
            push_moved(&mut candidates, Candidate::file(path), base, slash, ask);
        }
        Some(_) => candidates.push(Candidate::file(path)),
        None => {
            candidates.push(Candidate::file(path));
            match form {
                TrailingSlash::Never => candidates.extend([page(), folder()]),
                TrailingSlash::Always => {
                    push_moved(&mut candidates, page(), path, "/", ask);
                    push_moved(&mut candidates, folder(), path, "/", ask);
                }
                TrailingSlash::Either => {
                    candidates.push(page());
                    push_moved(&mut candidates, folder(), path, "/", ask);
                }
            }
        }
    }
    candidates
}

/// Adds a candidate that leads to another form of the URL: this path, and this at its end. A URL
/// that is too long has no other form.
fn push_moved(
    candidates: &mut Vec<Candidate>,
    candidate: Candidate,
    path: &str,
    end: &str,
    ask: &Ask<'_>,
) {
    let mut location = String::with_capacity(path.len() + 2);
    location.push('/');
    escape(path, true, &mut location);
    if !path.is_empty() {
        location.push_str(end);
    }
    if let Some(query) = ask.query {
        location.push('?');
        location.push_str(query);
    }
    if location.len() <= MAX_LOCATION_BYTES {
        candidates.push(candidate.moved(301, location));
    }
}

/// Whether the path names an asset: its last name has an extension, which is letters and digits with
/// a letter among them (`/app.js`, and not `/v1.2`). A folder has none.
fn has_extension(ask: &Ask<'_>) -> bool {
    let name = ask.path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, extension)| {
        extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::table::{CleanUrls, Table, TrailingSlash};
    use crate::rules::testing::{at, check, ready, spa};
    use crate::rules::{Problem, Rules};

    fn clean(trailing_slash: TrailingSlash) -> Table {
        Table { clean_urls: Some(CleanUrls { place: at(1), trailing_slash }), ..Table::default() }
    }

    #[test]
    fn app_falls_back_but_for_assets() {
        let rules = ready(&Table { spa: spa("index.html"), ..Table::default() });
        let app = r#"file "index.html" (cache-control: no-cache)"#;
        check(&rules, "/", &[], format!(r#"serve index "", {app}"#));
        check(&rules, "/users/", &[], format!(r#"serve index "users", {app}"#));
        check(&rules, "/users/7?a", &[], {
            format!(r#"serve file "users/7", index "users/7" moved 301 to "/users/7/?a", {app}"#)
        });
        check(&rules, "/docs/v1.2", &[], {
            format!(
                r#"serve file "docs/v1.2", index "docs/v1.2" moved 301 to "/docs/v1.2/", {app}"#
            )
        });
        check(&rules, "/assets/gone.js", &[], r#"file "assets/gone.js""#);
        check(&rules, "/x.woff2", &[], r#"file "x.woff2""#);
        check(&rules, "/.git/x", &[], "not-found");
    }

    #[test]
    fn app_of_a_folder_is_for_that_folder() {
        let mut table = Table { spa: spa("/app/index.html"), ..Table::default() };
        table.spa.as_mut().expect("an app").pattern = "/app/*".to_owned();
        let rules = ready(&table);
        check(&rules, "/app/", &[], {
            r#"serve index "app", file "app/index.html" (cache-control: no-cache)"#
        });
        check(&rules, "/x", &[], r#"file "x""#);
    }

    #[test]
    fn urls_without_a_slash_are_the_form() {
        let rules = ready(&clean(TrailingSlash::Never));
        check(&rules, "/", &[], r#"index """#);
        check(&rules, "/a/b", &[], r#"serve file "a/b", file "a/b.html", index "a/b""#);
        check(&rules, "/a.b", &[], r#"serve file "a.b", file "a.b.html", index "a.b""#);
        check(&rules, "/a%20b/?q=1", &[], {
            r#"serve index "a b" moved 301 to "/a%20b?q=1", file "a b.html" moved 301 to "/a%20b?q=1", index "a b""#
        });
        check(&rules, "/a/b.html", &[], r#"serve file "a/b.html" moved 301 to "/a/b""#);
        check(&rules, "/a/index.html", &[], r#"serve file "a/index.html" moved 301 to "/a""#);
        check(&rules, "/index.html", &[], r#"serve file "index.html" moved 301 to "/""#);
        check(&rules, "/myindex.html", &[], r#"serve file "myindex.html" moved 301 to "/myindex""#);
    }

    #[test]
    fn urls_with_a_slash_are_the_form() {
        let rules = ready(&clean(TrailingSlash::Always));
        check(&rules, "/a/", &[], r#"serve index "a", file "a.html""#);
        check(&rules, "/a", &[], {
            r#"serve file "a", file "a.html" moved 301 to "/a/", index "a" moved 301 to "/a/""#
        });
        check(&rules, "/a/b.html", &[], r#"serve file "a/b.html" moved 301 to "/a/b/""#);
        check(&rules, "/a/index.html", &[], r#"serve file "a/index.html" moved 301 to "/a/""#);
        check(&rules, "/index.html", &[], r#"serve file "index.html" moved 301 to "/""#);
    }

    #[test]
    fn both_forms_serve_the_page() {
        let rules = ready(&clean(TrailingSlash::Either));
        check(&rules, "/a", &[], {
            r#"serve file "a", file "a.html", index "a" moved 301 to "/a/""#
        });
        check(&rules, "/a/", &[], r#"serve index "a", file "a.html""#);
        check(&rules, "/a.html", &[], r#"file "a.html""#);
    }

    #[test]
    fn app_with_clean_urls_is_behind_its_pages() {
        let rules = ready(&Table { spa: spa("app.html"), ..clean(TrailingSlash::Never) });
        check(&rules, "/a", &[], {
            r#"serve file "a", file "a.html", index "a", file "app.html" (cache-control: no-cache)"#
        });
        check(&rules, "/a.css", &[], r#"serve file "a.css", file "a.css.html", index "a.css""#);
    }

    #[test]
    fn hidden_files_and_what_is_beneath_are_not_found() {
        let hidden = vec!["_redirects".to_owned(), "conf/".to_owned()];
        let mut table = Table { hidden, ..Table::default() };
        table.routes.push(crate::rules::testing::route("/w/* /:splat 200!"));
        let rules = ready(&table);
        for path in ["/_redirects", "/_redirects/", "/%5fredirects", "/conf/x", "/conf", "/.env"]
            .into_iter()
            .chain(["/_redirects.gz", "/_redirects.br", "/_redirects.zst/", "/w/_redirects.gz"])
        {
            check(&rules, path, &[], "not-found");
        }
        for path in ["/w/_redirects", "/w/conf/x", "/w/.env", "/w/a/.git/config"] {
            check(&rules, path, &[], "not-found");
        }
        check(&rules, "/_redirects2", &[], r#"file "_redirects2""#);
        check(&rules, "/.well-known/x", &[], r#"file ".well-known/x""#);
    }

    #[test]
    fn page_that_is_no_file_is_refused() {
        for page in ["", "/", "a/", "../a", "a\0"] {
            let error = Rules::new(&Table { spa: spa(page), ..Table::default() });
            assert_eq!(error.expect_err(page).problem, Problem::Page);
        }
    }
}
