//! `_redirects`, as Netlify and Cloudflare Pages have it.
//!
//! A line is a rule: what it is about, parameters of the query, the target, a status, and
//! conditions. White space stands between them, and `#` begins a comment.
//!
//! ```text
//! /blog/:year/*    /news/:year/:splat   302!
//! /store  id=:id   /blog/:id            301
//! /                /anz                 302   Country=au,nz  Language=en
//! ```
//!
//! Without a status it is 301, as Netlify has it; Cloudflare has 302. A status of 200 without a target
//! means that the rules behind it do not count for these paths.

use super::checks::{self, From, is_space, is_target};
use super::fault::{Faults, Mistake};
use super::lines::Reader;
use super::table::{Place, Route};

/// The status of a rule that names none.
const STATUS: u16 = 301;

/// Reads a file into its rules, whose places are of this source; or all that is wrong with it.
pub fn parse(file: &[u8], source: u16) -> Result<Vec<Route>, Faults> {
    let mut reader = Reader::new(file, source);
    let mut routes = Vec::new();
    while let Some(line) = reader.next() {
        match parse_line(line, reader.place()) {
            Ok(Some(route)) => reader.push(&mut routes, route),
            Ok(None) => {}
            Err(mistake) => reader.fault(mistake),
        }
    }
    reader.finish(routes)
}

