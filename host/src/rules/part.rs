//! The rules of one source, and how those of several become one table.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use innkeeper_guest::rules::table::{FieldChange, Header, Maintenance, Place, Table};

use super::cookie::Cookie;
use super::problem::Problem;

/// Rules of one source, or of one value of a flag. The places in its table have lines; which
/// source they are of is known when parts are [merged](merge).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The rules, without sources.
    pub table: Table,
    /// Files with the passwords of rules: the index of the rule in [`Table::passwords`], and the
    /// file.
    pub user_files: Vec<(usize, PathBuf)>,
    /// The fields of `security-headers`, which other rules may replace.
    pub security: Option<Header>,
}

impl From<Table> for Part {
    fn from(table: Table) -> Part {
        Part { table, ..Part::default() }
    }
}

/// Runs a function on each place of a part.
fn each_place(part: &mut Part, mut change: impl FnMut(&mut Place)) {
    let table = &mut part.table;
    table.access.iter_mut().for_each(|rule| change(&mut rule.place));
    table.methods.iter_mut().for_each(|rule| change(&mut rule.place));
    table.maintenance.iter_mut().for_each(|rule| change(&mut rule.place));
    table.passwords.iter_mut().for_each(|rule| change(&mut rule.place));
    table.cors.iter_mut().for_each(|rule| change(&mut rule.place));
    table.routes.iter_mut().for_each(|rule| change(&mut rule.place));
    table.clean_urls.iter_mut().for_each(|rule| change(&mut rule.place));
    table.spa.iter_mut().for_each(|rule| change(&mut rule.place));
    table.headers.iter_mut().for_each(|rule| change(&mut rule.place));
    part.security.iter_mut().for_each(|rule| change(&mut rule.place));
}

impl Part {
    /// The same, with all rules on this line that have none yet.
    pub fn at(mut self, line: u32) -> Part {
        each_place(&mut self, |place| {
            if place.line == 0 {
                place.line = line;
            }
        });
        self
    }

    /// Adds the rules of another part behind those of this one. A rule that there is once is the
    /// first one's.
    pub(super) fn append(&mut self, other: Part) {
        let (table, more) = (&mut self.table, other.table);
        let before = table.passwords.len();
        table.access.extend(more.access);
        table.passwords.extend(more.passwords);
        table.cors.extend(more.cors);
        table.routes.extend(more.routes);
        table.headers.extend(more.headers);
        table.hidden.extend(more.hidden);
        table.methods = match (table.methods.take(), more.methods) {
            // One flag names one method.
            (Some(mut one), Some(other)) if one.place.source == other.place.source => {
                one.allowed.extend(other.allowed);
                Some(one)
            }
            (one, other) => one.or(other),
        };
        table.maintenance = table.maintenance.take().or(more.maintenance);
        table.clean_urls = table.clean_urls.take().or(more.clean_urls);
        table.spa = table.spa.take().or(more.spa);
        table.country_field = table.country_field.take().or(more.country_field);
        self.security = self.security.take().or(other.security);
        let files = other.user_files.into_iter();
        self.user_files.extend(files.map(|(index, file)| (before + index, file)));
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Part::default()
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        let table = &self.table;
        let lists = table.access.len() + table.passwords.len() + table.cors.len();
        let lists = lists + table.routes.len() + table.headers.len();
        let single = [
            table.methods.is_some(),
            table.maintenance.is_some(),
            table.clean_urls.is_some(),
            table.spa.is_some(),
            self.security.is_some(),
        ];
        lists + single.into_iter().filter(|is_there| *is_there).count()
    }
}

/// Rules that come from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The source, as messages name it.
    pub source: String,
    /// Its rules.
    pub part: Part,
}

impl Named {
    /// The line of its first rule; 0 if it has none.
    pub fn line(&self) -> u32 {
        let mut first = None;
        each_place(&mut self.part.clone(), |place| {
            first.get_or_insert(place.line);
        });
        first.unwrap_or_default()
    }
}

/// Who passes maintenance, and when others should come again, whichever rule closes the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// Clients in these networks pass.
    pub networks: Vec<String>,
    /// Clients with this cookie pass.
    pub cookie: Option<Cookie>,
    /// When others should come again.
    pub retry_after: Option<Duration>,
}

impl Passing {
    fn apply(&self, maintenance: &mut Maintenance) {
        maintenance.pass_networks.extend(self.networks.iter().cloned());
        if let Some(Cookie { name, value }) = &self.cookie {
            maintenance.pass_cookie = Some((name.clone(), value.clone()));
        }
        if let Some(time) = self.retry_after {
            maintenance.retry_after_s = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        }
    }
}

