use super::{parse, parse_flag};
use crate::rules::Key;
use innkeeper_guest::rules::table::{AccessBy, Condition, FieldChange, QueryValue, TrailingSlash};

fn problems(text: &str) -> Vec<(u32, String)> {
    let problems = parse(text).expect_err(text);
    problems.into_iter().map(|problem| (problem.line, problem.message)).collect()
}

#[test]
fn every_key_has_a_text_and_a_table() {
    let text = r#"
spa = true
clean-urls = "always"
header = ["/*: A: 1", { for = "/b", values = { B = ["1", "2"] }, remove = "C", always = true }]
redirect = [
    "/a /b 302",
    { from = "/c", to = "/d", query = { id = ":id", q = "1" }, language = "DE", cookie = ["x"] },
]
cors = ["https://a.example", { for = "/b/*", origins = "https://b.example", credentials = true }]
allow-from = "/admin/*=10.0.0.0/8, ::1"
deny-from = [{ for = "/x", networks = ["192.0.2.1"] }]
allow-referer = "*.example.org"
allow-method = "GET,HEAD"
security-headers = ["coop", "csp"]
country-field = "CF-IPCountry"
basic-auth = ["passwords", { for = "/b/*", users = ["a:b"], realm = "b" }]

[maintenance]
page = "down.html"
retry-after = "1h"
pass = "10.0.0.0/8"
pass-cookie = "a=b"
until = 2027-01-01T00:00:00Z

[[case]]
line = "GET / HTTP/1.1"
decision = "not-found"
"#;
    let (part, cases) = parse(text).expect("rules");
    let table = part.table;
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].line_number, 25);
    assert_eq!(table.spa.expect("a page").place.line, 2);
    assert_eq!(table.clean_urls.expect("a form").trailing_slash, TrailingSlash::Always);
    let lines: Vec<_> = table.headers.iter().map(|header| header.place.line).collect();
    assert_eq!(lines, [4, 4]);
    assert_eq!(table.headers[1].changes.len(), 3);
    let lines: Vec<_> = table.routes.iter().map(|route| route.place.line).collect();
    assert_eq!(lines, [6, 7]);
    assert_eq!((table.routes[0].status, table.routes[1].status), (302, 301));
    assert_eq!(table.routes[1].query[0].value, QueryValue::Placeholder("id".to_owned()));
    let conditions =
        [Condition::Language(vec!["de".to_owned()]), Condition::Cookie(vec!["x".to_owned()])];
    assert_eq!(table.routes[1].conditions, conditions);
    assert_eq!(table.cors.len(), 2);
    assert_eq!(table.access.len(), 3);
    let networks = vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()];
    let by = AccessBy::Networks(networks);
    assert!(table.access.iter().any(|rule| rule.allow && rule.by == by), "{:?}", table.access);
    assert_eq!(table.methods.expect("methods").allowed, ["GET", "HEAD"]);
    assert_eq!(table.country_field.as_deref(), Some("cf-ipcountry"));
    assert_eq!(part.user_files, [(0, "passwords".into())]);
    assert_eq!(part.security.expect("fields").changes.len(), 5);
    let closed = table.maintenance.expect("closed");
    assert_eq!((closed.retry_after_s, closed.until_s), (3600, Some(1_798_761_600)));
    assert_eq!(closed.place.line, 18);
}

#[test]
fn all_mistakes_of_a_file_are_told_with_their_lines() {
    let text = "spa = 1\nredirct = []\n\n[[redirect]]\nfrom = '/a'\nto = '/b'\nstatus = 299\n\n\
                [[header]]\nfor = '/a'\nvalue = {}\n\n[[case]]\nline = 'GET / HTTP/1.1'\n";
    let problems = problems(text);
    let lines: Vec<_> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 4, 11, 13], "{problems:?}");
    for (at, part) in [
        (0, "spa: "),
        (1, "did you mean `redirect`?"),
        (2, "`299` is not a status"),
        (3, "unknown field `value`"),
        (4, "decision"),
    ] {
        assert!(problems[at].1.contains(part), "{problems:?}");
    }
}

