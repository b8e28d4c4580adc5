//! A table of rules made ready, and the decision by it.

use super::access::Access;
use super::ask::{self, Ask, Vary};
use super::cors::Cors;
use super::explain::{Applied, Trace, Untraced};
use super::headers::{Added, Headers};
use super::maintenance::Maintenance;
use super::methods::Methods;
use super::pages::{self, Pages};
use super::passwords::Passwords;
use super::problem::RuleError;
use super::routes::{Routed, Routes};
use super::table::{Responses, Table};
use crate::contract::{MAX_FIELD_BYTES, MAX_FIELDS};
use crate::decision::{Field, Page};
use crate::path::has_dot_file_but;
use crate::{Candidate, Decision, Reply, Request, Serve};

/// A table of rules, made ready to decide by.
///
/// Rules are looked at in this order: access, preflight requests (which have no credentials),
/// methods, maintenance, passwords, hidden files, routes, and at last what the path serves by
/// itself. The first of them that decides ends it. Fields are added to what came out.
#[derive(Clone, Debug)]
pub struct Rules {
    access: Access,
    cors: Cors,
    methods: Option<Methods>,
    maintenance: Option<Maintenance>,
    passwords: Passwords,
    routes: Routes,
    pages: Pages,
    headers: Headers,
    interests: Vec<String>,
    reads_host: bool,
}

