use super::lint;
use crate::rules::redirects_file;
use crate::rules::table::{
    Access, AccessBy, CleanUrls, FieldChange, Header, Passwords, Place, Responses, Spa, Table,
    TrailingSlash,
};

/// The findings about a file of redirects, each as a line without the name of the file.
fn findings(file: &str) -> Vec<String> {
    let routes = redirects_file::parse(file.as_bytes(), 0);
    let routes = routes.unwrap_or_else(|faults| panic!("{file}\n{faults:?}"));
    let table = Table {
        sources: vec!["r".to_owned()],
        routes,
        country_field: Some("country".to_owned()),
        ..Table::default()
    };
    let shown = |finding: &super::Finding| {
        let kind = if finding.is_error() { "error" } else { "warning" };
        format!("{kind} {}", finding.shown(&table.sources))
    };
    lint(&table).iter().map(shown).collect()
}

#[track_caller]
fn check(file: &str, expected: &[&str]) {
    let findings = findings(file);
    assert_eq!(findings.len(), expected.len(), "{file}\n{findings:#?}");
    for (finding, expected) in findings.iter().zip(expected) {
        assert!(finding.starts_with(expected), "{file}\n{finding}\n{expected}");
    }
}

#[test]
fn rule_behind_one_that_matches_all_of_it_is_shadowed() {
    let by = |line: u32, by: u32| format!("warning r:{line}: the rule is never reached: r:{by} ");
    for (file, expected) in [
        ("/a /b\n/a /c", vec![by(2, 1)]),
        ("/* /index.html 200\n/a /b", vec![by(2, 1)]),
        ("/a/* /b\n/a/:x/* /c\n/a/x/y /d", vec![by(2, 1), by(3, 1)]),
        ("/:x/b /c\n/:y/b /d\n/y/b /e", vec![by(2, 1), by(3, 1)]),
        ("/a/* 200\n/a/b /c", vec![by(2, 1)]),
        ("/a /b 302 Country=at,de\n/a /c 302 Country=de", vec![by(2, 1)]),
        ("/a id=:id /b\n/a id=1 /c", vec![by(2, 1)]),
        ("https://a.b/* /c\nhttps://a.b/x /d", vec![by(2, 1)]),
        ("/a /b\n/a/ /b\n/a /c", vec![by(3, 1)]),
    ] {
        check(file, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn rule_with_something_of_its_own_is_not_shadowed() {
    for file in [
        "/a /b\n/c /d",
        "/a/b /c\n/a/* /d\n/* /e",
        "/a /b 302 Country=at\n/a /c 302 Country=at,de\n/a /d",
        "/a /b 302 Language=de\n/a /c 302 Language=en\n/a /d",
        "/a /b 302 Cookie=x\n/a /c",
        "/a id=1 /b\n/a id=:id /c\n/a /d",
        "http://a.b/* https://a.b/:splat 301!\nhttps://a.b/x /y\n/x /z",
        "https://a.b/x /y\n/x /z",
        "/a/:x /b\n/a/* /c",
        "/:slug.html /x\n/:slug /y",
        "/trailing /trailing/ 301\n/other/ /other 301",
        "/a /a/ 301\n/a/ /b 301",
        "/*/x /y\n/* /z",
    ] {
        check(file, &[]);
    }
}

#[test]
fn circle_of_forced_redirects_is_an_error() {
    for (file, expected) in [
        (
            "/a /b 301!\n/b /a 301!",
            "error r:1: the redirect leads back to itself through r:2, without",
        ),
        (
            "/a /b\n/b /a",
            "warning r:1: the redirect leads back to itself through r:2, unless a file",
        ),
        ("/a /b 301!\n/b /a", "warning r:1: the redirect leads back to itself through r:2, unless"),
        (
            "/a /b 301!\n/b /c 301!\n/c /d 301!\n/d /b 302!",
            "error r:2: the redirect leads back to itself through r:3 and r:4, without",
        ),
        ("/* /x/:splat 301!", "error r:1: the redirect leads back to itself, without"),
        ("/* /x/:splat 302 Language=de", "warning r:1: the redirect leads back to itself, unless"),
        (
            "https://a.b/* https://a.b/c/:splat 301!",
            "error r:1: the redirect leads back to itself, without",
        ),
        (
            "https://a.b/* https://c.d/:splat 301!\nhttps://c.d/* https://a.b/:splat 301!",
            "error r:1: the redirect leads back to itself through r:2, without",
        ),
        (
            "/a x=1 /a?x=2 301!\n/a x=2 /a?x=1 301!",
            "error r:1: the redirect leads back to itself thr",
        ),
    ] {
        check(file, &[expected]);
    }
    for file in [
        "/a /b 301!\n/b /c 301!",
        "/* https://www.b.example/:splat 301!",
        "/* https://www.b.example/:splat 301!\nhttps://www.b.example/x /y",
        "http://a.b/* https://a.b/:splat 301!",
        "https://www.a.b/* https://a.b/:splat 301!\nhttps://a.b/x /y 301!",
        "/a /b 301!\n/b /a 200!",
        "/a/* /b/:splat 301!\n/b/* /c/:splat 301!",
    ] {
        check(file, &[]);
    }
}

#[test]
fn redirect_against_the_form_of_urls_is_told() {
    let told = |file: &str, trailing_slash: Option<TrailingSlash>| {
        let routes = redirects_file::parse(file.as_bytes(), 0).expect("rules");
        let place = Place { source: 1, line: 0 };
        let clean_urls = trailing_slash.map(|trailing_slash| CleanUrls { place, trailing_slash });
        let sources = vec!["r".to_owned(), "--clean-urls".to_owned()];
        let table = Table { sources, routes, clean_urls, ..Table::default() };
        let findings = lint(&table);
        assert!(findings.iter().all(|finding| !finding.is_error()), "{findings:?}");
        findings.iter().map(|finding| finding.shown(&table.sources).to_string()).collect::<Vec<_>>()
    };
    for (file, form, expected) in [
        ("/docs /docs/ 301!", Some(TrailingSlash::Never), "where the page is there: --clean-urls"),
        ("/docs /docs.html 301!", Some(TrailingSlash::Never), "where the page is there"),
        ("/docs/ /docs 301!", Some(TrailingSlash::Always), "where the page is there"),
        ("/docs/ /docs 301!", None, "where it leads to a folder"),
    ] {
        let told = told(file, form);
        assert!(told.len() == 1 && told[0].contains(expected), "{file} {told:#?}");
    }
    for (file, form) in [
        ("/docs /docs/ 301", Some(TrailingSlash::Never)),
        ("/docs /docs/ 301!", Some(TrailingSlash::Always)),
        ("/docs /docs/ 301!", Some(TrailingSlash::Either)),
        ("/docs /docs/ 301!", None),
        ("/docs.html /docs 301!", Some(TrailingSlash::Never)),
        ("/old /docs/ 301!", Some(TrailingSlash::Never)),
        ("/old/ /docs 301!", None),
        ("/docs/ /docs 301!\n/docs /docs.html 200", None),
    ] {
        assert_eq!(told(file, form), [""; 0], "{file} {form:?}");
    }
}

#[test]
fn rule_that_never_does_anything_is_told() {
    for (file, expected) in [
        ("/a/* /a/:splat 301", "warning r:1: the rule never does anything: it leads to the URL"),
        ("/.git/* /a", "warning r:1: the rule never matches: no URL"),
    ] {
        check(file, &[expected]);
    }
    let routes = redirects_file::parse(b"/a /b 302 Country=at", 0).expect("a rule");
    let table = Table { routes, ..Table::default() };
    let text = lint(&table)[0].shown(&table.sources).to_string();
    assert!(text.starts_with("rules:1: the rule never matches: nothing tells"), "{text}");
}

#[test]
fn rules_of_other_kinds_are_looked_at() {
    let at = |line| Place { source: 0, line };
    let header = |line, changes| Header {
        place: at(line),
        scheme: None,
        host: None,
        pattern: "/*".to_owned(),
        changes,
        responses: Responses::Files,
    };
    let add = FieldChange::Add { name: "A".to_owned(), value: "1".to_owned() };
    let remove = |name: &str| FieldChange::Remove { name: name.to_owned() };
    let password = |line, pattern: &str| Passwords {
        place: at(line),
        pattern: pattern.to_owned(),
        realm: "r".to_owned(),
        users: Vec::new(),
    };
    let access = |line, pattern: &str, by| Access {
        place: at(line),
        pattern: pattern.to_owned(),
        allow: false,
        by,
    };
    let table = Table {
        sources: vec!["r".to_owned()],
        headers: vec![
            header(1, vec![add.clone()]),
            header(2, vec![remove("a"), remove("B")]),
            header(3, vec![]),
            header(4, vec![remove("C"), FieldChange::Add { name: "c".into(), value: "1".into() }]),
        ],
        passwords: vec![password(5, "/a/*"), password(6, "/a/b/*"), password(7, "/b")],
        access: vec![
            access(8, "/x/*", AccessBy::Networks(vec!["10.0.0.0/8".to_owned()])),
            access(9, "/x/*", AccessBy::All),
            access(10, "/x/y", AccessBy::All),
            access(11, "/x/y", AccessBy::Referers(vec!["*".to_owned(), String::new()])),
        ],
        routes: redirects_file::parse(b"\n\n\n\n\n\n\n\n\n\n\n/* /index.html 200", 0)
            .expect("a rule"),
        spa: Some(Spa { place: at(13), page: "index.html".to_owned(), pattern: "/*".to_owned() }),
        ..Table::default()
    };
    let findings = lint(&table);
    let lines: Vec<_> = findings.iter().map(|finding| finding.place.line).collect();
    assert_eq!(lines, [2, 3, 6, 10, 13], "{findings:#?}");
}

#[test]
fn many_rules_are_looked_at_once() {
    let began = std::time::Instant::now();
    let mut file = String::new();
    for number in 0..10_000 {
        file += &format!("/old/{number}/* /new/{number}/:splat 301!\n");
    }
    check(&file, &[]);
    // Each matches what each other matches, but for its cookie.
    let mut file = String::new();
    for number in 0..10_000 {
        file += &format!("/* /new 302 Cookie=c{number}\n");
    }
    let found = findings(&file);
    assert!(
        found.iter().any(|finding| finding.contains("not all rules were compared")),
        "{}",
        found.len()
    );
    // One chain, as long as a client never follows.
    let mut file = String::new();
    for number in 0..10_000 {
        file += &format!("/{number} /{} 301!\n", number + 1);
    }
    findings(&file);
    // Unoptimised, and beside other tests.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}
