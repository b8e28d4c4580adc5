//! Rules in words: what `--print-config` and `innkeeper explain` show of each.

use innkeeper_guest::rules::table::{
    AccessBy, Condition, FieldChange, QueryValue, Responses, Route, TrailingSlash,
};
use innkeeper_guest::rules::{Place, Table};

use super::error;

/// Where a rule stands, as in `rules.toml:7`.
pub fn shown(table: &Table, place: Place) -> String {
    let source = table.sources.get(usize::from(place.source)).map_or("rules", String::as_str);
    error::place(source, place.line)
}

/// All rules, each with its place and in words, in the order in which they are looked at.
pub fn describe(table: &Table) -> Vec<(Place, String)> {
    let mut all = Vec::new();
    // Whatever order they stand in.
    let denied = table.access.iter().filter(|rule| !rule.allow);
    for rule in denied.chain(table.access.iter().filter(|rule| rule.allow)) {
        let what = if rule.allow { "allow" } else { "deny" };
        let by = match &rule.by {
            AccessBy::All => "all".to_owned(),
            AccessBy::Networks(networks) => networks.join(", "),
            AccessBy::Referers(hosts) => {
                let hosts: Vec<_> = hosts
                    .iter()
                    .map(|host| if host.is_empty() { "(none)" } else { host.as_str() })
                    .collect();
                format!("referers {}", hosts.join(", "))
            }
        };
        all.push((rule.place, format!("{what} {}: {by}", rule.pattern)));
    }
    for rule in &table.cors {
        all.push((rule.place, format!("cors {}: {}", rule.pattern, rule.origins.join(", "))));
    }
    if let Some(rule) = &table.methods {
        all.push((rule.place, format!("methods {}", rule.allowed.join(", "))));
    }
    if let Some(rule) = &table.maintenance {
        let page = rule.page.as_deref().unwrap_or("no page");
        let retry = rule.retry_after_s;
        all.push((rule.place, format!("maintenance with {page}, retry after {retry} s")));
    }
    for rule in &table.passwords {
        let (users, realm) = (rule.users.len(), &rule.realm);
        all.push((rule.place, format!("password {}: {users} users of {realm:?}", rule.pattern)));
    }
    all.extend(table.routes.iter().map(|rule| (rule.place, route(rule))));
    if let Some(rule) = &table.clean_urls {
        let form = match rule.trailing_slash {
            TrailingSlash::Never => "without a slash at the end",
            TrailingSlash::Always => "with a slash at the end",
            TrailingSlash::Either => "with or without a slash at the end",
        };
        all.push((rule.place, format!("clean URLs {form}")));
    }
    if let Some(rule) = &table.spa {
        all.push((rule.place, format!("app {}: {}", rule.pattern, rule.page)));
    }
    for rule in &table.headers {
        let on = match rule.responses {
            Responses::Files => "",
            Responses::Pages => " of pages and errors",
            Responses::Every => " always",
        };
        let place = of_host(rule.scheme.as_deref(), rule.host.as_deref());
        let changes: Vec<_> = rule
            .changes
            .iter()
            .map(|change| match change {
                FieldChange::Add { name, value } => format!("{name}: {value}"),
                FieldChange::Remove { name } => format!("! {name}"),
            })
            .collect();
        let changes = changes.join("; ");
        all.push((rule.place, format!("header{on} {place}{}: {changes}", rule.pattern)));
    }
    all
}

fn route(rule: &Route) -> String {
    let place = of_host(rule.scheme.as_deref(), rule.host.as_deref());
    let mut text = format!("redirect {place}{}", rule.from);
    for query in &rule.query {
        match &query.value {
            QueryValue::Exactly(value) => text.push_str(&format!(" {}={value}", query.name)),
            QueryValue::Placeholder(name) => text.push_str(&format!(" {}=:{name}", query.name)),
        }
    }
    let force = if rule.force { "!" } else { "" };
    text.push_str(&format!(" {} {}{force}", rule.to, rule.status));
    for condition in &rule.conditions {
        let (name, values) = match condition {
            Condition::Language(values) => ("Language", values),
            Condition::Country(values) => ("Country", values),
            Condition::Cookie(values) => ("Cookie", values),
        };
        text.push_str(&format!(" {name}={}", values.join(",")));
    }
    text
}

fn of_host(scheme: Option<&str>, host: Option<&str>) -> String {
    match (scheme, host) {
        (None, None) => String::new(),
        (scheme, host) => format!("{}://{}", scheme.unwrap_or("*"), host.unwrap_or("*")),
    }
}
