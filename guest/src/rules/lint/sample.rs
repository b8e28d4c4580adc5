//! Requests that are made for a rule: it matches them, and hardly any other does by accident.

use crate::decision::Field;
use crate::path::SitePath;
use crate::pattern::{self, Pattern};
use crate::rules::self_redirect::Url;
use crate::rules::table::{Condition, QueryMatch, QueryValue, Route, Table};
use crate::rules::target::visible;
use crate::{Request, query};

/// Requests for one rule. More than a rule with all kinds of conditions and some values has.
const REQUESTS: usize = 24;

/// What a placeholder stands for: a character for private use, which no rule names.
const VALUE: &str = "%EE%80%80";

/// The same in a host.
const LABEL: &str = "x-any";

/// The host of a rule that names none. No name of a site ends so (RFC 6761, section 6.4).
const HOST: &str = "any.invalid";

/// A request, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    scheme: &'static str,
    host: String,
    target: String,
    fields: Vec<(String, String)>,
}

/// A path that a pattern matches.
#[derive(Clone, Debug)]
pub(super) struct SamplePath {
    /// As it stands in a URL.
    url: String,
    /// As patterns are held against it.
    pub(super) resolved: String,
}

impl Sample {
    pub(super) fn request(&self) -> Request {
        let mut fields =
            vec![Field::new(":scheme", self.scheme), Field::new("host", self.host.as_str())];
        fields.extend(self.fields.iter().map(|(name, value)| Field::new(name, value.as_str())));
        Request::new(format!("GET {} HTTP/1.1", self.target), fields)
    }

    /// The URL's path with a `/` at its end, and its query.
    pub(super) fn with_slash(&self) -> String {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, ["?", query].concat()),
            None => (self.target.as_str(), String::new()),
        };
        [path, "/", &query].concat()
    }

    /// The request of a client that is sent to this location; `None` if it leads to a host that is not
    /// known to be one of this server.
    pub(super) fn follow(&self, location: &str, is_ours: impl Fn(&str) -> bool) -> Option<Sample> {
        let url = Url::parse(location);
        let mut next = self.clone();
        if let Some(authority) = url.authority {
            next.host = authority.to_ascii_lowercase();
            if next.host != self.host && !is_ours(&next.host) {
                return None;
            }
        }
        if let Some(is_https) = url.is_https {
            next.scheme = if is_https { "https" } else { "http" };
        }
        next.target = url.path.to_owned();
        if let Some(query) = url.query {
            next.target.extend(["?", query]);
        }
        Some(next)
    }
}

/// Paths for a pattern, with `*` for nothing, for one name and for many.
pub(super) fn paths(text: &str) -> impl Iterator<Item = SamplePath> {
    const DEEP: [&str; 9] = [VALUE; 9];
    let parsed = Pattern::parse(text).ok();
    let stars = if text.contains('*') { 3 } else { 1 };
    (0..stars).filter_map(move |number| {
        let parsed = parsed.as_ref()?;
        match number {
            0 => path(text, parsed, ""),
            1 => path(text, parsed, VALUE),
            _ => path(text, parsed, &DEEP.join("/")),
        }
    })
}

/// The path with this in place of each `*`, if the pattern matches it.
fn path(text: &str, parsed: &Pattern, star: &str) -> Option<SamplePath> {
    let mut url = String::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        let (before, name, behind) = pattern::split(rest);
        url += &visible(before);
        let Some(behind) = behind else { break };
        url += if name.is_some() { VALUE } else { star };
        rest = behind;
    }
    // A query or a fragment would begin there.
    if url.contains(['?', '#']) {
        return None;
    }
    let resolved = SitePath::resolve(&url).ok()?.into_string();
    parsed.matches(&resolved).is_some().then_some(SamplePath { url, resolved })
}

/// Requests for paths, without conditions.
pub(super) fn of_path(text: &str) -> Vec<Sample> {
    let sample = |path: SamplePath| Sample {
        scheme: "https",
        host: HOST.to_owned(),
        target: path.url,
        fields: Vec::new(),
    };
    paths(text).map(sample).collect()
}

/// What requests for a route are made of.
pub(super) struct Requests<'t> {
    from: &'t str,
    schemes: &'static [&'static str],
    host: String,
    query: String,
    /// One for each value of the conditions.
    fields: Vec<Vec<(String, String)>>,
}

impl<'t> Requests<'t> {
    /// Those for a route. `None` if it goes by a country that no field names.
    pub(super) fn new(table: &Table, route: &'t Route, asks_scheme: bool) -> Option<Requests<'t>> {
        Some(Requests {
            from: &route.from,
            schemes: match route.scheme.as_deref() {
                Some("http") => &["http"],
                None if asks_scheme => &["https", "http"],
                _ => &["https"],
            },
            host: route.host.as_deref().map_or_else(|| HOST.to_owned(), host),
            query: query_of(&route.query),
            fields: conditions(table, route)?,
        })
    }

    /// The requests. Most rules decide on the first, so that the others are not made.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> {
        let all = paths(self.from).flat_map(move |path| {
            let target = path.url + &self.query;
            let fields = move |&scheme: &&'static str| {
                self.fields.iter().map(move |fields| (scheme, fields))
            };
            self.schemes.iter().flat_map(fields).map(move |(scheme, fields)| {
                let (host, target, fields) = (self.host.clone(), target.clone(), fields.clone());
                Sample { scheme, host, target, fields }
            })
        });
        all.take(REQUESTS)
    }
}

/// Fields by which all conditions hold: with the first value of each, and then with each other
/// value.
fn conditions(table: &Table, route: &Route) -> Option<Vec<Vec<(String, String)>>> {
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for condition in &route.conditions {
        values.push(match condition {
            Condition::Language(languages) => ("accept-language".to_owned(), languages.clone()),
            Condition::Country(countries) => (table.country_field.clone()?, countries.clone()),
            Condition::Cookie(names) => {
                ("cookie".to_owned(), names.iter().map(|name| format!("{name}=x")).collect())
            }
        });
    }
    let first = |(name, values): &(String, Vec<String>)| {
        (name.clone(), values.first().cloned().unwrap_or_default())
    };
    let mut all = vec![values.iter().map(first).collect::<Vec<_>>()];
    for (at, (_, others)) in values.iter().enumerate() {
        for other in others.iter().skip(1).take(REQUESTS) {
            let mut fields: Vec<_> = values.iter().map(first).collect();
            if let Some((_, value)) = fields.get_mut(at) {
                value.clone_from(other);
            }
            all.push(fields);
        }
    }
    Some(all)
}

fn query_of(parameters: &[QueryMatch]) -> String {
    let mut text = String::new();
    for QueryMatch { name, value } in parameters {
        let value = match value {
            QueryValue::Exactly(value) => value.as_str(),
            QueryValue::Placeholder(_) => "x",
        };
        query::append(&mut text, name, value);
    }
    if text.is_empty() { text } else { format!("?{text}") }
}

/// A host that a pattern of hosts matches.
fn host(text: &str) -> String {
    let label = |label: &str| match label {
        "*" => LABEL.to_owned(),
        label if label.starts_with(':') => LABEL.to_owned(),
        label => label.to_ascii_lowercase(),
    };
    text.split('.').map(label).collect::<Vec<_>>().join(".")
}
