//! Where a route leads: a location, or a page of the site.

use super::checks::split_scheme;
use super::problem::Problem;
use super::template::{Source, Template, Values};
use crate::path::is_unusable;
use crate::pattern::decode;
use crate::percent;

/// Where a route leads.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// To a location: escaped, with a fragment apart.
    Location(Location),
    /// To a page: a decoded path.
    Page(Template),
    /// Nowhere: no later route holds for its paths.
    Itself,
}

/// The location of a redirect.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// What stands before the fragment.
    url: Template,
    /// With `#` before it, or empty.
    fragment: Template,
    has_query: bool,
    /// Whether it is a path of this host.
    is_path: bool,
}

impl Location {
    /// Reads the target of a redirect.
    pub(super) fn parse(
        text: &str,
        known: &impl Fn(&str) -> Option<Source>,
    ) -> Result<Location, Problem> {
        let at = text.find('#').unwrap_or(text.len());
        let (url, fragment) = text.split_at_checked(at).unwrap_or((text, ""));
        let is_path = url.starts_with('/') && !url.starts_with("//");
        let authority = match split_scheme(url) {
            (Some(_), rest) => rest,
            (None, _) => url.strip_prefix("//").unwrap_or_default(),
        };
        if !is_path && (authority.is_empty() || authority.starts_with('/')) {
            return Err(Problem::Target);
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Problem::Target);
        }
        let literal = |text: &str| Ok::<_, Problem>(visible(text));
        Ok(Location {
            url: Template::parse(url, known, literal)?,
            fragment: Template::parse(fragment, known, literal)?,
            has_query: url.contains('?'),
            is_path,
        })
    }

    /// The location for these values. The query of the request is passed on, unless the target
    /// has one.
    pub(super) fn render(&self, values: Values<'_>, query: Option<&str>) -> String {
        let mut location = self.url.render_escaped(values);
        // A value that is empty makes no host of the next name.
        while self.is_path && location.starts_with("//") {
            location.remove(0);
        }
        if let Some(query) = query
            && !self.has_query
        {
            location.push('?');
            location.push_str(query);
        }
        location.push_str(&self.fragment.render_escaped(values));
        location
    }
}

/// Reads the target of a rewrite: a path, of which query and fragment mean nothing here.
pub(super) fn page(
    text: &str,
    known: &impl Fn(&str) -> Option<Source>,
) -> Result<Template, Problem> {
    if !text.starts_with('/') {
        return Err(if text.contains("://") { Problem::Proxy } else { Problem::Target });
    }
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or(text);
    let template = Template::parse(text, known, |text| decode(text).ok_or(Problem::Target))?;
    match template.text() {
        Some(path) if resolve(path).is_none() => Err(Problem::Page),
        _ => Ok(template),
    }
}

/// A decoded path as one below the root: no empty names, and a `/` at the end of a directory's.
/// `None` if no file has it.
pub(super) fn resolve(path: &str) -> Option<String> {
    let mut resolved = String::with_capacity(path.len());
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if name == "." || name == ".." || name.bytes().any(is_unusable) {
            return None;
        }
        if !resolved.is_empty() {
            resolved.push('/');
        }
        resolved.push_str(name);
    }
    if path.ends_with('/') && !resolved.is_empty() {
        resolved.push('/');
    }
    Some(resolved)
}

/// The same, if it is that of a file.
pub(super) fn file(path: &str) -> Option<String> {
    resolve(path).filter(|path| !path.is_empty() && !path.ends_with('/'))
}

/// The text with what no URL may hold as percent-escapes.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent::escape(text, |byte| matches!(byte, b'!'..=b'~'), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::{Location, page, resolve};
    use crate::pattern::Pattern;
    use crate::rules::problem::Problem;
    use crate::rules::template::{Source, Values};

    #[track_caller]
    fn check(to: &str, path: &str, id: &str, query: Option<&str>, expected: &str) {
        let pattern = Pattern::parse("/*").expect("a pattern");
        let known = |name: &str| match name {
            "id" => Some(Source::Query(0)),
            name => pattern.capture(name).map(Source::Path),
        };
        let location = Location::parse(to, &known).expect("a location");
        let captures = pattern.matches(path).expect("a match");
        let values = Values { path: &captures, query: &[id.to_owned()], host: "" };
        assert_eq!(location.render(values, query), expected, "{to}");
    }

    #[test]
    fn query_is_passed_on_before_the_fragment() {
        check("/x/:splat", "a", "", Some("b=c"), "/x/a?b=c");
        check("/x/:splat#top", "a", "", Some("b=c"), "/x/a?b=c#top");
        check("/x?y=:splat", "a", "", Some("b=c"), "/x?y=a");
        check("/x", "a", "", Some(""), "/x?");
        check("https://h/:splat", "a/", "", None, "https://h/a/");
    }

    #[test]
    fn value_makes_no_host_and_no_query() {
        check("/:id/x", "", "", None, "/x");
        check("/:id", "", "/evil.example", None, "/%2Fevil.example");
        check("/:splat", "a?b#c", "", None, "/a%3Fb%23c");
        check("/caf\u{e9} x/:splat", "\u{e9}", "", None, "/caf%C3%A9%20x/%C3%A9");
    }

    #[test]
    fn text_that_is_no_target_is_refused() {
        let known = |_: &str| None;
        for to in ["", "a", "ftp://h/", "javascript:alert(1)", "http://", "https:///a", "//", "/\n"]
        {
            assert_eq!(Location::parse(to, &known).err(), Some(Problem::Target), "{to:?}");
        }
        assert!(Location::parse("//host/a", &known).is_ok());
        assert_eq!(page("https://h/", &known).err(), Some(Problem::Proxy));
        assert_eq!(page("a", &known).err(), Some(Problem::Target));
        assert_eq!(page("/a%", &known).err(), Some(Problem::Target));
        assert_eq!(page("/a/%2e%2e/b", &known).err(), Some(Problem::Page));
    }

    #[test]
    fn path_of_a_page_stays_below_the_root() {
        assert_eq!(resolve("/a//b/").as_deref(), Some("a/b/"));
        assert_eq!(resolve("//").as_deref(), Some(""));
        for path in ["/..", "/a/./b", "/a\\b", "/a\0"] {
            assert_eq!(resolve(path), None, "{path:?}");
        }
    }
}
