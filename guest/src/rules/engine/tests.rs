use super::forms_of_pages;
use crate::basic_auth::users::User;
use crate::decision::Page;
use crate::pattern::Pattern;
use crate::rules::ask::MAX_FORMS;
use crate::rules::pages::of_target;
use crate::rules::table::{
    Access, AccessBy, CleanUrls, Cors, Maintenance, Methods, Passwords, Responses, Table,
    TrailingSlash,
};
use crate::rules::target::resolve;
use crate::rules::testing::{at, check, header, ready, route, routes, spa};
use crate::rules::{Effect, Rules};
use crate::{Decision, Field, Request};
use proptest::prelude::*;
use std::collections::BTreeSet;
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
        for trailing_slash in [TrailingSlash::Never, TrailingSlash::Always, TrailingSlash::Either] {
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

/// The files that may be the page of a path.
fn files(rules: &Rules, path: &str) -> Vec<String> {
    let page = |page: &Page| match page {
        Page::File(path) => vec![path.clone()],
        Page::Index(path) => ["index.html", "index.htm"]
            .map(|name| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") })
            .to_vec(),
    };
    match rules.decide(&Request::new(format!("GET {path} HTTP/1.1"), Vec::new())) {
        Decision::File(path) => page(&Page::File(path)),
        Decision::Index(path) => page(&Page::Index(path)),
        Decision::Serve(serve) => {
            serve.candidates.iter().flat_map(|candidate| page(&candidate.page)).collect()
        }
        other => panic!("{path}: {other:?}"),
    }
}

/// Paths of which many share files.
fn paths() -> Vec<String> {
    let names = ["a", "index", "a.html", "index.html", "index.htm"];
    let nested = names.iter().flat_map(|folder| names.map(|name| format!("{folder}/{name}")));
    let paths = names.iter().map(|name| (*name).to_owned()).chain(nested);
    paths
        .flat_map(|path| [format!("/{path}"), format!("/{path}/")])
        .chain(["/".to_owned()])
        .collect()
}

#[test]
fn guard_of_a_path_is_one_of_all_that_share_a_file_with_it() {
    let paths = paths();
    for form in [TrailingSlash::Never, TrailingSlash::Always, TrailingSlash::Either] {
        let clean_urls = Some(CleanUrls { place: at(1), trailing_slash: form });
        let open = ready(&Table { clean_urls: clean_urls.clone(), ..Table::default() });
        let files: Vec<Vec<String>> = paths.iter().map(|path| files(&open, path)).collect();
        for (guarded, theirs) in paths.iter().zip(&files) {
            let access = vec![Access { pattern: guarded.clone(), ..deny() }];
            let denied =
                ready(&Table { access, clean_urls: clean_urls.clone(), ..Table::default() });
            for (path, own) in paths.iter().zip(&files) {
                if own.iter().any(|file| theirs.contains(file)) {
                    check(&denied, path, &[], "reply 403 \"forbidden\\n\"");
                }
            }
        }
    }
}

#[test]
fn pages_of_a_rewrite_have_no_more_forms_than_guards_are_bounded_for() {
    let compressed =
        paths().into_iter().filter_map(|path| (!path.ends_with('/')).then(|| path + ".gz"));
    let more = ["/a.htm.gz", "/a.html.gz", "/a.htm", "/b/a.htm.zst"].map(str::to_owned);
    for path in paths().into_iter().chain(compressed).chain(more) {
        let path = resolve(&path).expect("a path of a page");
        let forms = forms_of_pages(&of_target(&path, 200));
        assert!(forms.len() <= MAX_FORMS as usize, "{path}: {forms:?}");
        let distinct: BTreeSet<_> = forms.iter().collect();
        assert_eq!(distinct.len(), forms.len(), "{path}: {forms:?}");
    }
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
