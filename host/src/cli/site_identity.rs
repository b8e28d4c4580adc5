//! Whose site a table `[[site]]` is: its hosts, its name, and whether it is the default.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::Mistake;
use super::file::ConfigFile;
use super::idn::to_ascii;
use super::key::{Key, Part};
use super::settings::SiteIdentity;
use crate::http::HostPattern;
use crate::http::host_pattern::NoHost;
use crate::service::hosts::{Conflict, SiteHosts, conflicts};

/// Keys of a site that are no settings.
pub(super) const KEYS: [&str; 3] = [HOSTS, NAME, DEFAULT];

const HOSTS: &str = "hosts";
const NAME: &str = "name";
const DEFAULT: &str = "default";

/// The name of the default site that has neither hosts nor a name.
const UNNAMED_DEFAULT: &str = "default";

/// Characters of a name that is given. It is a label of metrics, and a column of logs.
const MAX_NAME: usize = 64;

/// Those of all sites of a file, in its order.
pub(super) fn identities(file: &ConfigFile) -> Result<Vec<SiteIdentity>, Vec<Mistake>> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for number in 0..file.sites() {
        match identity(file, Part::Site(number)) {
            Ok(identity) => all.push((Part::Site(number), identity)),
            Err(mut mistakes) => problems.append(&mut mistakes),
        }
    }
    problems.extend(same(file, &all));
    match problems.is_empty() {
        true => Ok(all.into_iter().map(|(_, identity)| identity).collect()),
        false => Err(problems),
    }
}

fn own(name: &str) -> Key {
    Key { table: None, name: name.to_owned() }
}

fn identity(file: &ConfigFile, part: Part) -> Result<SiteIdentity, Vec<Mistake>> {
    let mut problems = Vec::new();
    let empty = Table::new();
    let table = file.part(part).unwrap_or(&empty);
    let is_default = match table.get(DEFAULT) {
        None => false,
        Some(Value::Boolean(is_default)) => *is_default,
        Some(_) => {
            let place = file.place(part, &own(DEFAULT));
            problems.push(format!("{place}: `default` is true or false").into());
            false
        }
    };
    let hosts = match hosts(file, part, table.get(HOSTS)) {
        Ok(hosts) => hosts,
        Err(mut mistakes) => {
            problems.append(&mut mistakes);
            return Err(problems);
        }
    };
    if hosts.is_empty() && !is_default {
        let place = file.place(part, &own(HOSTS));
        problems.push(
            format!(
                "{place}: a site without hosts gets no request: write hosts = [\"example.org\"], or \
                 default = true for the hosts of no other site"
            )
            .into(),
        );
    }
    let first = hosts.first().map(ToString::to_string);
    let name = match table.get(NAME) {
        None => first.unwrap_or_else(|| UNNAMED_DEFAULT.to_owned()),
        Some(Value::String(name)) if is_name(name) => name.clone(),
        Some(other) => {
            let place = file.place(part, &own(NAME));
            problems.push(
                format!(
                    "{place}: the name {other} of a site: write up to {MAX_NAME} letters, digits, \
                     dots, dashes and underscores"
                )
                .into(),
            );
            String::new()
        }
    };
    match problems.is_empty() {
        true => Ok(SiteIdentity { name, hosts, is_default }),
        false => Err(problems),
    }
}

fn is_name(name: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_byte)
}

fn hosts(
    file: &ConfigFile,
    part: Part,
    value: Option<&Value>,
) -> Result<Vec<HostPattern>, Vec<Mistake>> {
    let values = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let (mut hosts, mut problems) = (Vec::new(), Vec::new());
    for (at, value) in values.iter().enumerate() {
        let host = match value {
            Value::String(text) => host(text),
            other => Err(format!("{other} is no text: write a host as in \"example.org\"")),
        };
        match host {
            Ok(host) if hosts.contains(&host) => {
                let place = place_of(file, part, at);
                problems.push(format!("{place}: {host} is named twice: leave one out").into());
            }
            Ok(host) => hosts.push(host),
            Err(problem) => {
                problems.push(format!("{}: {problem}", place_of(file, part, at)).into());
            }
        }
    }
    if problems.is_empty() { Ok(hosts) } else { Err(problems) }
}