#[test]
fn mistakes_say_what_to_write() {
    for (key, text, told) in [
        (Key::Header, "/* X: y", "write 'PATTERN: Name: value'"),
        (Key::Redirect, "/a", "no target"),
        (Key::Redirect, "/a /b\n/c /d", "one line"),
        (Key::CleanUrls, "sometimes", "write never, always or either"),
        (Key::Spa, "../x", "write its path below the root"),
        (Key::Cors, "app.example", "\"app.example\" is no origin: no scheme; write https://"),
        (Key::Cors, "https://a.example/", "an origin has no path"),
        (Key::AllowReferer, "a..b", "\"a..b\" is no host"),
        (Key::Header, "{ values = { A = 'b' }, host = 'exa mple' }", "write one as in example.org"),
        (Key::Header, "{ values = { A = 'b' }, host = 'a.*.b' }", "`a.*.b`"),
        (Key::Redirect, "{ from = '/a', to = '/b', host = 'a.example:80' }", "without a port"),
        (Key::Redirect, "{ from = 'https://a/', to = '/b', host = 'b' }", "leave out `host`"),
        (Key::Redirect, "{ from = '/:a', to = '/b', host = ':a.example' }", "`:a.example`"),
        (Key::Cors, "{ origins = '*', credentials = true }", "named origins"),
        (Key::Cors, "https://*", "\"https://*\" is no origin"),
        (Key::AllowFrom, "10.0.0.1/8", "\"10.0.0.1/8\" names an address"),
        (Key::AllowFrom, "10.0.0.1/8", "write the network, 10.0.0.0/8"),
        (Key::AllowFrom, "here", "write an address or a network"),
        (Key::AllowFrom, "/a=", "the list is empty"),
        (Key::AllowReferer, "https://a/", "write example.org"),
        (Key::AllowMethod, "get", "in capitals"),
        (Key::SecurityHeaders, "hsts", "coop,coep,corp,csp"),
        (Key::Maintenance, "{ retry-after = 'soon' }", "30s or 2h"),
        (Key::Maintenance, "{ retry-after = '0s' }", "\"0s\" is out of bounds: 1s to 7days"),
        (Key::Maintenance, "{ retry-after = '8days' }", "out of bounds"),
        (Key::Cors, "{ origins = '*', max-age = '8days' }", "0s to 7days"),
        (
            Key::Maintenance,
            "{ from = 2027-01-02T00:00:00Z, until = 2027-01-02T00:00:00Z }",
            "`until` is not after `from`",
        ),
        (Key::Redirect, "{ from = '/a', to = '/b', scheme = 'ftp' }", "write http or https"),
        (Key::Header, "{ values = { A = 'b' }, scheme = 'ftp' }", "\"ftp\" is no scheme"),
        (Key::BasicAuth, "{ for = '/a' }", "`file`"),
        (Key::BasicAuth, "/admin/*", "/admin/*=passwords"),
        (Key::BasicAuth, "alice:secret", "write a file of passwords"),
        (Key::BasicAuth, "/admin/*?x=pw", "leave out the `?`"),
        (Key::BasicAuth, "{ for = '/a ', file = 'pw' }", "leave out the blank"),
        (Key::DenyFrom, "/a?b=10.0.0.0/8", "leave out the `?`"),
        (Key::Cors, "/a#b=https://a.example", "leave out the `?` or `#`"),
        (Key::CountryField, "a b", "the name of a request field"),
        (Key::Redirect, "{ from = '/a' }", "missing field `to`"),
        (Key::Redirect, "{ from", "not valid TOML"),
        (Key::Redirect, "{ from = '/*', to = 'https://:splat' }", "links could lead anywhere"),
        (Key::Redirect, "{ from = '/a', to = 'https://b.c/', status = 200 }", "on another host"),
        (Key::Redirect, "{ from = '/a', to = '/b', country = 'usa' }", "codes of two letters"),
        (Key::Header, "{ for = '/a', values = { Date = 'x' } }", "by the server alone"),
        (Key::Header, "{ for = '/a', values = { A = \"b\\nc\" } }", "a control character"),
    ] {
        let problem = parse_flag(key, text).expect_err(text);
        assert!(problem.message.contains(told), "{text}: {problem}");
        assert!(!problem.message.contains("secret"), "{problem}");
        assert_eq!(problem.line, 0);
    }
}

#[test]
fn header_without_for_is_of_all_paths() {
    let part = parse_flag(Key::Header, "{ values = { A = 'b' } }").expect("a rule");
    assert_eq!(part.table.headers[0].pattern, "/*");
}

#[test]
fn times_that_are_wrong_are_told_with_their_line() {
    let text = "spa = true\n\n[maintenance]\nfrom = 2027-01-02T00:00:00Z\n\
                until = 2027-01-01T00:00:00Z\n";
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, 3, "{problems:?}");
}

#[test]
fn blank_before_the_value_is_no_part_of_the_pattern() {
    let part = parse_flag(Key::BasicAuth, "/admin/* = pw").expect("a rule");
    assert_eq!(part.table.passwords[0].pattern, "/admin/*");
}

#[test]
fn header_takes_a_field_away() {
    let part = parse_flag(Key::Header, "/embed/*: ! X-Frame-Options").expect("a rule");
    let [header] = part.table.headers.as_slice() else { panic!("{part:?}") };
    assert_eq!(header.pattern, "/embed/*");
    assert_eq!(header.changes, [FieldChange::Remove { name: "X-Frame-Options".to_owned() }]);
}

#[test]
fn switches_that_are_false_are_no_rules() {
    for key in [Key::Spa, Key::CleanUrls, Key::Maintenance, Key::SecurityHeaders] {
        assert_eq!(parse_flag(key, "false").expect("nothing").rules(), 0);
        assert_eq!(parse_flag(key, "true").expect("a rule").rules(), 1);
    }
}

#[test]
fn hosts_are_written_in_lower_case_and_checked_with_their_lines() {
    let text = "[[redirect]]\nfrom = '/a'\nto = '/:sub/b'\nhost = ':sub.Example.ORG.'\n\n\
                [[header]]\nvalues = { A = 'b' }\nhost = '*.Example.org'\n";
    let part = parse(text).expect("rules").0;
    assert_eq!(part.table.routes[0].host.as_deref(), Some(":sub.example.org"));
    assert_eq!(part.table.headers[0].host.as_deref(), Some("*.example.org"));
    let problems = problems(&text.replace(":sub.E", "-e x."));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, 1, "{problems:?}");
}