/// Merges rules into one part, whose table names the sources. The first source has precedence:
/// its redirects are tried first, and its response fields are added last, so that it may take
/// away what others added.
pub(super) fn merge(all: Vec<Named>, passing: &Passing) -> Result<Part, Problem> {
    let mut merged = Part::default();
    let mut indices: HashMap<String, u16> = HashMap::new();
    let mut sources = Vec::new();
    let mut headers = Vec::new();
    for Named { source, mut part } in all {
        let next = u16::try_from(sources.len());
        let next = next.map_err(|_| Problem::new("there are too many files of rules"))?;
        let index = *indices.entry(source).or_insert_with_key(|source| {
            sources.push(source.clone());
            next
        });
        each_place(&mut part, |place| place.source = index);
        headers.push(std::mem::take(&mut part.table.headers));
        merged.append(part);
    }
    let headers = headers.into_iter().rev().flatten();
    merged.table.headers = with_security(merged.security.take(), headers);
    merged.table.sources = sources;
    merged.table.maintenance.iter_mut().for_each(|maintenance| passing.apply(maintenance));
    Ok(merged)
}

/// All rules for response fields. A field of `security-headers` that another rule adds is
/// replaced, and not sent twice: two values of one of them mean nothing.
fn with_security(security: Option<Header>, headers: impl Iterator<Item = Header>) -> Vec<Header> {
    let Some(security) = security else { return headers.collect() };
    let names: Vec<_> = security.changes.iter().filter_map(added).collect();
    let replacing = headers.map(|mut header| {
        let mut changes = Vec::new();
        for change in header.changes {
            if let Some(name) = added(&change).filter(|name| names.contains(name)) {
                changes.push(FieldChange::Remove { name });
            }
            changes.push(change);
        }
        header.changes = changes;
        header
    });
    std::iter::once(security.clone()).chain(replacing).collect()
}

/// The name of a field that is added, in lower case.
fn added(change: &FieldChange) -> Option<String> {
    match change {
        FieldChange::Add { name, .. } => Some(name.to_ascii_lowercase()),
        FieldChange::Remove { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Part, Passing, merge};
    use crate::rules::file;
    use innkeeper_guest::rules::Rules;
    use innkeeper_guest::rules::table::{Place, Responses};
    use innkeeper_guest::{Decision, Field, Request};

    fn named(source: &str, text: &str) -> Named {
        Named { source: source.to_owned(), part: file::parse(text).expect("rules").0 }
    }

    #[test]
    fn first_source_has_precedence() {
        let flags = named("--spa", "spa = 'app.html'\nheader = ['/*: A: 1']");
        let file = named("rules.toml", "spa = true\nheader = ['/*: A: 2']\n\nredirect = ['/a /b']");
        let table = merge(vec![flags, file], &Passing::default()).expect("a table").table;
        assert_eq!(table.sources, ["--spa", "rules.toml"]);
        assert_eq!(table.spa.as_ref().map(|spa| spa.page.as_str()), Some("app.html"));
        assert_eq!(table.routes[0].place, Place { source: 1, line: 4 });
        let places: Vec<_> = table.headers.iter().map(|header| header.place.source).collect();
        assert_eq!(places, [1, 0]);
    }

    #[test]
    fn own_field_replaces_that_of_security_headers() {
        let text = "security-headers = true\nheader = ['/e: x-frame-options: DENY', '/*: A: 1']";
        let table =
            merge(vec![named("rules.toml", text)], &Passing::default()).expect("a table").table;
        let changes: Vec<_> = table.headers.iter().map(|header| header.changes.len()).collect();
        assert_eq!(changes, [3, 2, 1]);
        assert_eq!(table.headers[0].responses, Responses::Every);
        assert_eq!(table.headers[1].responses, Responses::Files);
    }

    #[test]
    fn networks_of_all_sources_hold_together() {
        let flag = named("--allow-from", "allow-from = '10.0.0.0/8'");
        let text = "allow-from = ['192.0.2.1', '/in/*=10.1.0.0/16']\ndeny-from = '10.6.6.6'";
        let all = vec![flag, named("rules.toml", text)];
        let rules = Rules::new(&merge(all, &Passing::default()).expect("a table").table);
        let rules = rules.expect("rules");
        for (path, client, is_in) in [
            ("/", "10.1.0.1", true),
            ("/", "192.0.2.1", true),
            ("/", "192.0.2.2", false),
            ("/", "10.6.6.6", false),
            ("/in/a", "10.1.0.1", true),
            ("/in/a", "10.2.0.1", false),
        ] {
            let fields = vec![Field::new(":client-address", client)];
            let request = Request::new(format!("GET {path} HTTP/1.1"), fields);
            let is_refused = matches!(rules.decide(&request), Decision::Reply(_));
            assert_eq!(is_refused, !is_in, "{path} {client}");
        }
    }

    #[test]
    fn rules_are_counted() {
        let text = "spa = true\nredirect = ['/a /b', '/c /d']\nsecurity-headers = true";
        assert_eq!(named("", text).part.rules(), 4);
        assert_eq!(Part::default().rules(), 0);
    }
}
