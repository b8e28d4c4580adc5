//! The table of redirects: text in, rules out. There is no index: each decision reads the
//! lines once, up to the rule that matches, and keeps nothing.

use std::fmt;

/// One line: old paths, and their new location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// A path below the root, decoded. That of [`Reach::Beneath`] ends in `/` or is
    /// empty.
    from: &'a str,
    reach: Reach,
    /// The location, or its part before the rest of the path.
    to: &'a str,
    end: End,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// The paths that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// This path.
    Only,
    /// All paths that begin with it.
    Beneath,
}

/// How a location ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As it is in the table.
    Written,
    /// In the rest of the path, in place of `*`.
    Rest,
}

/// What is wrong with a table of redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong in that line.
    pub what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The rules of a table in their order, or what is wrong with a line.
///
/// Empty lines and lines that begin with `#` are skipped. Lines are only parsed here:
/// [`check`] checks their parts, at build time instead of at each decision.
pub fn rules(text: &str) -> impl Iterator<Item = Result<Rule<'_>, Fault>> {
    text.lines().map(str::trim_ascii).enumerate().filter_map(|(index, line)| {
        let is_rule = !line.is_empty() && !line.starts_with('#');
        is_rule.then(|| Rule::parse(line).map_err(|what| Fault { line: index + 1, what }))
    })
}

/// Checks a whole table, also its rules against each other.
pub fn check(text: &str) -> Result<(), Fault> {
    for (index, line) in text.lines().enumerate() {
        let Some(rule) = rules(line).next() else { continue };
        let fault = |what| Fault { line: index + 1, what };
        let rule = rule.map_err(|at_one| fault(at_one.what))?;
        check_from(&rule).and_then(|()| check_to(&rule)).map_err(fault)?;
        let path = rule.to.split(['?', '#']).next().and_then(|path| path.strip_prefix('/'));
        if path.is_some_and(|path| rule.rest(path).is_some()) {
            return Err(fault("TO is a path that the same line redirects"));
        }
        let mut earlier = text.lines().take(index).flat_map(rules).flatten();
        if earlier.any(|earlier| earlier.rest(rule.from).is_some()) {
            return Err(fault("a line above matches this path: this line is never reached"));
        }
    }
    Ok(())
}

impl<'a> Rule<'a> {
    fn parse(line: &'a str) -> Result<Rule<'a>, &'static str> {
        let (from, rest) = line
            .split_once('>')
            .and_then(|(from, rest)| Some((from.strip_suffix(" -")?, rest.strip_prefix(' ')?)))
            .ok_or("it is not FROM -> TO, with a blank at either side of the arrow")?;
        let mut words = rest.split_ascii_whitespace();
        let (Some(to), status, None) = (words.next(), words.next(), words.next()) else {
            return Err("after the arrow stand TO and perhaps a status");
        };
        let status = match status {
            None | Some("301") => 301,
            Some("302") => 302,
            Some("303") => 303,
            Some("307") => 307,
            Some("308") => 308,
            Some(_) => return Err("the status is not 301, 302, 303, 307 or 308"),
        };
        let from = from.trim_ascii_end().strip_prefix('/').ok_or("FROM does not begin with /")?;
        let (from, reach) = match from.strip_suffix('*') {
            Some(before) => (before, Reach::Beneath),
            None => (from, Reach::Only),
        };
        let (to, end) = match to.strip_suffix('*') {
            Some(before) => (before, End::Rest),
            None => (to, End::Written),
        };
        Ok(Rule { from, reach, to, end, status })
    }

    /// The new location of a path, if this rule matches it. `escape` escapes the rest of the
    /// path for a URL.
    ///
    /// The query is kept, unless the location has a query or a fragment.
    pub fn location(
        &self,
        path: &str,
        query: Option<&str>,
        escape: impl Fn(&str) -> String,
    ) -> Option<String> {
        let rest = self.rest(path)?;
        let mut location = match self.end {
            End::Written => self.to.to_owned(),
            End::Rest => [self.to, &escape(rest)].concat(),
        };
        if let Some(query) = query
            && !self.to.contains(['?', '#'])
        {
            location.push('?');
            location.push_str(query);
        }
        Some(location)
    }

