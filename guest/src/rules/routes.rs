//! Redirects, rewrites and error pages: the lines of `_redirects`.

mod route;

use super::ask::{Ask, Vary};
use super::explain::{Effect, Trace};
use super::index::Index;
use super::pattern_set::PatternSet;
use super::problem::{Problem, RuleError};
use super::self_redirect::leads_to_itself;
use super::table::{self, Table};
use super::target::{self, Target};
use super::template::Values;
use crate::Redirect;
use crate::contract::MAX_LOCATION_BYTES;
use route::{Form, Route};

/// All routes, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    patterns: PatternSet,
    routes: Vec<Route>,
    country_field: Option<Box<str>>,
}

/// What a route decides.
#[derive(Debug)]
pub(super) enum Routed {
    /// Send the client elsewhere; if there is no file, unless `force`.
    Redirect { to: Redirect, force: bool },
    /// Serve the page with this path, with a status; if there is no file, unless `force`.
    Page { path: String, status: u16, force: bool },
    /// No route.
    None,
}

impl Routes {
    pub(super) fn new(table: &Table) -> Result<Routes, RuleError> {
        let mut routes = Routes {
            country_field: table.country_field.as_deref().map(Into::into),
            ..Routes::default()
        };
        let slashed = paths_in_both_forms(&table.routes);
        routes.routes.reserve_exact(table.routes.len());
        for route in &table.routes {
            let form = match slashed.get(0, bare(&route.from)) {
                Some(BOTH_FORMS) if route.from.ends_with('/') => Form::Directory,
                Some(BOTH_FORMS) => Form::File,
                _ => Form::Both,
            };
            routes.add(route, form).map_err(|problem| problem.at(route.place))?;
        }
        Ok(routes)
    }

    fn add(&mut self, rule: &table::Route, form: Form) -> Result<(), Problem> {
        let (pattern, route) = Route::new(rule, form)?;
        // A pattern of hosts is looked at when the path matches.
        self.patterns.push(route.scope.exact(rule.host.as_deref()), &pattern)?;
        self.routes.push(route);
        Ok(())
    }

    /// Names of fields and facts that the routes read.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if self.patterns.has_hosts() {
            add("host");
        }
        for route in &self.routes {
            route.interests(self.country_field.as_deref(), &mut add);
        }
    }

    /// The first route that holds for this request.
    pub(super) fn find<'t>(
        &'t self,
        ask: &Ask<'_>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Routed {
        let country_field = self.country_field.as_deref();
        for (at, captures) in self.patterns.matches(ask.host.as_deref(), &ask.path) {
            let Some(route) = self.routes.get(at) else { break };
            let Some(query) = route.holds(ask, country_field, vary) else {
                trace.note_route(at, route.place, Effect::ConditionsFail);
                continue;
            };
            let host = ask.host.as_deref().unwrap_or_default();
            let values = Values { path: &captures, query: &query, host };
            let force = route.force;
            match &route.target {
                Target::Itself => {
                    trace.note_route(at, route.place, Effect::KeepsPath);
                    return Routed::None;
                }
                Target::Location(target) => {
                    let location = target.render(values, route.passed_on(ask));
                    if leads_to_itself(&location, &route.scope, !route.query.is_empty(), ask) {
                        trace.note_route(at, route.place, Effect::LeadsToItself);
                        continue;
                    }
                    if location.len() > MAX_LOCATION_BYTES {
                        trace.note_route(at, route.place, Effect::NamesNothing);
                        continue;
                    }
                    let effect = if force { Effect::Redirects } else { Effect::RedirectsIfNoFile };
                    trace.note_route(at, route.place, effect);
                    return Routed::Redirect { to: Redirect::new(route.status, location), force };
                }
                Target::Page(target) => {
                    let Some(path) = target::resolve(&target.render(values)) else {
                        trace.note_route(at, route.place, Effect::NamesNothing);
                        continue;
                    };
                    let effect = if force { Effect::Rewrites } else { Effect::RewritesIfNoFile };
                    trace.note_route(at, route.place, effect);
                    return Routed::Page { path, status: route.status, force };
                }
            }
        }
        Routed::None
    }
}

/// In the index of forms: the path stands in the table with and without a `/` at its end.
const BOTH_FORMS: u32 = 1;

/// The paths that stand in the table with a `/` at the end, and whether also without.
fn paths_in_both_forms(routes: &[table::Route]) -> Index {
    let mut index = Index::default();
    let is_slashed = |from: &&str| from.len() > 1 && from.ends_with('/');
    for from in routes.iter().map(|route| route.from.as_str()).filter(is_slashed) {
        if index.get(0, bare(from)).is_none() {
            index.insert(0, bare(from), 0);
        }
    }
    for from in routes.iter().map(|route| route.from.as_str()).filter(|from| !is_slashed(from)) {
        if index.get(0, from) == Some(0) {
            index.set(0, from, BOTH_FORMS);
        }
    }
    index
}

