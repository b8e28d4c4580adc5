//! Hosts that a rule is about: one name, or a pattern of names.

use crate::pattern;

/// A pattern of hosts: `:project.pages.dev`, `*.example.org`.
///
/// A placeholder is one label of the name, and `*` in front stands for one label or more.
#[derive(Clone, Debug)]
pub(super) struct HostPattern {
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
    pub(super) fn parse(text: &str) -> Option<HostPattern> {
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
    pub(super) fn matches(&self, host: &str) -> bool {
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
    pub(super) fn label(&self, name: &str) -> Option<usize> {
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
