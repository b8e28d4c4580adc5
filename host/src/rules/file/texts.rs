//! Rules as flags have them: one text each.

use std::path::PathBuf;

use innkeeper_guest::origin::{HostPattern, OriginPattern};
use innkeeper_guest::rules::table::{
    Access, AccessBy, CleanUrls, Cors, FieldChange, Header, Maintenance, Methods, Passwords, Place,
    Responses, Spa, Table, TrailingSlash,
};

use super::fields::{ALL, by_path, commas, networks, page, pattern};
use crate::http::token::is_token;
use crate::rules::key::Key;
use crate::rules::part::Part;
use crate::rules::problem::Problem;
use crate::rules::site;

/// Seconds after which a client should come again to a closed site, unless a rule says otherwise.
pub(super) const RETRY_AFTER_S: u32 = 300;

/// The realm of passwords, unless a rule names one.
pub(super) const REALM: &str = "restricted";

const PLACE: Place = Place { source: 0, line: 0 };

/// The rules of one text.
pub(super) fn parse(key: Key, text: &str) -> Result<Part, Problem> {
    let is_on = matches!(text, "" | "true");
    let is_switch =
        matches!(key, Key::Spa | Key::CleanUrls | Key::Maintenance | Key::SecurityHeaders);
    if is_switch && text == "false" {
        return Ok(Part::default());
    }
    match key {
        Key::AllowFrom | Key::DenyFrom => {
            let (paths, networks_text) = by_path(text);
            let by = AccessBy::Networks(networks(&commas(networks_text))?);
            access(&paths, key == Key::AllowFrom, by)
        }
        Key::AllowReferer => {
            let (paths, hosts) = by_path(text);
            referers(&paths, &commas(hosts), true)
        }
        Key::AllowMethod => methods(&commas(text)),
        Key::BasicAuth => {
            let (paths, file) = by_path(text);
            // A pattern alone, or a user: neither is a file, and a password is shown to nobody.
            let is_other = file.contains('*') || file.contains(':') && !file.contains('/');
            if file.is_empty() || is_on || is_other {
                return Err("write a file of passwords (innkeeper password makes its lines), as \
                            in passwords or /admin/*=passwords"
                    .into());
            }
            basic_auth(&paths, REALM, Vec::new(), Some(file.into()))
        }
        Key::CleanUrls => {
            let trailing_slash = match text {
                "never" | "" | "true" => TrailingSlash::Never,
                "always" => TrailingSlash::Always,
                "either" => TrailingSlash::Either,
                _ => {
                    return Err(
                        format!("{text:?} is no form; write never, always or either").into()
                    );
                }
            };
            let clean_urls = Some(CleanUrls { place: PLACE, trailing_slash });
            Ok(Table { clean_urls, ..Table::default() }.into())
        }
        Key::Cors => {
            let (paths, origins) = by_path(text);
            cors(&paths, commas(origins))
        }
        Key::CountryField => match is_token(text) {
            true => {
                let country_field = Some(text.to_ascii_lowercase());
                Ok(Table { country_field, ..Table::default() }.into())
            }
            false => Err("write the name of a request field, as in CF-IPCountry".into()),
        },
        Key::Header => header(text),
        Key::Maintenance => {
            let page = if is_on { None } else { Some(page(text)?) };
            Ok(closed(Maintenance {
                place: PLACE,
                page,
                retry_after_s: RETRY_AFTER_S,
                pass_networks: Vec::new(),
                pass_cookie: None,
                from_s: None,
                until_s: None,
            }))
        }
        Key::Redirect => redirect(text),
        Key::SecurityHeaders => security_headers(&if is_on { Vec::new() } else { commas(text) }),
        Key::Spa => spa(if is_on { "index.html" } else { text }, ALL),
    }
}

/// Lets in what matches, and nothing else; or refuses it.
pub(super) fn access(paths: &str, allow: bool, by: AccessBy) -> Result<Part, Problem> {
    if matches!(&by, AccessBy::Networks(list) | AccessBy::Referers(list) if list.is_empty()) {
        return Err("the list is empty".into());
    }
    let access = vec![Access { place: PLACE, pattern: pattern(paths)?, allow, by }];
    Ok(Table { access, ..Table::default() }.into())
}

/// Lets in requests from pages of these hosts, and those that do not say where they are from.
pub(super) fn referers(paths: &str, hosts: &[String], or_none: bool) -> Result<Part, Problem> {
    if let Some(other) = hosts.iter().find(|host| HostPattern::parse(host).is_err()) {
        return Err(format!("{other:?} is no host; write example.org or *.example.org").into());
    }
    if hosts.is_empty() {
        return Err("write a host, as in example.org or *.example.org".into());
    }
    let mut hosts: Vec<_> = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    if or_none {
        hosts.push(String::new());
    }
    access(paths, true, AccessBy::Referers(hosts))
}

/// Allows these methods alone.
pub(super) fn methods(names: &[String]) -> Result<Part, Problem> {
    let is_method = |name: &String| is_token(name) && !name.chars().any(|c| c.is_ascii_lowercase());
    if names.is_empty() || !names.iter().all(is_method) {
        return Err("write methods in capitals, as in GET or GET,HEAD".into());
    }
    let methods = Some(Methods { place: PLACE, allowed: names.to_vec() });
    Ok(Table { methods, ..Table::default() }.into())
}