impl Rules {
    /// Makes a table ready. The error is its first rule that cannot be obeyed.
    pub fn new(table: &Table) -> Result<Rules, RuleError> {
        let mut rules = Rules {
            access: Access::new(table)?,
            cors: Cors::new(table)?,
            methods: Methods::new(table)?,
            maintenance: Maintenance::new(table)?,
            passwords: Passwords::new(table)?,
            routes: Routes::new(table)?,
            pages: Pages::new(table)?,
            headers: Headers::new(table)?,
            interests: Vec::new(),
            reads_host: false,
        };
        let mut interests: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !interests.iter().any(|known| known == name) {
                interests.push(name.to_owned());
            }
        };
        rules.access.interests(&mut add);
        rules.cors.interests(&mut add);
        if let Some(maintenance) = &rules.maintenance {
            maintenance.interests(&mut add);
        }
        rules.passwords.interests(&mut add);
        rules.routes.interests(&mut add);
        rules.headers.interests(&mut add);
        rules.reads_host = interests.iter().any(|name| name == "host");
        rules.interests = interests;
        Ok(rules)
    }

    /// What the rules read besides the request line: names of fields in lower case, and facts.
    pub fn interests(&self) -> &[String] {
        &self.interests
    }

    /// Decides how to respond to one request.
    pub fn decide(&self, request: &Request) -> Decision {
        self.trace(request, &mut Untraced)
    }

    /// The same decision, and the rules that took part in it, in the order in which they were
    /// looked at.
    pub fn explain(&self, request: &Request) -> (Decision, Vec<Applied>) {
        let mut applied = Vec::new();
        (self.trace(request, &mut applied), applied)
    }

    fn trace(&self, request: &Request, trace: &mut impl Trace) -> Decision {
        let ask = match Ask::new(request, self.reads_host) {
            Ok(ask) => ask,
            Err(decision) => return decision,
        };
        let mut every = Vec::new();
        let mut vary = Vary::default();
        let forms = self.guarded_forms(&ask);
        let draft = self
            .guard(&ask, &forms, &mut every, &mut vary, trace)
            .unwrap_or_else(|| self.page(&ask, &forms, &mut vary, trace));
        let added = self.headers.add(&ask, draft.responses(), trace);
        finish(draft, every, added, vary.value())
    }

    /// The response to a client that gets no page.
    fn guard<'t>(
        &'t self,
        ask: &Ask<'_>,
        forms: &[String],
        every: &mut Vec<Field>,
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if let Some(refused) = self.access.refuse(ask, forms, vary, trace) {
            return Some(refused);
        }
        if let Some(preflight) = self.cors.share(ask, every, vary, trace) {
            return Some(preflight);
        }
        if let Some(methods) = &self.methods
            && let Some(refused) = methods.refuse(ask, trace)
        {
            return Some(refused);
        }
        if let Some(maintenance) = &self.maintenance
            && let Some(closed) = maintenance.close(ask, vary, trace)
        {
            return Some(closed);
        }
        self.passwords.ask_for_password(ask, forms, &[], trace)
    }

    /// All forms of the path, if a guard looks at them.
    fn guarded_forms(&self, ask: &Ask<'_>) -> Vec<String> {
        if self.has_guards() {
            ask::forms(&ask.path, self.pages.has_clean_urls())
        } else {
            Vec::new()
        }
    }

    fn has_guards(&self) -> bool {
        self.access.has_patterns() || self.passwords.has_patterns()
    }

    /// The response to a client that may not have the pages of another path, to which a rule leads.
    /// Forms in `known` are those of the path that was asked for.
    fn guard_pages<'t>(
        &'t self,
        ask: &Ask<'_>,
        known: &[String],
        candidates: &[Candidate],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Option<Draft> {
        if !self.has_guards() {
            return None;
        }
        let mut forms = Vec::new();
        for candidate in candidates.iter().filter(|candidate| candidate.location.is_none()) {
            forms.extend(match &candidate.page {
                Page::File(path) => ask::forms(path, true),
                Page::Index(path) => ask::forms(&[path.trim_end_matches('/'), "/"].concat(), true),
            });
        }
        self.access
            .refuse(ask, &forms, vary, trace)
            .or_else(|| self.passwords.ask_for_password(ask, &forms, known, trace))
    }

    /// What there is for the path.
    fn page<'t>(
        &'t self,
        ask: &Ask<'_>,
        forms: &[String],
        vary: &mut Vary<'t>,
        trace: &mut impl Trace,
    ) -> Draft {
        if ask.names_nothing || self.pages.is_hidden(&ask.path) {
            return Draft::Serve(Serve::nothing());
        }
        let (mut candidates, own);
        match self.routes.find(ask, vary, trace) {
            Routed::Redirect { to, force: true } => {
                return Draft::Serve(Serve::nothing().otherwise(to));
            }
            Routed::Redirect { to, force: false } => {
                return Draft::Serve(Serve::first_of(self.pages.own(ask, trace)).otherwise(to));
            }
            Routed::Page { path, status, force } => {
                candidates = if force { Vec::new() } else { self.pages.own(ask, trace) };
                own = candidates.len();
                if !self.is_private(&path) {
                    candidates.extend(pages::of_target(&path, status));
                }
            }
            Routed::None => {
                candidates = self.pages.own(ask, trace);
                own = candidates.len();
                self.pages.add_app(ask, &mut candidates, trace);
            }
        }
        // A page of another path: what guards that path guards the page too.
        let others = candidates.get(own..).unwrap_or_default();
        self.guard_pages(ask, forms, others, vary, trace)
            .unwrap_or_else(|| Draft::Serve(Serve::first_of(candidates)))
    }

    /// Whether a path to which a rewrite leads is never served.
    fn is_private(&self, path: &str) -> bool {
        has_dot_file_but(path, ".well-known") || self.pages.is_hidden(path)
    }
}

/// A decision before fields are added to it.
pub(super) enum Draft {
    Reply(Reply),
    Serve(Serve),
}

impl Draft {
    /// What all responses that it may lead to are, at least.
    fn responses(&self) -> Responses {
        match self {
            Draft::Serve(serve) if serve.otherwise.is_none() => Responses::Pages,
            // A client that is refused, or one that may be sent elsewhere.
            Draft::Serve(_) | Draft::Reply(_) => Responses::Every,
        }
    }

    /// The fields that the decision has by itself.
    fn fields(&self) -> impl Iterator<Item = &Field> {
        let (reply, serve) = match self {
            Draft::Reply(reply) => (Some(reply), None),
            Draft::Serve(serve) => (None, Some(serve)),
        };
        let of_serve = serve.into_iter().flat_map(|serve| {
            serve.fields.iter().chain(serve.candidates.iter().flat_map(|page| &page.fields))
        });
        reply.into_iter().flat_map(|reply| &reply.fields).chain(of_serve)
    }
}

