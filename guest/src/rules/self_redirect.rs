//! Redirects to the very URL that was requested: they are passed over, as a client would follow them
//! without end.
//!
//! A URL is the same if its host, its port and its path are. Its scheme is only looked at where the
//! rule names one: behind a proxy that ends TLS a server may not know it, and a redirect from `http`
//! to `https` of the same host is one for the scheme `http`.

use super::ask::Ask;
use super::host::Scope;
use crate::line::split_port;
use crate::path::SitePath;
use crate::pattern::{self, Pattern};

/// A location in its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Url<'l> {
    /// Whether it is `https`, if it names a scheme.
    pub(super) is_https: Option<bool>,
    /// Host and port, if it names them.
    pub(super) authority: Option<&'l str>,
    pub(super) path: &'l str,
    pub(super) query: Option<&'l str>,
}

impl<'l> Url<'l> {
    /// The parts of a target or of a location.
    pub(super) fn parse(text: &'l str) -> Url<'l> {
        let text = text.split('#').next().unwrap_or_default();
        let (before, query) = match text.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (text, None),
        };
        let (is_https, rest) = match before.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => {
                (Some(scheme.eq_ignore_ascii_case("https")), Some(rest))
            }
            _ => (None, before.strip_prefix("//")),
        };
        let (authority, path) = match rest {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Some(authority), if path.is_empty() { "/" } else { path })
            }
            None => (None, before),
        };
        Url { is_https, authority, path, query }
    }
}

/// Whether a location is the URL of the request. A rule that is about parameters of the query leads to
/// it only with the same query.
pub(super) fn leads_to_itself(
    location: &str,
    scope: &Scope,
    is_about_query: bool,
    ask: &Ask<'_>,
) -> bool {
    let url = Url::parse(location);
    let is_path = || {
        SitePath::resolve(url.path).is_ok_and(|path| path.into_string() == ask.path)
            && (!is_about_query || url.query == ask.query)
    };
    is_host(url, ask) && scope.may_have_scheme(url.is_https) && is_path()
}

/// Whether a URL has the host and the port of the request.
fn is_host(url: Url<'_>, ask: &Ask<'_>) -> bool {
    let Some(authority) = url.authority else { return true };
    let usual = url.is_https.map(|is_https| if is_https { 443 } else { 80 });
    split_port(authority).is_some_and(|(host, port)| {
        ask.host.as_deref().is_some_and(|given| given.eq_ignore_ascii_case(host))
            && port.or(usual) == ask.port.or(usual)
    })
}

/// Whether a rule has to know the request's host, as the path of its target may be that of the request.
/// A path without placeholders is, if the pattern matches it. One with those of the pattern is not, if
/// the rest of it has another length.
pub(super) fn needs_host(from: &str, pattern: &Pattern, to: &str) -> bool {
    let url = Url::parse(to);
    if url.authority.is_none() {
        return false;
    }
    let path = pattern::decode(url.path).unwrap_or_default();
    let from = pattern::decode(from).unwrap_or_default().replacen('*', ":splat", 1);
    let (of_target, target_names) = literal(&path);
    let (of_pattern, names) = literal(&from);
    if target_names.is_empty() {
        return pattern.matches(path.strip_prefix('/').unwrap_or(&path)).is_some();
    }
    target_names != names || of_target == of_pattern
}

/// How many bytes of a text are no placeholder, without a `/` at its end, and the names of those that
/// are, in their order.
fn literal(text: &str) -> (usize, Vec<&str>) {
    let (mut bytes, mut names) = (0, Vec::new());
    let mut rest = text.strip_suffix('/').unwrap_or(text);
    loop {
        let (before, name, behind) = pattern::split(rest);
        bytes += before.len();
        let Some(behind) = behind else { break };
        names.push(name.unwrap_or("*"));
        rest = behind;
    }
    names.sort_unstable();
    (bytes, names)
}

#[cfg(test)]
mod tests {
    use super::needs_host;
    use crate::pattern::Pattern;
    use crate::rules::Effect;
    use crate::rules::testing::{applied, check, ready, routes};

    #[test]
    fn redirect_to_the_host_itself_is_passed_over() {
        let rules = ready(&routes(&["/* https://www.example.org/:splat 301!"]));
        let host = |host| [("host", host)];
        check(&rules, "/a?b", &host("example.org"), {
            r#"redirect 301 to "https://www.example.org/a?b""#
        });
        for given in ["www.example.org", "WWW.Example.org:443"] {
            check(&rules, "/a?b", &host(given), r#"file "a""#);
            check(&rules, "/", &host(given), r#"index """#);
            assert_eq!(applied(&rules, "/a", &host(given)), [(1, Effect::LeadsToItself)]);
        }
        check(&rules, "/a", &host("www.example.org:8443"), {
            r#"redirect 301 to "https://www.example.org/a""#
        });
    }

    #[test]
    fn redirect_of_the_scheme_leads_elsewhere() {
        let rules = ready(&routes(&[
            "http://www.example.org/* https://www.example.org/:splat 301!",
            "https://www.example.org/* https://www.example.org/:splat 301!",
        ]));
        let fields = |scheme| [("host", "www.example.org"), (":scheme", scheme)];
        check(&rules, "/a", &fields("http"), r#"redirect 301 to "https://www.example.org/a""#);
        check(&rules, "/a", &fields("https"), r#"file "a""#);
    }

    #[test]
    fn host_is_read_only_where_the_path_may_be_the_same() {
        for (from, to, expected) in [
            ("/*", "https://a.b/:splat", true),
            ("/*", "https://a.b", true),
            ("/*", "//a.b/x", true),
            ("/*", "/x/:splat", false),
            ("/blog/*", "https://a.b/:splat", false),
            ("/blog/*", "https://a.b/blog/:splat?x=1#y", true),
            ("/cuties", "https://a.b", false),
            ("/cuties", "https://a.b/cuties/", true),
            ("/caf%C3%A9/:x", "https://a.b/caf\u{e9}/:x/", true),
            ("/:x/:y", "https://a.b/:y/:x", true),
            ("/:x/:y", "https://a.b/:x", true),
            ("/:x/:y", "https://a.b/n/:y/:x", false),
        ] {
            let pattern = Pattern::parse(from).expect("a pattern");
            assert_eq!(needs_host(from, &pattern, to), expected, "{from} {to}");
        }
    }
}