/// Reads one line; `None` if it has no rule.
fn parse_line(line: &str, place: Place) -> Result<Option<Route>, Mistake> {
    let parts = line.split(is_space).filter(|part| !part.is_empty());
    let mut parts = parts.take_while(|part| !part.starts_with('#')).peekable();
    let Some(written) = parts.next() else { return Ok(None) };
    let mut from = From::parse(written)?;
    if from.path.starts_with("/.netlify/") {
        return Err(Mistake::Function(from.path));
    }
    let is_status =
        |part: &str| part.starts_with(|first: char| first.is_ascii_digit()) && !part.contains('=');
    let mut query = Vec::new();
    // Parameters stand before the target. A status in its place ends them, too.
    while let Some(part) = parts.next_if(|part| !is_target(part) && !is_status(part)) {
        match part.split_once('=') {
            Some((name, value)) => query.push(from.query(name, value)?),
            None => return Err(Mistake::Query(part.to_owned())),
        }
    }
    let to = parts.next_if(|part| is_target(part));
    let (status, force) = match parts.next_if(|part| !part.contains('=')) {
        Some(part) => checks::status(part)?,
        None => (STATUS, false),
    };
    let to = match to {
        Some(to) => to.to_owned(),
        // Other rules do not count: the path's own page is served.
        None if status == 200 => from.path.clone(),
        None => return Err(Mistake::NoTarget),
    };
    from.target(&to, status)?;
    let mut conditions = Vec::new();
    for part in parts {
        match part.split_once('=') {
            Some((name, values)) => conditions.push(checks::condition(name, values.split(','))?),
            None => return Err(Mistake::Option(part.to_owned())),
        }
    }
    let From { scheme, host, path, .. } = from;
    let from = path;
    Ok(Some(Route { place, scheme, host, from, query, conditions, to, status, force }))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::rules::table::{Condition, Place, QueryValue, Route};

    /// Reads one rule, and shows it with its parts in a fixed order.
    #[track_caller]
    fn check(line: &str, expected: &str) {
        let routes = parse(line.as_bytes(), 0).unwrap_or_else(|faults| panic!("{faults:?}"));
        let shown: Vec<_> = routes.iter().map(shown).collect();
        assert_eq!(shown.join("\n"), expected, "{line}");
    }

    fn shown(route: &Route) -> String {
        let mut shown = String::new();
        if let Some(scheme) = &route.scheme {
            shown += &format!("{scheme}://{}", route.host.as_deref().unwrap_or_default());
        }
        shown += &route.from;
        for parameter in &route.query {
            shown += &match &parameter.value {
                QueryValue::Exactly(value) => format!(" {}={value}", parameter.name),
                QueryValue::Placeholder(name) => format!(" {}=:{name}", parameter.name),
            };
        }
        shown += &format!(" -> {} {}", route.to, route.status);
        shown += if route.force { "!" } else { "" };
        for condition in &route.conditions {
            shown += &match condition {
                Condition::Language(values) => format!(" language {values:?}"),
                Condition::Country(values) => format!(" country {values:?}"),
                Condition::Cookie(values) => format!(" cookie {values:?}"),
            };
        }
        shown
    }

    #[track_caller]
    fn check_fault(file: &[u8], expected: &str) {
        let faults = parse(file, 0).expect_err(expected);
        let first = faults.first()[0].shown(&["_redirects"]).to_string();
        assert!(first.starts_with(expected), "{first}\n{expected}");
        assert!(!first.chars().any(char::is_control) && first.len() < 500, "{first}");
    }

    #[test]
    fn documented_lines_of_netlify_are_read() {
        for (line, expected) in [
            ("/home              /", "/home -> / 301"),
            (
                "/cuties  https://www.petsofnetlify.com",
                "/cuties -> https://www.petsofnetlify.com 301",
            ),
            (
                "/authors/c%C3%A9line /authors/about-c%C3%A9line",
                "/authors/c%C3%A9line -> /authors/about-c%C3%A9line 301",
            ),
            ("/my-redirect  /  302", "/my-redirect -> / 302"),
            ("/ecommerce /store-closed 404", "/ecommerce -> /store-closed 404"),
            ("/pass-through /index.html 200", "/pass-through -> /index.html 200"),
            ("/*  /index.html   200!", "/* -> /index.html 200!"),
            ("/store id=:id  /blog/:id  301", "/store id=:id -> /blog/:id 301"),
            (
                "/articles id=:id tag=:tag /posts/:tag/:id 301",
                "/articles id=:id tag=:tag -> /posts/:tag/:id 301",
            ),
            (
                "/path/* param1=:value1 param2=b%20c /otherpath/:value1/:splat 301",
                "/path/* param1=:value1 param2=b c -> /otherpath/:value1/:splat 301",
            ),
            (
                "http://blog.yoursite.com/*  https://www.yoursite.com/blog/:splat 301!",
                "http://blog.yoursite.com/* -> https://www.yoursite.com/blog/:splat 301!",
            ),
            ("/ /anz 302 Country=au,nz", "/ -> /anz 302 country [\"au\", \"nz\"]"),
            (
                "/israel/*  /israel/he/:splat  302  Country=IL Language=he",
                "/israel/* -> /israel/he/:splat 302 country [\"il\"] language [\"he\"]",
            ),
            (
                "/* /preview/:splat 302! Cookie=is_preview,nf_ab",
                "/* -> /preview/:splat 302! cookie [\"is_preview\", \"nf_ab\"]",
            ),
            (
                "/news/:month/:date/:year/:slug  /blog/:year/:month/:date/:slug",
                "/news/:month/:date/:year/:slug -> /blog/:year/:month/:date/:slug 301",
            ),
            ("/api/* 200", "/api/* -> /api/* 200"),
        ] {
            check(line, expected);
        }
    }

    #[test]
    fn documented_lines_of_cloudflare_are_read() {
        for (line, expected) in [
            ("/querystrings /?query=string 301", "/querystrings -> /?query=string 301"),
            ("/trailing /trailing/ 301", "/trailing -> /trailing/ 301"),
            ("/page/ /page2/#fragment 301", "/page/ -> /page2/#fragment 301"),
            (
                "/blog/* https://blog.my.domain/:splat",
                "/blog/* -> https://blog.my.domain/:splat 301",
            ),
            (
                "/products/:code/:name /products?code=:code&name=:name",
                "/products/:code/:name -> /products?code=:code&name=:name 301",
            ),
            ("/blog/*/old /blog/:splat 308", "/blog/*/old -> /blog/:splat 308"),
            ("/home#top /new", "/home -> /new 301"),
        ] {
            check(line, expected);
        }
    }

    #[test]
    fn white_space_comments_and_line_ends_separate() {
        check("# comment\n\n   # another\n/a /b # and one\n", "/a -> /b 301");
        check("\u{feff}/a\t/b\u{a0}302\r\n\r\n/c\u{3000}/d", "/a -> /b 302\n/c -> /d 301");
        check("/a /b#c", "/a -> /b#c 301");
        check("", "");
        let routes = parse(b"\r\n# a\r\n/a /b\r\n\n  /c /d", 7).expect("rules");
        let places: Vec<_> = routes.iter().map(|route| route.place).collect();
        assert_eq!(places, [Place { source: 7, line: 3 }, Place { source: 7, line: 5 }]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_to_do_instead() {
        for (line, expected) in [
            ("/a https://b.example/ 200", "_redirects:1: `https://b.example/` is on another host"),
            ("/a https://b.example/ 404", "_redirects:1: `https://b.example/` is on another host"),
            ("/a /b 200! Role=admin", "_redirects:1: rules by `Role` need"),
            ("/a https://b.example/ 301 signed=KEY", "_redirects:1: `Signed` signs requests"),
            ("/a /.netlify/functions/b 200", "_redirects:1: `/.netlify/functions/b` is a function"),
            ("/.netlify/* /b", "_redirects:1: `/.netlify/*` is a function"),
            ("/a", "_redirects:1: the rule has no target"),
            ("/a 301", "_redirects:1: the rule has no target"),
            ("/a b", "_redirects:1: `b` is neither a parameter"),
            ("a /b", "_redirects:1: `a`: a pattern begins"),
            ("X-Frame-Options: DENY", "_redirects:1: `X-Frame-Options:`: a pattern begins"),
            ("/a?b=c /d", "_redirects:1: `/a?b=c`: a pattern has no query"),
            ("/a /b 299", "_redirects:1: `299` is not a status"),
            ("/a /b 412", "_redirects:1: `412` is not a status"),
            ("/a /b 0301", "_redirects:1: `0301` is not a status"),
            ("/a /b forever", "_redirects:1: `forever` is not a status"),
            ("/a /b 301 more", "_redirects:1: `more` is neither a status nor a condition"),
            ("/a /b 301 Moon=full", "_redirects:1: `Moon` is neither a status nor a condition"),
            ("/a /b 301 Country=", "_redirects:1: `Country` has no value"),
            ("/a /b 301 Country=usa", "_redirects:1: `usa` is not a country"),
            ("/a /b 301 Language=d\u{e9}", "_redirects:1: `d\u{e9}` is not a language"),
            ("/a /b 301 Cookie=a;b", "_redirects:1: `a;b` is not the name of a cookie"),
            ("/:a /:b", "_redirects:1: `:b` stands for nothing"),
            ("/a /x?b=:b", "_redirects:1: `:b` stands for nothing"),
            ("/:a/:a /b", "_redirects:1: `/:a/:a`: a placeholder stands in the pattern twice"),
            ("/:a a=:a /b", "_redirects:1: `a=:a`: a placeholder stands in the pattern twice"),
            ("/*/../b /c", "_redirects:1: `/*/../b`: the pattern has a name that no path has"),
            ("/a/%2e%2e/b /c", "_redirects:1: `/a/%2e%2e/b`: the pattern has a name that no"),
            ("/a%zz /c", "_redirects:1: `/a%zz`: the pattern has a malformed"),
            ("/a /c%zz", "_redirects:1: `/c%zz`: `%` has no two"),
            ("/a /../etc/passwd 200", "_redirects:1: `/../etc/passwd`: a rewrite leads"),
            ("/a /b%2Fc 404", "_redirects:1: `/b%2Fc`: a rewrite leads"),
            ("/a //evil.example/", "_redirects:1: `//evil.example/`: write `https://` before"),
            ("/* https://:splat", "_redirects:1: `https://:splat`: the host of a target"),
            ("/:a https://:a", "_redirects:1: `https://:a`: the host of a target"),
            ("/:a https://:a.com/", "_redirects:1: `https://:a.com/`: the host of a target"),
            ("/a https://u@b.example/", "_redirects:1: `https://u@b.example/`: the host of a"),
            ("/a https://b:99999/", "_redirects:1: `https://b:99999/`: the host of a"),
            ("/a javascript:alert(1)", "_redirects:1: `javascript:alert(1)` is neither"),
            ("https:///a /b", "_redirects:1: `https:///a`: its host is none"),
            ("https://a:80/ /b", "_redirects:1: `https://a:80/`: its host is none"),
            (
                "/*/*/*/*/*/*/*/*/*/*/* /b",
                "_redirects:1: `/*/*/*/*/*/*/*/*/*/*/*`: the pattern has more",
            ),
            (
                "/:a/:b/:c/:d/:e/:f/:g/:h/:i j=:j k=:k l=:l m=:m n=:n o=:o p=:p q=:q /x",
                "_redirects:1: `q=:q`: the rule has more than 16 placeholders",
            ),
        ] {
            check_fault(line.as_bytes(), expected);
        }
        check("/:a https://:a.b.example:8080/x", "/:a -> https://:a.b.example:8080/x 301");
        check("/a https://[::1]:80/", "/a -> https://[::1]:80/ 301");
        check("/a /wiki/Special:Search", "/a -> /wiki/Special:Search 301");
    }

    #[test]
    fn hostile_bytes_get_their_line() {
        check_fault(b"/a /b\n/c\xff /d", "_redirects:2: the line is not UTF-8");
        check_fault(b"/a /b\0", "_redirects:1: the line has the control character \\u{0}");
        check_fault(b"/a /b\r/c /d", "_redirects:1: the line has the control character \\u{d}");
        check_fault(b"/a /b\x1b[2J", "_redirects:1: the line has the control character \\u{1b}");
        check_fault("/a /b\u{85}".as_bytes(), "_redirects:1: the line has the control character");
        check_fault(
            &[b"/a /b\n/", &[b'a'; 20_000][..]].concat(),
            "_redirects:2: the line is longer",
        );
        check_fault(&[b"/ /", &[b'a'; 9_000][..]].concat(), "_redirects:1: `/aaaa");
        // A comment may have any bytes.
        assert_eq!(parse(b"# \xff\0\n/a /b", 0).map(|routes| routes.len()), Ok(1));
    }

    #[test]
    fn first_faults_are_kept_and_the_others_counted() {
        let faults = parse("a\n".repeat(1_000).as_bytes(), 0).expect_err("faults");
        assert_eq!((faults.first().len(), faults.count(), faults.more()), (20, 1_000, 980));
        assert_eq!(faults.first()[19].place.line, 20);
    }

    #[test]
    fn too_many_rules_and_bytes_are_refused_at_once() {
        let began = std::time::Instant::now();
        let file = "/a /b\n".repeat(750_000);
        check_fault(&file.as_bytes()[..4_000_000], "_redirects:50001: more than 50000 rules");
        check_fault(&file.as_bytes()[..4_200_000], "_redirects: the file is larger than 4 MiB");
        let text = vec![b'x'; 4_000_000];
        check_fault(&text, "_redirects:1: the line is longer");
        let lines = vec![b'\n'; 4_000_000];
        assert_eq!(parse(&lines, 0), Ok(Vec::new()));
        let half = "/:a/*/:b /c/:a/:b/:splat 301! Country=at\n".repeat(50_000);
        assert_eq!(parse(half.as_bytes(), 0).map(|routes| routes.len()), Ok(50_000));
        // Unoptimised, and beside other tests.
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