/// What is left of the fields that one response may have.
struct Room {
    fields: usize,
    bytes: usize,
}

impl Room {
    /// Whether there is room for a field. It is then taken.
    fn take(&mut self, field: &Field) -> bool {
        let bytes = field.name.len() + field.value.len();
        let has_room = self.fields > 0 && bytes <= self.bytes;
        if has_room {
            self.fields -= 1;
            self.bytes -= bytes;
        }
        has_room
    }
}

/// Adds the fields of rules to a decision. Fields that the host would refuse as too many are left
/// out.
fn finish(draft: Draft, shared: Vec<Field>, added: Added, vary: Option<String>) -> Decision {
    let Added { mut every, mut files } = added;
    let mut room = Room { fields: MAX_FIELDS, bytes: MAX_FIELD_BYTES };
    // The decision's own fields come first.
    let of_vary = vary.as_ref().map(|vary| Field::new("vary", [", ", vary.as_str()].concat()));
    let _ = draft.fields().chain(&shared).chain(&of_vary).filter(|field| room.take(field)).count();
    every.retain(|field| room.take(field));
    files.retain(|field| every.contains(field) || room.take(field));
    // What the rules about origins say counts more than a block of fields.
    for field in shared {
        for fields in [&mut every, &mut files] {
            fields.retain(|other| !is_same_name(&field.name, &other.name));
            fields.push(field.clone());
        }
    }
    if let Some(vary) = vary {
        // The host adds that of a page to it.
        match every.iter_mut().find(|field| is_same_name(&field.name, "vary")) {
            Some(field) => {
                field.value.extend_from_slice(b", ");
                field.value.extend_from_slice(vary.as_bytes());
            }
            None => every.push(Field::new("vary", vary.as_str())),
        }
    }
    match draft {
        Draft::Reply(mut reply) => {
            add_missing(&mut reply.fields, every);
            reply.into()
        }
        Draft::Serve(mut serve) => {
            files.retain(|field| !every.contains(field));
            if !files.is_empty() {
                let pages = serve.candidates.iter_mut().filter(|candidate| candidate.status == 200);
                for candidate in pages {
                    add_missing(&mut candidate.fields, files.iter().cloned());
                }
            }
            add_missing(&mut serve.fields, every);
            shorten(serve)
        }
    }
}