/// Where one of the hosts of a site stands.
fn place_of(file: &ConfigFile, part: Part, at: usize) -> String {
    match file.lines(part, &own(HOSTS)).get(at) {
        Some(line) => format!("{}:{line}", file.path().display()),
        None => file.place(part, &own(HOSTS)),
    }
}

/// A host as it is compared: letters beyond ASCII become A-labels, as clients send them.
fn host(text: &str) -> Result<HostPattern, String> {
    if let Some(advice) = as_elsewhere(text) {
        return Err(format!("{text:?} is no name of a host: {advice}"));
    }
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    let ascii =
        to_ascii(name).ok_or_else(|| format!("{text:?} is no name of a host (IDNA, UTS 46)"))?;
    HostPattern::parse(&format!("{wildcard}{ascii}")).map_err(|error| match error {
        NoHost::NotAlone => format!(
            "{text:?} is more than a host: write the name alone, without scheme, port and path; \
             where the server listens is `listen` before the first table"
        ),
        NoHost::Wildcard => format!(
            "{text:?}: a `*` stands for the whole first label, as in *.example.org; \
             default = true is for the hosts of no other site"
        ),
        NoHost::NoName => format!(
            "{text:?} is no name of a host: write one as in example.org, or an address as in \
             192.0.2.1 or [2001:db8::1]"
        ),
    })
}

/// What to write where a text is a form of other servers.
fn as_elsewhere(text: &str) -> Option<String> {
    let listed = |texts: &mut dyn Iterator<Item = &str>| {
        let texts: Vec<_> = texts.map(|text| format!("{text:?}")).collect();
        texts.join(", ")
    };
    let is_separator = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let mut parts = text.split(is_separator).filter(|part| !part.is_empty());
    let colons = text.bytes().filter(|&byte| byte == b':').count();
    match text {
        "_" | "" | ":80" | ":443" => {
            Some("default = true is for the hosts of no other site".to_owned())
        }
        _ if text.starts_with('~') || text.contains(['^', '$', '(', '\\']) => Some(
            "there are no regular expressions here: write each name, or *.example.org".to_owned(),
        ),
        _ if text.contains(is_separator) => {
            Some(format!("write several as a list: [{}]", listed(&mut parts)))
        }
        _ if text.starts_with('.') && HostPattern::parse(&text[1..]).is_ok() => {
            let all = [text[1..].to_owned(), format!("*{text}")];
            Some(format!("write {}", listed(&mut all.iter().map(String::as_str))))
        }
        _ if colons > 1 && !text.contains("]:") && !text.contains('/') => {
            let is_address = HostPattern::parse(text).is_ok();
            let advice = "an address is written as in [2001:db8::1], without zone and port";
            (!is_address).then(|| advice.to_owned())
        }
        _ => None,
    }
}

/// What two sites have, of which one alone can have it.
fn same(file: &ConfigFile, sites: &[(Part, SiteIdentity)]) -> Vec<Mistake> {
    let mut problems = Vec::new();
    let hosts: Vec<_> = sites.iter().map(|(_, identity)| SiteHosts::from(identity)).collect();
    for Conflict { host, sites: [first, second] } in conflicts(&hosts) {
        let [(first, of_first), (second, of_second)] = [&sites[first], &sites[second]];
        let problem = match host {
            Some(host) => {
                let place = |part, of: &SiteIdentity| {
                    let at = of.hosts.iter().position(|own| *own == host);
                    place_of(file, part, at.unwrap_or_default())
                };
                let (place, other) = (place(*second, of_second), place(*first, of_first));
                let name = &of_first.name;
                format!("{place}: {host} is a host of the site {name} already ({other})")
            }
            None => {
                let [place, other] = [second, first].map(|part| file.place(*part, &own(DEFAULT)));
                format!("{place}: another site is the default ({other}); one can be")
            }
        };
        problems.push(problem.into());
    }
    let mut of_name = BTreeMap::new();
    for (part, identity) in sites {
        let place = file.place(*part, &own(NAME));
        if let Some(other) = of_name.insert(&identity.name, place.clone()) {
            problems.push(
                format!(
                    "{place}: another site has the name {} ({other}); give this one its own with \
                     name = \"…\"",
                    identity.name
                )
                .into(),
            );
        }
    }
    problems
}