/// The text of a pattern without a `/` at its end.
fn bare(from: &str) -> &str {
    from.strip_suffix('/').unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{applied, check, ready, routes};
    use crate::rules::{Effect, Problem, Rules};

    #[test]
    fn first_match_in_order_counts() {
        let rules =
            ready(&routes(&["/a/* /1/:splat", "/a/b /2", "/:x/b /3", "/* /4 302", "/a /5"]));
        check(&rules, "/a/b", &[], r#"serve file "a/b", otherwise redirect 301 to "/1/b""#);
        check(&rules, "/c/b", &[], r#"serve file "c/b", otherwise redirect 301 to "/3""#);
        check(&rules, "/c/b/d", &[], r#"serve file "c/b/d", otherwise redirect 302 to "/4""#);
        check(&rules, "/a/", &[], r#"serve index "a", otherwise redirect 301 to "/1/""#);
        check(&rules, "/", &[], r#"serve index "", otherwise redirect 302 to "/4""#);
    }

    #[test]
    fn forced_route_looks_for_no_file() {
        let rules = ready(&routes(&["/a /b 302!", "/c /d 200!", "/e /f.html 404!"]));
        check(&rules, "/a", &[], r#"redirect 302 to "/b""#);
        check(&rules, "/c", &[], r#"serve file "d", file "d.html", index "d""#);
        check(
            &rules,
            "/e",
            &[],
            r#"serve file "f.html" with status 404, file "f.html.html" with status 404, index "f.html" with status 404"#,
        );
    }

    #[test]
    fn rewrite_serves_its_page_behind_the_own_one() {
        let rules = ready(&routes(&["/app/* /app/index.html 200", "/shop /closed/ 503"]));
        check(
            &rules,
            "/app/x",
            &[],
            r#"serve file "app/x", file "app/index.html", file "app/index.html.html", index "app/index.html""#,
        );
        check(
            &rules,
            "/shop",
            &[],
            r#"serve file "shop", index "closed" with status 503, file "closed.html" with status 503"#,
        );
    }

    #[test]
    fn placeholders_are_decoded_once_and_escaped_again() {
        let rules = ready(&routes(&["/n/:y/:m/* /:m-:y/:splat 301!", "/w/* /files/:splat 200!"]));
        check(&rules, "/n/26/%31%31/a%20b/%C3%A9", &[], r#"redirect 301 to "/11-26/a%20b/%C3%A9""#);
        check(&rules, "/n/26/11/%2541", &[], r#"redirect 301 to "/11-26/%2541""#);
        check(&rules, "/w/a%20b.txt", &[], {
            r#"serve file "files/a b.txt", file "files/a b.txt.html", index "files/a b.txt""#
        });
        // Nothing leaves the site, neither up nor to another host.
        check(&rules, "/w/..%2f..%2fetc", &[], "not-found");
        check(&rules, "/n/1/2//evil.example", &[], r#"redirect 301 to "/2-1/evil.example""#);
    }

    #[test]
    fn query_is_passed_on_unless_the_rule_or_the_target_has_one() {
        let rules =
            ready(&routes(&["/a /b 301!", "/s id=:id tag=x /p/:id 301!", "/t /u?v=1 301!"]));
        check(&rules, "/a?x=1&y", &[], r#"redirect 301 to "/b?x=1&y""#);
        check(&rules, "/s?tag=x&id=a%2Fb+c", &[], r#"redirect 301 to "/p/a%2Fb%20c""#);
        check(&rules, "/s?tag=y&id=1", &[], r#"file "s""#);
        check(&rules, "/s?id=1", &[], r#"file "s""#);
        check(&rules, "/t?w=2", &[], r#"redirect 301 to "/u?v=1""#);
    }

    #[test]
    fn rewrite_by_query_stays_below_the_root() {
        let rules = ready(&routes(&["/s c=:c /pages/:c.html 200!"]));
        check(
            &rules,
            "/s?c=red",
            &[],
            r#"serve file "pages/red.html", file "pages/red.html.html", index "pages/red.html""#,
        );
        check(&rules, "/s?c=../../etc/passwd%00", &[], r#"file "s""#);
        check(&rules, "/s?c=%2e%2e%2fx", &[], r#"file "s""#);
        check(&rules, "/s?c=.git%2fconfig", &[], "not-found");
    }

    #[test]
    fn conditions_hold_or_the_next_route_counts() {
        let rules = ready(&routes(&[
            "/ /de 302! Language=de",
            "/ /at 302! Country=at,ch",
            "/ /beta 302! Cookie=beta,test",
        ]));
        let language = "accept-language";
        let vary = "(vary: accept-language)";
        check(&rules, "/", &[(language, "en;q=0.5, de-AT")], {
            format!(r#"redirect 302 to "/de" {vary}"#)
        });
        let vary = "(vary: accept-language, x-country)";
        check(&rules, "/", &[(language, "en, de;q=0.9"), ("x-country", "AT")], {
            format!(r#"redirect 302 to "/at" {vary}"#)
        });
        let vary = "(vary: accept-language, x-country, cookie)";
        check(&rules, "/", &[("cookie", "a=b; test=")], {
            format!(r#"redirect 302 to "/beta" {vary}"#)
        });
        check(&rules, "/", &[], format!(r#"serve index "", always {vary}"#));
        check(&rules, "/x", &[], r#"file "x""#);
        assert_eq!(
            applied(&rules, "/", &[("cookie", "beta=1")]),
            [(1, Effect::ConditionsFail), (2, Effect::ConditionsFail), (3, Effect::Redirects)]
        );
    }

    #[test]
    fn route_for_a_host_or_a_scheme_is_for_it_alone() {
        let rules = ready(&routes(&[
            "any://old.example/* https://new.example/:splat 301!",
            "http:///* https://new.example/:splat 308!",
            "any://:sub.pages.dev/x /:sub 302!",
        ]));
        check(&rules, "/a?b", &[("host", "OLD.example:80"), (":scheme", "https")], {
            r#"redirect 301 to "https://new.example/a?b""#
        });
        check(&rules, "/a", &[("host", "new.example"), (":scheme", "http")], {
            r#"redirect 308 to "https://new.example/a""#
        });
        check(&rules, "/a", &[("host", "new.example"), (":scheme", "https")], r#"file "a""#);
        check(&rules, "/x", &[("host", "me.pages.dev"), (":scheme", "https")], {
            r#"redirect 302 to "/me""#
        });
    }

    #[test]
    fn redirect_to_the_url_itself_is_passed_over() {
        let rules =
            ready(&routes(&["/b /b/ 301!", "/c/ /c 301!", "/d/* /d/x 301!", "/q a=:a /q 301!"]));
        check(&rules, "/b", &[], r#"redirect 301 to "/b/""#);
        check(&rules, "/b/", &[], r#"index "b""#);
        check(&rules, "/c/", &[], r#"redirect 301 to "/c""#);
        check(&rules, "/c", &[], r#"file "c""#);
        check(&rules, "/d/y?q", &[], r#"redirect 301 to "/d/x?q""#);
        check(&rules, "/d/%78?q", &[], r#"file "d/x""#);
        check(&rules, "/q?a=1", &[], r#"redirect 301 to "/q""#);
    }

    #[test]
    fn both_forms_of_a_path_are_two_rules_if_both_are_there() {
        let rules = ready(&routes(&["/a /1 301!", "/a/ /2 301!", "/b/ /3 301!"]));
        check(&rules, "/a", &[], r#"redirect 301 to "/1""#);
        check(&rules, "/a/", &[], r#"redirect 301 to "/2""#);
        check(&rules, "/b", &[], r#"redirect 301 to "/3""#);
    }

    #[test]
    fn route_to_itself_with_200_keeps_the_path() {
        let rules = ready(&routes(&["/api/* /api/* 200", "/* /index.html 200"]));
        check(&rules, "/api/x", &[], r#"file "api/x""#);
    }

    #[test]
    fn location_that_is_too_long_is_none() {
        let rules = ready(&routes(&["/* /x/:splat 301!"]));
        for (letters, effect) in [(1_300, Effect::Redirects), (1_400, Effect::NamesNothing)] {
            let target = format!("/{}", "%C3%A9".repeat(letters));
            assert_eq!(applied(&rules, &target, &[]), [(1, effect)]);
        }
    }

    #[test]
    fn route_that_cannot_be_obeyed_is_refused_with_its_line() {
        for (line, problem) in [
            ("/a https://h/ 200", Problem::Proxy),
            ("/a b 301", Problem::Target),
            ("/a /b 304", Problem::Status),
            ("/a /b 416", Problem::Status),
            ("/a /../b 200", Problem::Page),
        ] {
            let error = Rules::new(&routes(&["/ok /ok2", line])).expect_err(line);
            assert_eq!((error.place.line, error.problem), (2, problem), "{line}");
        }
    }
}