/// Adds fields of which the response has none of the same name.
fn add_missing(fields: &mut Vec<Field>, more: impl IntoIterator<Item = Field>) {
    let own = fields.len();
    for field in more {
        let is_own = fields.iter().take(own).any(|other| is_same_name(&field.name, &other.name));
        if !is_own {
            fields.push(field);
        }
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The shortest form of a decision.
fn shorten(mut serve: Serve) -> Decision {
    if serve.candidates.is_empty() {
        return match serve.otherwise.take() {
            Some(mut redirect) => {
                redirect.fields.append(&mut serve.fields);
                redirect.into()
            }
            None if serve.fields.is_empty() => Decision::NotFound,
            None => serve.into(),
        };
    }
    let is_plain = |candidate: &Candidate| candidate.status == 200 && candidate.fields.is_empty();
    if serve.otherwise.is_none()
        && serve.fields.is_empty()
        && serve.candidates.len() == 1
        && serve.candidates.iter().all(is_plain)
    {
        return match serve.candidates.pop().map(|candidate| candidate.page) {
            Some(Page::Index(path)) => Decision::Index(path),
            Some(Page::File(path)) => Decision::File(path),
            None => Decision::NotFound,
        };
    }
    serve.into()
}

#[cfg(test)]
mod tests {
    use crate::basic_auth::users::User;
    use crate::pattern::Pattern;
    use crate::rules::table::{
        Access, AccessBy, CleanUrls, Cors, Maintenance, Methods, Passwords, Responses, Table,
        TrailingSlash,
    };
    use crate::rules::testing::{at, check, header, ready, route, routes, spa};
    use crate::rules::{Effect, Rules};
    use crate::{Decision, Field, Request};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Ready once: passwords are slow to stretch.
    static EVERYTHING: LazyLock<Rules> = LazyLock::new(|| ready(&everything()));

    /// A table with a rule of each kind.
    fn everything() -> Table {
        let to = |pattern: &str| pattern.to_owned();
        Table {
            access: vec![deny()],
            methods: Some(Methods { place: at(2), allowed: vec!["GET".to_owned()] }),
            maintenance: Some(Maintenance {
                place: at(3),
                page: None,
                retry_after_s: 60,
                pass_networks: Vec::new(),
                pass_cookie: Some(("in".to_owned(), "1".to_owned())),
                from_s: None,
                until_s: None,
            }),
            passwords: vec![password()],
            cors: vec![Cors {
                place: at(5),
                pattern: to("/*"),
                origins: vec!["https://a.example".to_owned()],
                methods: Vec::new(),
                request_fields: Vec::new(),
                exposed_fields: Vec::new(),
                credentials: false,
                max_age_s: None,
            }],
            routes: vec![route("/r/* /x/:splat 301"), route("/deny/r /x 301!")],
            clean_urls: Some(CleanUrls { place: at(7), trailing_slash: TrailingSlash::Never }),
            spa: spa("index.html"),
            headers: vec![
                header("/*", Responses::Every, &["X-A: 1"]),
                header("/r/*", Responses::Files, &["X-B: :splat"]),
            ],
            ..Table::default()
        }
    }

    #[test]
    fn rules_are_obeyed_in_their_order() {
        let rules = &*EVERYTHING;
        let vary = "(X-A: 1) (vary: origin";
        check(rules, "/deny/r", &[], r#"reply 403 "forbidden\n" (X-A: 1)"#);
        let preflight = [("origin", "https://b.example"), ("access-control-request-method", "PUT")];
        check(rules, "OPTIONS /secret/a", &preflight, format!(r#"reply 204 "" {vary})"#));
        check(rules, "PUT /secret/a", &[], {
            format!(r#"reply 405 "method not allowed\n" (allow: GET, HEAD) {vary})"#)
        });
        check(rules, "/secret/a", &[], {
            r#"reply 503 "closed for maintenance\n" (retry-after: 60) (cache-control: no-store) (X-A: 1) (vary: origin, cookie)"#
        });
        check(rules, "/secret/a", &[("cookie", "in=1")], {
            r#"reply 401 "a password is needed\n" (www-authenticate: Basic realm="r", charset="UTF-8") (X-A: 1) (vary: origin, cookie)"#
        });
        check(rules, "/r/a", &[("cookie", "in=1")], {
            r#"serve file "r/a" (X-B: a), file "r/a.html" (X-B: a), index "r/a" (X-B: a), otherwise redirect 301 to "/x/a", always (X-A: 1) (vary: origin, cookie)"#
        });
    }

    #[test]
    fn no_form_of_a_url_goes_around_a_guard() {
        let forms =
            ["/in/a", "/in/a/", "/in/a.html", "/in/a/index.html", "/in/%61.html", "/in/a.html.gz"];
        for guarded in &forms[..4] {
            let access = Access { place: at(1), pattern: (*guarded).to_owned(), ..deny() };
            let passwords = Passwords { pattern: (*guarded).to_owned(), ..password() };
            for trailing_slash in
                [TrailingSlash::Never, TrailingSlash::Always, TrailingSlash::Either]
            {
                let clean_urls = Some(CleanUrls { place: at(1), trailing_slash });
                let table = Table { clean_urls: clean_urls.clone(), ..Table::default() };
                let denied = ready(&Table { access: vec![access.clone()], ..table.clone() });
                let asked = ready(&Table { passwords: vec![passwords.clone()], ..table });
                for form in forms {
                    check(&denied, form, &[], "reply 403 \"forbidden\\n\"");
                    check(&asked, form, &[], {
                        r#"reply 401 "a password is needed\n" (www-authenticate: Basic realm="r", charset="UTF-8")"#
                    });
                }
            }
        }
        // A folder and its index page, also without clean URLs.
        for (guarded, form) in [
            ("/in/index.html", "/in/"),
            ("/in", "/in/index.html"),
            ("/index.html", "/"),
            ("/", "/index.htm"),
        ] {
            let access = vec![Access { pattern: guarded.to_owned(), ..deny() }];
            let denied = ready(&Table { access, ..Table::default() });
            check(&denied, form, &[], "reply 403 \"forbidden\\n\"");
        }
        let access = vec![Access { pattern: "/a.html".to_owned(), ..deny() }];
        let denied = ready(&Table { access, ..Table::default() });
        for form in ["/a.html.gz", "/a.html.br", "/a.html.zst"] {
            check(&denied, form, &[], "reply 403 \"forbidden\\n\"");
        }
        check(&denied, "/a", &[], r#"file "a""#);
    }

    #[test]
    fn no_rewrite_goes_around_a_guard() {
        let table = |pattern: &str| Table {
            routes: vec![
                route("/en/* /:splat 200"),
                route("/x /in/ 200!"),
                route("/gone /in/a 404"),
                route("/away /in/a 302!"),
            ],
            spa: spa("/in/app.html"),
            access: vec![Access { pattern: pattern.to_owned(), ..deny() }],
            ..Table::default()
        };
        let refused = "reply 403 \"forbidden\\n\"";
        let rules = ready(&table("/in/*"));
        for line in ["/en/in/a.html", "/en/in", "/x", "/gone", "/app/route"] {
            check(&rules, line, &[], refused);
        }
        check(&rules, "/away", &[], r#"redirect 302 to "/in/a""#);
        check(&rules, "/a.css", &[], r#"file "a.css""#);
        let rules = ready(&table("/in/a.html"));
        for line in ["/en/in/a", "/en/in/a.html.gz", "/gone"] {
            check(&rules, line, &[], refused);
        }
        check(&rules, "/en/a", &[], r#"serve file "en/a", file "a", file "a.html", index "a""#);
        let passwords = vec![Passwords { pattern: "/in/*".to_owned(), ..password() }];
        let rules = ready(&Table { passwords, access: Vec::new(), ..table("/*") });
        let asked = r#"reply 401 "a password is needed\n" (www-authenticate: Basic realm="r", charset="UTF-8")"#;
        check(&rules, "/x", &[], asked);
        // ann:secret
        check(&rules, "/x", &[("authorization", "Basic YW5uOnNlY3JldA==")], {
            r#"serve index "in", file "in.html""#
        });
    }

    #[test]
    fn fields_beyond_the_limit_are_left_out() {
        let lines = |from: usize, to: usize, length: usize| -> Vec<String> {
            (from..to).map(|number| format!("X-{number}: {}", "a".repeat(length))).collect()
        };
        for (length, expected) in [(1, 64), (1_000, 16)] {
            let (first, second) = (lines(0, 40, length), lines(40, 80, length));
            let texts =
                [&first, &second].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
            for responses in [Responses::Files, Responses::Pages, Responses::Every] {
                let table = Table {
                    headers: vec![
                        header("/*", responses, &texts[0]),
                        header("/*", Responses::Files, &texts[1]),
                    ],
                    ..Table::default()
                };
                let Decision::Serve(serve) =
                    ready(&table).decide(&Request::new("GET /a HTTP/1.1", Vec::new()))
                else {
                    panic!("it has fields");
                };
                let count = serve.fields.len() + serve.candidates[0].fields.len();
                assert_eq!(count, expected, "{length} {responses:?}");
            }
        }
    }

    fn deny() -> Access {
        Access { place: at(1), pattern: "/deny/*".to_owned(), allow: false, by: AccessBy::All }
    }

    fn password() -> Passwords {
        let ann = User::new("ann", b"secret", b"0123456789abcdef", 1_000).expect("a user").line();
        Passwords {
            place: at(4),
            pattern: "/secret/*".to_owned(),
            realm: "r".to_owned(),
            users: vec![ann],
        }
    }

    #[test]
    fn table_without_rules_decides_as_the_default_policy() {
        let rules = ready(&Table::default());
        assert!(rules.interests().is_empty());
        for line in [
            "GET / HTTP/1.1",
            "GET /a/b?c HTTP/1.1",
            "GET /a/ HTTP/1.1",
            "GET /.git HTTP/1.1",
            "GET /.well-known/a HTTP/1.1",
            "GET /%2e%2e/ HTTP/1.1",
            "GET /% HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "CONNECT a:80 HTTP/1.1",
            "nonsense",
            "GET / HTTP/2.0",
        ] {
            let request = Request::new(line, Vec::new());
            assert_eq!(rules.decide(&request), crate::decide::decide(line.as_bytes()), "{line}");
        }
    }

    /// The routes that hold for a path, one after the other.
    fn first_route(lines: &[String], path: &str) -> Option<String> {
        lines.iter().find_map(|line| {
            let (from, to) = line.split_once(' ').expect("two words");
            let pattern = Pattern::parse(from).expect("a pattern");
            let captures = pattern.matches(path)?;
            let mut to = to.to_owned();
            for name in ["splat", "x", "y"] {
                if let Some(capture) = pattern.capture(name) {
                    to = to.replace(&format!(":{name}"), captures.get(capture));
                }
            }
            Some(to)
        })
    }

    proptest! {
        #[test]
        fn decision_is_that_of_one_route_after_the_other(
            lines in prop::collection::vec(
                (r"(/(a|b|:x))?(/(a|b|:y))?(/\*)?", "/[1-9]-:x-:y/:splat"), 0..12),
            path in "(a/|b/|c/){0,3}(a|b|c)",
        ) {
            let lines: Vec<String> = lines
                .iter()
                .map(|(from, to)| format!("{} {to}", if from.is_empty() { "/" } else { from }))
                .collect();
            let forced: Vec<String> = lines.iter().map(|line| format!("{line} 302!")).collect();
            let forced: Vec<&str> = forced.iter().map(String::as_str).collect();
            let rules = ready(&routes(&forced));
            let request = Request::new(format!("GET /{path} HTTP/1.1"), Vec::new());
            let to = match rules.decide(&request) {
                Decision::Redirect(redirect) => Some(redirect.location),
                _ => None,
            };
            prop_assert_eq!(to, first_route(&lines, &path), "{:?} {}", lines, path);
        }

        #[test]
        fn explanation_has_the_decision_and_places_of_the_table(
            method in "GET|HEAD|PUT|OPTIONS",
            path in r"(/(r|deny|secret|%2e|\.a|a\.b|%00|%C3%A9|x.html|index.html)){0,3}/?",
            fields in prop::collection::vec(
                prop_oneof![
                    Just(("cookie", "in=1")),
                    Just(("origin", "https://a.example")),
                    Just(("origin", "null")),
                    Just(("access-control-request-method", "PUT")),
                    Just(("authorization", "Basic YW5uOnNlY3JldA==")),
                ],
                0..4,
            ),
        ) {
            let rules = &*EVERYTHING;
            let fields = fields.iter().map(|&(name, value)| Field::new(name, value)).collect();
            let request = Request::new(format!("{method} {path} HTTP/1.1"), fields);
            let (decision, applied) = rules.explain(&request);
            prop_assert_eq!(&decision, &rules.decide(&request));
            if matches!(&decision, Decision::Reply(reply) if reply.status == 403) {
                prop_assert!(applied.iter().any(|applied| applied.what == Effect::Refuses));
            }
        }

        #[test]
        fn any_line_gets_a_decision(line in prop::collection::vec(any::<u8>(), 0..100)) {
            let rules = &*EVERYTHING;
            rules.decide(&Request::new(line, Vec::new()));
        }
    }

    #[test]
    fn ten_thousand_routes_are_ready_quickly() {
        let lines: Vec<String> =
            (0..10_000).map(|n| format!("/old/{n}/* /new/{n}/:splat 301!")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let table = routes(&lines);
        let began = std::time::Instant::now();
        let rules: Rules = ready(&table);
        check(&rules, "/old/7777/x", &[], r#"redirect 301 to "/new/7777/x""#);
        assert!(began.elapsed().as_secs() < 5);
    }
}
