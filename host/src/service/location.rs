//! Where a client is sent: what `Location` holds (RFC 9110, section 10.2.2).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What visible ASCII may stand nowhere in a URL (RFC 3986, section 2). Browsers take a
/// backslash for a `/`, and pages that show a location take the others for markup.
const IN_NO_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// And what may stand neither in a path nor in a query (sections 3.3 and 3.4).
const IN_NO_PATH: &AsciiSet = &IN_NO_URL.add(b'#').add(b'[').add(b']');

/// And what may not stand in what is both, sent as it came: a `#` would end it.
const IN_NO_TARGET: &AsciiSet = &IN_NO_URL.add(b'#');

/// The path and the query of a target: of the absolute form only these count (RFC 9112, section
/// 3.2.2).
pub(super) fn path_and_query(target: &str) -> &str {
    let before_query = &target[..target.find('?').unwrap_or(target.len())];
    match before_query.find("://") {
        Some(end) if !target.starts_with('/') => {
            let rest = &target[end + "://".len()..];
            rest.find(['/', '?']).map_or("", |at| &rest[at..])
        }
        _ => target,
    }
}

/// The path of a target, and its query if it has one. The path of a host alone is `/`.
pub(super) fn path_query(target: &str) -> (&str, Option<&str>) {
    let target = path_and_query(target);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    (if path.is_empty() { "/" } else { path }, query)
}

/// Where a directory is that was asked for without the `/` at its end: the last name of
/// the path, with it, and the query. `None` if the path has it already.
///
/// The reference is relative to what the client asked for, so that it holds where a proxy
/// has taken a prefix away, and cannot name another host.
pub(super) fn with_slash(target: &str) -> Option<String> {
    let (path, query) = path_query(target);
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    // What precedes a colon would be a scheme (section 4.2).
    let here = if name.contains(':') { "./" } else { "" };
    let name = utf8_percent_encode(name, IN_NO_PATH);
    Some(match query {
        Some(query) => format!("{here}{name}/?{}", utf8_percent_encode(query, IN_NO_PATH)),
        None => format!("{here}{name}/"),
    })
}

/// What a guest wrote, with what may stand in no URL escaped: it may have copied it from
/// the request.
pub(super) fn escaped(location: &str) -> Cow<'_, str> {
    utf8_percent_encode(location, IN_NO_URL).into()
}

/// A path with its query as it came, with what may not stand in them escaped.
pub(super) fn escaped_target(target: &str) -> Cow<'_, str> {
    utf8_percent_encode(target, IN_NO_TARGET).into()
}

#[cfg(test)]
mod tests {
    use super::{escaped, escaped_target, path_query, with_slash};

    #[test]
    fn path_and_query_are_those_of_any_form() {
        for (target, expected) in [
            ("/a", ("/a", None)),
            ("/a?b?c", ("/a", Some("b?c"))),
            ("/?", ("/", Some(""))),
            ("/a?http://h/b", ("/a", Some("http://h/b"))),
            ("http://h:80/a?b", ("/a", Some("b"))),
            ("http://h", ("/", None)),
            ("http://h?b", ("/", Some("b"))),
            ("*", ("*", None)),
        ] {
            assert_eq!(path_query(target), expected, "for {target:?}");
        }
    }

    #[test]
    fn directory_gets_slash_relative_to_what_was_asked_for() {
        for (target, expected) in [
            ("/docs", "docs/"),
            ("/a/docs?b=c?d", "docs/?b=c?d"),
            ("/docs?", "docs/?"),
            ("/a%20b", "a%20b/"),
            ("/a:b", "./a:b/"),
            ("/javascript:alert(1)", "./javascript:alert(1)/"),
            ("http://h:80/docs?x", "docs/?x"),
            ("/x?http://h/docs", "x/?http://h/docs"),
            ("/x?:a", "x/?:a"),
        ] {
            assert_eq!(with_slash(target).as_deref(), Some(expected), "for {target:?}");
        }
    }

    #[test]
    fn path_with_slash_goes_nowhere() {
        for target in ["/", "/docs/", "/docs/?a", "//", "http://h", "http://h?a", "http://h/docs/"]
        {
            assert_eq!(with_slash(target), None, "for {target:?}");
        }
    }

    #[test]
    fn directory_never_becomes_a_host() {
        for (target, expected) in [
            ("//evil.example", "evil.example/"),
            ("///docs", "docs/"),
            ("/\\evil.example", "%5Cevil.example/"),
            ("/\\\\evil.example", "%5C%5Cevil.example/"),
            ("http://h//evil.example", "evil.example/"),
        ] {
            assert_eq!(with_slash(target).as_deref(), Some(expected), "for {target:?}");
        }
    }

    #[test]
    fn no_location_holds_what_is_in_no_url() {
        assert_eq!(
            with_slash("/a\"<b>?\"<c>`{|}^\\#").as_deref(),
            Some("a%22%3Cb%3E/?%22%3Cc%3E%60%7B%7C%7D%5E%5C%23")
        );
        assert_eq!(escaped("/a?\"<b>\\"), "/a?%22%3Cb%3E%5C");
        assert_eq!(escaped("/\\evil.example"), "/%5Cevil.example");
        let target = "/a%20b//c/../[d]?e=[f]&g='h'%23";
        assert_eq!(escaped_target(target), target);
        assert_eq!(escaped_target("/a#b?<c>\\"), "/a%23b?%3Cc%3E%5C");
        let plain = "https://u@[::1]:80/a%20b;c,d?e=[f]&g='h'#i";
        assert_eq!(escaped(plain), plain);
    }
}