/// Requires a password.
pub(super) fn basic_auth(
    paths: &str,
    realm: &str,
    users: Vec<String>,
    file: Option<PathBuf>,
) -> Result<Part, Problem> {
    let rule = Passwords { place: PLACE, pattern: pattern(paths)?, realm: realm.to_owned(), users };
    let user_files = file.map(|file| (0, file)).into_iter().collect();
    let table = Table { passwords: vec![rule], ..Table::default() };
    Ok(Part { table, user_files, ..Part::default() })
}

fn cors(paths: &str, origins: Vec<String>) -> Result<Part, Problem> {
    cors_rule(Cors {
        place: PLACE,
        pattern: paths.to_owned(),
        origins,
        methods: Vec::new(),
        // Without credentials, whatever a script adds to a request is its own to tell.
        request_fields: vec!["*".to_owned()],
        exposed_fields: Vec::new(),
        credentials: false,
        max_age_s: None,
    })
}

/// Checks a rule of origins.
pub(super) fn cors_rule(rule: Cors) -> Result<Part, Problem> {
    pattern(&rule.pattern)?;
    for origin in &rule.origins {
        OriginPattern::parse(origin)
            .map_err(|fault| Problem::new(format!("{origin:?} is no origin: {fault}")))?;
    }
    if rule.origins.is_empty() {
        return Err("write an origin, as in https://app.example, or *".into());
    }
    if rule.credentials && rule.origins.iter().any(|origin| origin == "*") {
        return Err("credentials are for named origins: write them instead of *".into());
    }
    Ok(Table { cors: vec![rule], ..Table::default() }.into())
}

/// Closes the site.
pub(super) fn closed(maintenance: Maintenance) -> Part {
    Table { maintenance: Some(maintenance), ..Table::default() }.into()
}

/// The page of an app.
pub(super) fn spa(text: &str, paths: &str) -> Result<Part, Problem> {
    let spa = Some(Spa { place: PLACE, page: page(text)?, pattern: pattern(paths)? });
    Ok(Table { spa, ..Table::default() }.into())
}

/// A line of `_redirects`.
fn redirect(text: &str) -> Result<Part, Problem> {
    if text.contains(['\n', '\r']) {
        return Err("write one line: FROM TO STATUS".into());
    }
    let mut part = site::redirects(text.as_bytes()).map_err(first)?;
    match part.table.routes.as_mut_slice() {
        [route] => {
            // The line of the text is none of the file that holds it.
            route.place = PLACE;
            Ok(part)
        }
        _ => {
            Err("write FROM TO, and a status if it is not 301, as in '/old/* /new/:splat 302'"
                .into())
        }
    }
}

/// A block of `_headers` on one line: `[always ]PATTERN: Name: value`.
fn header(text: &str) -> Result<Part, Problem> {
    const FORM: &str = "write 'PATTERN: Name: value', as in '/*: X-Frame-Options: DENY'";
    if text.contains(['\n', '\r']) {
        return Err(FORM.into());
    }
    let (text, always) = match text.strip_prefix("always ") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (paths, field) = text.split_once(": ").ok_or(FORM)?;
    // `! Name` takes a field away.
    if !field.contains(':') && !field.trim_start().starts_with('!') {
        return Err(FORM.into());
    }
    let block = format!("{}\n  {}\n", paths.trim(), field.trim());
    let mut part = site::headers(block.as_bytes()).map_err(first)?;
    match part.table.headers.as_mut_slice() {
        [header] if header.changes.len() == 1 => {
            header.place = PLACE;
            header.responses = if always { Responses::Every } else { Responses::Files };
            Ok(part)
        }
        _ => Err(FORM.into()),
    }
}

/// What is wrong with one text. Its lines tell nothing.
fn first(problems: Vec<Problem>) -> Problem {
    let message = problems.into_iter().next().map_or_else(String::new, |first| first.message);
    Problem::new(message)
}

/// Fields that restrict what browsers do with pages. The first three harm no usual site, the others
/// are for pages that are made for them. None of them outlives a mistake: a browser forgets them with
/// the page.
pub(super) fn security_headers(more: &[String]) -> Result<Part, Problem> {
    const ON_REQUEST: [(&str, &str, &str); 4] = [
        ("coop", "Cross-Origin-Opener-Policy", "same-origin"),
        ("coep", "Cross-Origin-Embedder-Policy", "require-corp"),
        ("corp", "Cross-Origin-Resource-Policy", "same-origin"),
        (
            "csp",
            "Content-Security-Policy",
            "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; \
             frame-ancestors 'self'",
        ),
    ];
    let mut fields = vec![
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ];
    for name in more {
        let known = ON_REQUEST.iter().find(|(known, ..)| known == name);
        let (_, field, value) = known.ok_or_else(|| {
            Problem::new(format!("{name:?} is unknown; write one or more of coop,coep,corp,csp"))
        })?;
        fields.push((field, value));
    }
    let add = |(name, value): (&str, &str)| FieldChange::Add {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let security = Header {
        place: PLACE,
        scheme: None,
        host: None,
        pattern: ALL.to_owned(),
        changes: fields.into_iter().map(add).collect(),
        responses: Responses::Every,
    };
    Ok(Part { security: Some(security), ..Part::default() })
}