    /// The rest of a path after that of this rule, if the rule matches it.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.from)?;
        (self.reach == Reach::Beneath || rest.is_empty()).then_some(rest)
    }
}

/// FROM is a decoded path, like a file's name, or one with `/*` at its end.
fn check_from(rule: &Rule<'_>) -> Result<(), &'static str> {
    let path = rule.from;
    let ends_in_a_name = !path.is_empty() && !path.ends_with('/');
    if path.contains(['?', '#', '*', '\\'])
        || path.contains(char::is_control)
        || rule.reach == Reach::Beneath && ends_in_a_name
    {
        return Err("FROM is a path alone, with at most one *, after its last /");
    }
    // A path is compared as the default policy resolves it: no other spelling would ever
    // match.
    let mut names = path.strip_suffix('/').unwrap_or(path).split('/');
    if !path.is_empty() && names.any(|name| matches!(name, "" | "." | "..")) {
        return Err("FROM has an empty name, `.` or `..`");
    }
    let has_escape = path.split('%').skip(1).any(|after| {
        after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
    });
    if has_escape {
        return Err("FROM is written decoded, without percent-escapes");
    }
    Ok(())
}

/// TO is a path or an `http` or `https` URL, escaped, with or without `/*` at its end.
fn check_to(rule: &Rule<'_>) -> Result<(), &'static str> {
    let to = rule.to;
    let is_path = to.starts_with('/') && !to.starts_with("//");
    let host = ["http://", "https://"].iter().find_map(|scheme| to.strip_prefix(scheme));
    if !is_path && host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        return Err("TO is neither a path with one / at its start nor an http or https URL");
    }
    if !to.bytes().all(|byte| byte.is_ascii_graphic()) || to.contains('\\') {
        return Err("TO is visible ASCII without \\: the rest is percent-escaped");
    }
    // After a `/`: in a host's name the path would choose the host.
    let takes_a_rest = to.ends_with('/') && !to.contains(['?', '#']);
    if to.contains('*') || rule.end == End::Rest && !takes_a_rest {
        return Err("in TO a * may stand at the end of a path, after a /, and nowhere else");
    }
    if (rule.reach, rule.end) == (Reach::Only, End::Rest) {
        return Err("TO ends in * and FROM does not");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Fault, check, rules};

    /// The status and location of the first rule that matches a path.
    #[track_caller]
    fn sends(table: &str, path: &str, expected: Option<(u16, &str)>) {
        check(table).unwrap_or_else(|fault| panic!("{table}: {fault}"));
        let mut rules = rules(table).map(|rule| rule.expect("a rule"));
        let sent = rules.find_map(|rule| {
            Some((rule.status, rule.location(path, None, |rest| rest.replace(' ', "%20"))?))
        });
        let sent = sent.as_ref().map(|(status, location)| (*status, location.as_str()));
        assert_eq!(sent, expected, "{path:?} in {table:?}");
    }

    #[test]
    fn path_is_redirected() {
        sends("/a -> /b", "a", Some((301, "/b")));
        sends("/a -> /b", "a/", None);
        sends("/a -> /b", "ab", None);
        sends("/a/ -> /b 308", "a/", Some((308, "/b")));
        sends("/ -> /b 302", "", Some((302, "/b")));
        sends(
            "/a b/c -> https://x.example/?d#e 307",
            "a b/c",
            Some((307, "https://x.example/?d#e")),
        );
        sends("/100% -> /b", "100%", Some((301, "/b")));
    }

    #[test]
    fn path_beneath_a_star_keeps_its_rest() {
        sends("/a/* -> /b/*", "a/c/d e", Some((301, "/b/c/d%20e")));
        sends("/a/* -> /b/*", "a/", Some((301, "/b/")));
        sends("/a/* -> /b/*", "a", None);
        sends("/a/* -> /b", "a/c", Some((301, "/b")));
        sends("/* -> https://x.example/*", "a/c", Some((301, "https://x.example/a/c")));
        sends("/* -> https://x.example/*", "", Some((301, "https://x.example/")));
    }

    #[test]
    fn first_rule_that_matches_counts() {
        let table = "# moved\n\n  /a/b -> /c  \n\t/a/* -> /d/*\r\n/* -> https://x.example/";
        sends(table, "a/b", Some((301, "/c")));
        sends(table, "a/c", Some((301, "/d/c")));
        sends(table, "e", Some((301, "https://x.example/")));
    }

    #[test]
    fn query_is_kept_unless_the_location_has_one() {
        let location = |table: &'static str, query| {
            let rule = rules(table).next().expect("a line").expect("a rule");
            rule.location("a", query, str::to_owned).expect("a match")
        };
        assert_eq!(location("/a -> /b", Some("x=1")), "/b?x=1");
        assert_eq!(location("/a -> /b", None), "/b");
        assert_eq!(location("/a -> /b?y=2", Some("x=1")), "/b?y=2");
        assert_eq!(location("/a -> /b#c", Some("x=1")), "/b#c");
    }

    #[test]
    fn malformed_line_is_a_fault_with_its_number() {
        for (line, part) in [
            ("/a /b", "it is not FROM -> TO"),
            ("/a->/b", "it is not FROM -> TO"),
            ("/a > /b", "it is not FROM -> TO"),
            ("/a>b -> /c", "it is not FROM -> TO"),
            ("/a -> ", "it is not FROM -> TO"),
            ("/a -> /b 301 /c", "TO and perhaps a status"),
            ("/a -> /b moved", "the status"),
            ("/a -> /b 200", "the status"),
            ("/a -> /b 304", "the status"),
            ("a -> /b", "FROM does not begin with /"),
            ("http://h/a -> /b", "FROM does not begin with /"),
            ("/a//b -> /c", "an empty name"),
            ("//a -> /c", "an empty name"),
            ("// -> /c", "an empty name"),
            ("/a/../b -> /c", "`..`"),
            ("/a/. -> /c", "`.`"),
            ("/a?b -> /c", "a path alone"),
            ("/a#b -> /c", "a path alone"),
            ("/a* -> /c", "a path alone"),
            ("/*/a -> /c", "a path alone"),
            ("/a%20b -> /c", "written decoded"),
            ("/a -> b", "TO is neither"),
            ("/a -> //h/b", "TO is neither"),
            ("/a -> ftp://h/", "TO is neither"),
            ("/a -> javascript:alert(1)", "TO is neither"),
            ("/a -> https://", "TO is neither"),
            ("/a -> /\\h", "TO is visible ASCII"),
            ("/a -> /é", "TO is visible ASCII"),
            ("/a -> /b/*", "FROM does not"),
            ("/a/* -> /b*", "nowhere else"),
            ("/a/* -> /b/*/c", "nowhere else"),
            ("/a/* -> /b?c=/*", "nowhere else"),
            ("/a/* -> https://*", "TO is neither"),
            ("/a/* -> https://x.example*", "nowhere else"),
            ("/a -> /a", "the same line redirects"),
            ("/a -> /a?b#c", "the same line redirects"),
            ("/a/* -> /a/b/*", "the same line redirects"),
            ("/* -> /b", "the same line redirects"),
        ] {
            let table = format!("# one\n/good -> /better\n{line}\n");
            let Fault { line: place, what } = check(&table).expect_err(line);
            assert!(what.contains(part), "{line}: {what}");
            assert_eq!(place, 3, "{line}");
        }
    }

    #[test]
    fn line_that_is_never_reached_is_a_fault() {
        let fault = check("/a/* -> /b/*\n/c -> /d\n/a/c -> /d\n").expect_err("line 3");
        assert_eq!(
            fault.to_string(),
            "line 3: a line above matches this path: this line is never reached"
        );
        assert_eq!(check("/a -> /b\n/a -> /c").expect_err("line 2").line, 2);
        assert_eq!(check("/a/b -> /b\n/a/* -> /c"), Ok(()));
    }
}
