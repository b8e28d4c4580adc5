//! Rules as tables of TOML: what a flag's text has no words for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use innkeeper_guest::rules::checks;
use innkeeper_guest::rules::table::{
    AccessBy, CleanUrls, Cors, FieldChange, Header, Maintenance, Place, Responses, Route, Table,
    TrailingSlash,
};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::DeValue;

use super::fields::{ALL, List, networks, page, pattern, scheme, seconds};
use super::texts;
use crate::rules::cookie::Cookie;
use crate::rules::key::Key;
use crate::rules::part::Part;
use crate::rules::problem::Problem;

const PLACE: Place = Place { source: 0, line: 0 };

/// The rules of one table. The outer error is that of its form.
pub(super) fn parse(
    key: Key,
    value: Spanned<DeValue>,
) -> Result<Result<Part, Problem>, toml::de::Error> {
    let value = value.into_deserializer();
    Ok(match key {
        Key::AllowFrom | Key::DenyFrom => {
            NetworkEntry::deserialize(value)?.part(key == Key::AllowFrom)
        }
        Key::AllowReferer => RefererEntry::deserialize(value)?.part(),
        Key::BasicAuth => AuthEntry::deserialize(value)?.part(),
        Key::CleanUrls => CleanEntry::deserialize(value)?.part(),
        Key::Cors => CorsEntry::deserialize(value)?.part(),
        Key::Header => HeaderEntry::deserialize(value)?.part(),
        Key::Maintenance => MaintenanceEntry::deserialize(value)?.part(),
        Key::Redirect => RouteEntry::deserialize(value)?.part(),
        Key::SecurityHeaders => texts::security_headers(&List::deserialize(value)?.0),
        Key::Spa => SpaEntry::deserialize(value)?.part(),
        Key::AllowMethod | Key::CountryField => Err("write a text here".into()),
    })
}

fn all() -> String {
    ALL.to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as { for = \"/admin/*\", networks = […] }")]
struct NetworkEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    networks: List,
}

impl NetworkEntry {
    fn part(self, is_allowed: bool) -> Result<Part, Problem> {
        let by = AccessBy::Networks(networks(&self.networks.0)?);
        texts::access(&self.paths, is_allowed, by)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as { for = \"/images/*\", hosts = […] }")]
struct RefererEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    hosts: List,
    /// Whether requests without the field are let in.
    #[serde(default = "yes")]
    none: bool,
}

impl RefererEntry {
    fn part(self) -> Result<Part, Problem> {
        texts::referers(&self.paths, &self.hosts.0, self.none)
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, as { for = \"/admin/*\", file = \"passwords\" }"
)]
struct AuthEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    file: Option<PathBuf>,
    #[serde(default)]
    users: List,
    realm: Option<String>,
}

