//! Texts with placeholders: targets of redirects and rewrites, and values of fields.

use crate::pattern::{self, Capture, Captures};
use crate::percent::{self, is_unreserved};

/// A text with placeholders.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Box<[Part]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Value(Source),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The path.
    Path(Capture),
    /// The parameter of the query at this place of the rule's.
    Query(u16),
    /// The part of the host at this place, counted from its end.
    Host(u16),
}

/// What placeholders stand for in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) path: &'a Captures<'a>,
    /// Decoded values of the query's parameters, in the order of the rule's.
    pub(super) query: &'a [String],
    pub(super) host: &'a str,
}

impl Template {
    /// Reads a text. A placeholder that `known` does not know is a part of the text, and so is
    /// `:splat` where there is no `*`. Each piece of text between placeholders becomes what
    /// `literal` makes of it.
    pub(super) fn parse<E>(
        text: &str,
        known: impl Fn(&str) -> Option<Source>,
        literal: impl Fn(&str) -> Result<String, E>,
    ) -> Result<Template, E> {
        let mut parts = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let Some(colon) = rest.bytes().position(|byte| byte == b':') else { break };
            at += colon + 1;
            let Some(name) = text.get(at..).and_then(pattern::placeholder) else { continue };
            let Some(source) = known(name) else { continue };
            let before = text.get(start..at - 1).unwrap_or_default();
            if !before.is_empty() {
                parts.push(Part::Text(literal(before)?.into()));
            }
            parts.push(Part::Value(source));
            at += name.len();
            start = at;
        }
        let rest = text.get(start..).unwrap_or_default();
        if !rest.is_empty() {
            parts.push(Part::Text(literal(rest)?.into()));
        }
        Ok(Template { parts: parts.into() })
    }

    /// The text, with values as they are.
    pub(super) fn render(&self, values: Values<'_>) -> String {
        self.render_with(values, |_, value, out| out.push_str(value))
    }

    /// The text as a part of a URL: each value is escaped. A `/` separates names in what the path
    /// gave, and is data in what the query gave.
    pub(super) fn render_escaped(&self, values: Values<'_>) -> String {
        self.render_with(values, |source, value, out| {
            escape(value, matches!(source, Source::Path(_)), out);
        })
    }

    fn render_with(
        &self,
        values: Values<'_>,
        mut push: impl FnMut(Source, &str, &mut String),
    ) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(source) => {
                    let value = match *source {
                        Source::Path(capture) => values.path.get(capture),
                        Source::Query(at) => {
                            values.query.get(usize::from(at)).map_or("", String::as_str)
                        }
                        Source::Host(at) => {
                            values.host.rsplit('.').nth(usize::from(at)).unwrap_or_default()
                        }
                    };
                    push(*source, value, &mut out);
                }
            }
        }
        out
    }

    /// The text, if it has no placeholders.
    pub(super) fn text(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// Appends a text, escaped: each byte but the unreserved characters, and `/` if it separates.
pub(super) fn escape(text: &str, keeps_slash: bool, out: &mut String) {
    let is_kept = |byte: u8| keeps_slash && byte == b'/' || is_unreserved(byte);
    percent::escape(text, is_kept, out);
}

#[cfg(test)]
mod tests {
    use super::{Source, Template, Values};
    use crate::pattern::Pattern;

    #[track_caller]
    fn check(pattern: &str, path: &str, text: &str, raw: &str, escaped: &str) {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let known = |name: &str| match name {
            "id" => Some(Source::Query(0)),
            "sub" => Some(Source::Host(1)),
            name => pattern.capture(name).map(Source::Path),
        };
        let template =
            Template::parse(text, known, |text| Ok::<_, ()>(text.to_owned())).expect("a template");
        let captures = pattern.matches(path).expect("a match");
        let query = ["a/b&c".to_owned()];
        let values = Values { path: &captures, query: &query, host: "x.example" };
        assert_eq!(template.render(values), raw);
        assert_eq!(template.render_escaped(values), escaped);
    }

    #[test]
    fn placeholders_become_their_values() {
        check("/a/*", "a/b c/d", "/x/:splat", "/x/b c/d", "/x/b%20c/d");
        check("/:y/:m", "26/11", "/:y-:m/:y", "/26-11/26", "/26-11/26");
        check("/a", "a", "/:id?x=:id", "/a/b&c?x=a/b&c", "/a%2Fb%26c?x=a%2Fb%26c");
        check("/a", "a", "https://:sub.example/", "https://x.example/", "https://x.example/");
    }

    #[test]
    fn unknown_placeholder_is_text() {
        check("/a", "a", "http://h:80/:b/:splat", "http://h:80/:b/:splat", "http://h:80/:b/:splat");
        check("/*", "a", ":splatter:splat:", ":splattera:", ":splattera:");
    }
}
