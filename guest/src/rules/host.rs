//! What a rule is about before the path of a URL: the scheme and the host, which is one name or a
//! pattern of names.

use super::ask::Ask;
use super::template::Source;
use crate::pattern;

/// The scheme and the host of a rule's URLs.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    is_https: Option<bool>,
    /// A pattern. One name is left to the set of patterns, which has a root for each host.
    host: Option<Box<HostPattern>>,
}

impl Scope {
    /// That of a rule with this scheme and this host, as far as it names them.
    pub(super) fn new(scheme: Option<&str>, host: Option<&str>) -> Scope {
        Scope {
            is_https: scheme.map(|scheme| scheme == "https"),
            host: host.and_then(HostPattern::parse).map(Box::new),
        }
    }

    /// The host that the rule names, if it is one name.
    pub(super) fn exact<'t>(&self, host: Option<&'t str>) -> Option<&'t str> {
        if self.host.is_some() { None } else { host }
    }

    /// Names of fields and facts that it goes by, but for a host that is one name.
    pub(super) fn interests(&self, mut add: impl FnMut(&str)) {
        if self.host.is_some() {
            add("host");
        }
        if self.is_https.is_some() {
            add(":scheme");
        }
    }

    /// Whether the request is one of those that the rule is about.
    pub(super) fn means(&self, ask: &Ask<'_>) -> bool {
        let given = ask.host.as_deref();
        self.host.as_ref().is_none_or(|host| given.is_some_and(|given| host.matches(given)))
            && self.is_https.is_none_or(|is_https| ask.is_https() == is_https)
    }

    /// Whether URLs of this scheme may be among the rule's.
    pub(super) fn may_have_scheme(&self, is_https: Option<bool>) -> bool {
        self.is_https.is_none_or(|own| is_https.is_none_or(|is_https| own == is_https))
    }

    /// What a placeholder of the host stands for.
    pub(super) fn source(&self, name: &str) -> Option<Source> {
        let label = self.host.as_ref()?.label(name)?;
        u16::try_from(label).ok().map(Source::Host)
    }
}

/// A pattern of hosts: `:project.pages.dev`, `*.example.org`.
///
/// A placeholder is one label of the name, and `*` in front stands for one label or more.
#[derive(Clone, Debug)]
struct HostPattern {
    labels: Box<[Label]>,
    /// Whether more labels stand before them.
    is_beneath: bool,
}

#[derive(Clone, Debug)]
enum Label {
    Literal(Box<str>),
    Placeholder(Box<str>),
}

impl HostPattern {
    /// The pattern with this text. `None` if it is one name.
    fn parse(text: &str) -> Option<HostPattern> {
        let (rest, is_beneath) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let label = |label: &str| match label.strip_prefix(':') {
            Some(name) if pattern::placeholder(name) == Some(name) => {
                Label::Placeholder(name.into())
            }
            _ => Label::Literal(label.to_ascii_lowercase().into()),
        };
        let labels: Box<[Label]> = rest.split('.').map(label).collect();
        let is_pattern =
            is_beneath || labels.iter().any(|label| matches!(label, Label::Placeholder(_)));
        is_pattern.then_some(HostPattern { labels, is_beneath })
    }

    /// Whether it matches this host, in lower case.
    fn matches(&self, host: &str) -> bool {
        let mut labels = host.rsplit('.');
        for expected in self.labels.iter().rev() {
            match (expected, labels.next()) {
                (_, None | Some("")) => return false,
                (Label::Literal(literal), Some(label)) if **literal != *label => return false,
                _ => {}
            }
        }
        labels.next().is_some() == self.is_beneath
    }

    /// Which label this placeholder is, counted from the end of the name.
    fn label(&self, name: &str) -> Option<usize> {
        let is_it = |label: &Label| matches!(label, Label::Placeholder(known) if **known == *name);
        self.labels.iter().rev().position(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    #[test]
    fn placeholder_is_one_label_and_star_more() {
        #[track_caller]
        fn check(pattern: &str, host: &str, expected: bool) {
            let pattern = HostPattern::parse(pattern).expect("a pattern");
            assert_eq!(pattern.matches(host), expected, "{pattern:?} on {host:?}");
        }
        check(":project.pages.dev", "a.pages.dev", true);
        check(":project.pages.dev", "pages.dev", false);
        check(":project.pages.dev", "a.b.pages.dev", false);
        check("*.example.org", "a.example.org", true);
        check("*.example.org", "a.b.example.org", true);
        check("*.example.org", "example.org", false);
        check("*.example.org", "aexample.org", false);
        assert!(HostPattern::parse("example.org").is_none());
        let pattern = HostPattern::parse(":a.:b.org").expect("a pattern");
        assert_eq!((pattern.label("a"), pattern.label("b")), (Some(2), Some(1)));
    }
}
