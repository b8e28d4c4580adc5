//! Tables for the tests of rules, and a check of what a table decides.

use super::table::{
    Condition, FieldChange, Header, Place, QueryMatch, QueryValue, Responses, Route, Spa, Table,
};
use super::{Effect, Rules};
use crate::testing::lend::lend;
use crate::{Field, Request};

/// A place in the only source.
pub(super) fn at(line: u32) -> Place {
    Place { source: 0, line }
}

/// A route from the parts of a line of `_redirects`: `/a id=:id /b 301! Country=at`.
pub(super) fn route(line: &str) -> Route {
    let mut words = line.split_ascii_whitespace();
    let from = words.next().expect("a pattern");
    let mut route = Route {
        place: at(1),
        scheme: None,
        host: None,
        from: from.to_owned(),
        query: Vec::new(),
        conditions: Vec::new(),
        to: String::new(),
        status: 301,
        force: false,
    };
    if let Some((scheme, rest)) = from.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        route.scheme = (scheme != "any").then(|| scheme.to_owned());
        route.host = (!host.is_empty()).then(|| host.to_owned());
        route.from = ["/", path].concat();
    }
    for word in words {
        let list = |values: &str| values.split(',').map(str::to_owned).collect();
        match word.split_once('=') {
            Some(("Country", values)) => route.conditions.push(Condition::Country(list(values))),
            Some(("Language", values)) => route.conditions.push(Condition::Language(list(values))),
            Some(("Cookie", values)) => route.conditions.push(Condition::Cookie(list(values))),
            Some((name, value)) if route.to.is_empty() && !word.starts_with('/') => {
                let value = match value.strip_prefix(':') {
                    Some(name) => QueryValue::Placeholder(name.to_owned()),
                    None => QueryValue::Exactly(value.to_owned()),
                };
                route.query.push(QueryMatch { name: name.to_owned(), value });
            }
            _ if route.to.is_empty() => route.to = word.to_owned(),
            _ => {
                route.force = word.ends_with('!');
                route.status = word.trim_end_matches('!').parse().expect("a status");
            }
        }
    }
    route
}

/// A table of routes, each at its line.
pub(super) fn routes(lines: &[&str]) -> Table {
    let route = |(number, line): (u32, &&str)| Route { place: at(number), ..route(line) };
    Table {
        sources: vec!["_redirects".to_owned()],
        routes: (1..).zip(lines).map(route).collect(),
        country_field: Some("x-country".to_owned()),
        ..Table::default()
    }
}

/// A rule about fields: `name: value`, or `! name`.
pub(super) fn header(pattern: &str, responses: Responses, lines: &[&str]) -> Header {
    let change = |line: &&str| match line.strip_prefix("! ") {
        Some(name) => FieldChange::Remove { name: name.to_owned() },
        None => {
            let (name, value) = line.split_once(": ").expect("a name and a value");
            FieldChange::Add { name: name.to_owned(), value: value.to_owned() }
        }
    };
    Header {
        place: at(1),
        scheme: None,
        host: None,
        pattern: pattern.to_owned(),
        changes: lines.iter().map(change).collect(),
        responses,
    }
}

/// The page of an app for all paths.
pub(super) fn spa(page: &str) -> Option<Spa> {
    Some(Spa { place: at(1), page: page.to_owned(), pattern: "/*".to_owned() })
}

/// Rules of a table that can be obeyed.
#[track_caller]
pub(super) fn ready(table: &Table) -> Rules {
    Rules::new(table).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Panics unless the rules make this decision on a request for this target, and explain it by the
/// same one. A target with another method than GET has it before it.
#[track_caller]
pub(super) fn check(
    rules: &Rules,
    target: &str,
    fields: &[(&str, &str)],
    expected: impl AsRef<str>,
) {
    let request = request(target, fields);
    let decision = rules.decide(&request);
    assert_eq!(lend(&decision).in_full().to_string(), expected.as_ref(), "{target} {fields:?}");
    assert_eq!(rules.explain(&request).0, decision);
    for (name, _) in fields {
        assert!(rules.interests().iter().any(|interest| interest == name), "{name} is not read");
    }
}

/// What the rules did, each with its line, on a request for this target.
pub(super) fn applied(rules: &Rules, target: &str, fields: &[(&str, &str)]) -> Vec<(u32, Effect)> {
    let (_, applied) = rules.explain(&request(target, fields));
    applied.iter().map(|applied| (applied.place.line, applied.what)).collect()
}

/// A GET request for this target, or with the method before it.
pub(super) fn request(target: &str, fields: &[(&str, &str)]) -> Request {
    let method = if target.contains(' ') { "" } else { "GET " };
    let fields = fields.iter().map(|&(name, value)| Field::new(name, value)).collect();
    Request::new(format!("{method}{target} HTTP/1.1"), fields)
}