impl AuthEntry {
    fn part(self) -> Result<Part, Problem> {
        if self.file.is_none() && self.users.0.is_empty() {
            return Err("write a `file` of passwords, or `users`".into());
        }
        let realm = self.realm.as_deref().unwrap_or(texts::REALM);
        texts::basic_auth(&self.paths, realm, self.users.0, self.file)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
struct CleanEntry {
    trailing_slash: Slash,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Slash {
    Never,
    Always,
    Either,
}

impl CleanEntry {
    fn part(self) -> Result<Part, Problem> {
        let trailing_slash = match self.trailing_slash {
            Slash::Never => TrailingSlash::Never,
            Slash::Always => TrailingSlash::Always,
            Slash::Either => TrailingSlash::Either,
        };
        let clean_urls = Some(CleanUrls { place: PLACE, trailing_slash });
        Ok(Table { clean_urls, ..Table::default() }.into())
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table, as { for = \"/api/*\", origins = […] }"
)]
struct CorsEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    origins: List,
    #[serde(default)]
    methods: List,
    #[serde(default)]
    request_fields: List,
    #[serde(default)]
    exposed_fields: List,
    #[serde(default)]
    credentials: bool,
    max_age: Option<String>,
}

impl CorsEntry {
    fn part(self) -> Result<Part, Problem> {
        texts::cors_rule(Cors {
            place: PLACE,
            pattern: self.paths,
            origins: self.origins.0,
            methods: self.methods.0,
            request_fields: self.request_fields.0,
            exposed_fields: self.exposed_fields.0,
            credentials: self.credentials,
            max_age_s: self.max_age.as_deref().map(|text| seconds(text, 0)).transpose()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, as { for = \"/*\", values = { X-Frame-Options = \"DENY\" } }"
)]
struct HeaderEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    #[serde(default)]
    values: BTreeMap<String, List>,
    #[serde(default)]
    remove: List,
    #[serde(default)]
    always: bool,
    scheme: Option<String>,
    host: Option<String>,
}

impl HeaderEntry {
    fn part(self) -> Result<Part, Problem> {
        if self.values.is_empty() && self.remove.0.is_empty() {
            return Err("write `values`, as in { X-Frame-Options = \"DENY\" }, or `remove`".into());
        }
        for name in &self.remove.0 {
            checks::field_name(name)?;
        }
        for (name, values) in &self.values {
            values.0.iter().try_for_each(|value| checks::field(name, value))?;
        }
        let mut paths = checks::From::parse(&pattern(&self.paths)?)?;
        self.host.iter().try_for_each(|host| paths.on_host(host))?;
        let mut changes: Vec<_> =
            self.remove.0.into_iter().map(|name| FieldChange::Remove { name }).collect();
        for (name, values) in self.values {
            let add = |value| FieldChange::Add { name: name.clone(), value };
            changes.extend(values.0.into_iter().map(add));
        }
        checks::changes(&changes)?;
        let header = Header {
            place: PLACE,
            scheme: self.scheme.as_deref().map(scheme).transpose()?,
            host: paths.host,
            pattern: paths.path,
            changes,
            responses: if self.always { Responses::Every } else { Responses::Files },
        };
        Ok(Table { headers: vec![header], ..Table::default() }.into())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
struct MaintenanceEntry {
    page: Option<String>,
    retry_after: Option<String>,
    #[serde(default)]
    pass: List,
    pass_cookie: Option<String>,
    from: Option<toml::value::Datetime>,
    until: Option<toml::value::Datetime>,
}

impl MaintenanceEntry {
    fn part(self) -> Result<Part, Problem> {
        let second = |time: toml::value::Datetime| {
            let parsed = humantime::parse_rfc3339(&time.to_string()).ok();
            let since = parsed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            since.map(|since| since.as_secs()).ok_or_else(|| {
                Problem::new(format!("{time} is no time; write UTC, as in 2027-01-31T22:00:00Z"))
            })
        };
        let retry_after = self.retry_after.as_deref().map(|text| seconds(text, 1)).transpose()?;
        let pass_cookie = self.pass_cookie.as_deref().map(Cookie::parse).transpose()?;
        let (from_s, until_s) =
            (self.from.map(second).transpose()?, self.until.map(second).transpose()?);
        if let (Some(from), Some(until)) = (from_s, until_s)
            && until <= from
        {
            return Err("`until` is not after `from`; write a later time there".into());
        }
        Ok(texts::closed(Maintenance {
            place: PLACE,
            page: self.page.as_deref().map(page).transpose()?,
            retry_after_s: retry_after.unwrap_or(texts::RETRY_AFTER_S),
            pass_networks: networks(&self.pass.0)?,
            pass_cookie: pass_cookie.map(|Cookie { name, value }| (name, value)),
            from_s,
            until_s,
        }))
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table, as { from = \"/old\", to = \"/new\" }"
)]
struct RouteEntry {
    from: String,
    to: String,
    #[serde(default = "moved")]
    status: u16,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    language: List,
    #[serde(default)]
    country: List,
    #[serde(default)]
    cookie: List,
    scheme: Option<String>,
    host: Option<String>,
}

fn moved() -> u16 {
    301
}

impl RouteEntry {
    /// By the checks of a line of `_redirects`, and in its words.
    fn part(self) -> Result<Part, Problem> {
        let mut from = checks::From::parse(&self.from)?;
        match &self.host {
            Some(_) if from.host.is_some() => {
                return Err("`from` names a host; leave out `host`".into());
            }
            Some(host) => from.on_host(host)?,
            None => {}
        }
        let query = self.query.iter().map(|(name, value)| from.query(name, value));
        let query = query.collect::<Result<_, _>>()?;
        from.target(&self.to, self.status)?;
        let mut conditions = Vec::new();
        for (name, list) in
            [("language", self.language), ("country", self.country), ("cookie", self.cookie)]
        {
            if !list.0.is_empty() {
                let values = list.0.iter().map(String::as_str);
                conditions.push(checks::condition(name, values)?);
            }
        }
        let route = Route {
            place: PLACE,
            scheme: self.scheme.as_deref().map(scheme).transpose()?.or(from.scheme),
            host: from.host,
            from: from.path,
            query,
            conditions,
            to: self.to,
            status: self.status,
            force: self.force,
        };
        Ok(Table { routes: vec![route], ..Table::default() }.into())
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, as { for = \"/app/*\", page = \"app/index.html\" }"
)]
struct SpaEntry {
    #[serde(rename = "for", default = "all")]
    paths: String,
    page: String,
}

impl SpaEntry {
    fn part(self) -> Result<Part, Problem> {
        texts::spa(&self.page, &self.paths)
    }
}
