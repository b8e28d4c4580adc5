//! What rules of redirects and fields may say, wherever they are written.
//!
//! The engine refuses what it cannot obey; here stands what it is, and what to write instead.

use super::fault::{Mistake, PatternFault, TargetFault};
use super::table::{Condition, FieldChange, QueryMatch, QueryValue};
use crate::contract::{
    MAX_FIELD_BYTES, MAX_FIELDS, MAX_LOCATION_BYTES, is_host_field, is_page, is_redirect, is_token,
};
use crate::path::{Fault, SitePath};
use crate::pattern::{self, MAX_PLACEHOLDERS, Pattern, PatternError};
use crate::query;

/// Bytes of the name of a host (RFC 1035, section 2.3.4).
const HOST_BYTES: usize = 253;

/// What a rule is about, in its parts.
#[derive(Clone, Debug)]
pub struct From {
    /// `http` or `https`, if it names one.
    pub scheme: Option<String>,
    /// The host, in lower case, if it names one. It may have placeholders, or begin with `*.`.
    pub host: Option<String>,
    /// The pattern of paths, as it was written.
    pub path: String,
    pattern: Pattern,
    /// The names of placeholders that are not the path's: the host's, and the query's.
    names: Vec<String>,
}

impl From {
    /// Reads a pattern of paths, `/a/:name/*`, or a URL with one: `https://:sub.example.org/*`. A
    /// fragment never reaches a server, and is left out.
    pub fn parse(text: &str) -> Result<From, Mistake> {
        let fault = |fault| Mistake::Pattern(text.to_owned(), fault);
        let text_before = text.split_once('#').map_or(text, |(before, _)| before);
        let (scheme, rest) = split_scheme(text_before);
        let (host, path) = match scheme {
            None => (None, text_before),
            Some(_) => match rest.find(['/', '?']).and_then(|at| rest.split_at_checked(at)) {
                Some((host, path)) => (Some(host), path),
                None => (Some(rest), "/"),
            },
        };
        if path.contains('?') {
            return Err(fault(PatternFault::Query));
        }
        let pattern = Pattern::parse(path).map_err(|error| match error {
            PatternError::NoSlash => fault(PatternFault::Begin),
            error => fault(PatternFault::Path(error)),
        })?;
        let mut from = From {
            scheme: scheme.map(str::to_owned),
            host: None,
            path: path.to_owned(),
            pattern,
            names: Vec::new(),
        };
        from.host = host.map(|host| from.read_host(host)).transpose().map_err(fault)?;
        Ok(from)
    }

    /// The same for URLs of this host alone, which stands apart from the path, as in
    /// `:sub.example.org`.
    pub fn on_host(&mut self, host: &str) -> Result<(), Mistake> {
        let host =
            self.read_host(host).map_err(|fault| Mistake::Pattern(host.to_owned(), fault))?;
        self.host = Some(host);
        Ok(())
    }

    /// Whether the rule has a placeholder of this name, or a `*` if it is `splat`.
    pub fn knows(&self, name: &str) -> bool {
        self.pattern.capture(name).is_some() || self.names.iter().any(|known| known == name)
    }

    fn add_name(&mut self, name: &str) -> Result<(), PatternFault> {
        if name == "splat" || self.knows(name) {
            Err(PatternFault::Path(PatternError::Twice))
        } else if self.pattern.placeholders() + self.names.len() >= MAX_PLACEHOLDERS {
            Err(PatternFault::Path(PatternError::TooManyPlaceholders))
        } else {
            self.names.push(name.to_owned());
            Ok(())
        }
    }

    fn read_host(&mut self, host: &str) -> Result<String, PatternFault> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > HOST_BYTES {
            return Err(PatternFault::Host);
        }
        let mut lower = String::with_capacity(host.len());
        for (at, label) in host.split('.').enumerate() {
            if at > 0 {
                lower.push('.');
            }
            match label.strip_prefix(':') {
                // Names of placeholders keep their letter case.
                Some(name) if pattern::placeholder(name) == Some(name) => {
                    self.add_name(name)?;
                    lower.push_str(label);
                }
                _ if label == "*" && at == 0 && host.len() > 2 => lower.push('*'),
                _ if is_label(label) => lower.push_str(&label.to_ascii_lowercase()),
                _ => return Err(PatternFault::Host),
            }
        }
        Ok(lower)
    }

    /// A parameter that the query must have: a value, or `:name` for any. Its placeholder is one
    /// of the rule.
    pub fn query(&mut self, name: &str, value: &str) -> Result<QueryMatch, Mistake> {
        let text = || format!("{name}={value}");
        if name.is_empty() {
            return Err(Mistake::Query(text()));
        }
        let value = match value.strip_prefix(':') {
            Some(placeholder) if pattern::placeholder(placeholder) == Some(placeholder) => {
                self.add_name(placeholder).map_err(|fault| Mistake::Pattern(text(), fault))?;
                QueryValue::Placeholder(placeholder.to_owned())
            }
            _ => QueryValue::Exactly(query::decode(value).into_owned()),
        };
        Ok(QueryMatch { name: query::decode(name).into_owned(), value })
    }

    /// Checks a target of the rule, for a status.
    pub fn target(&self, text: &str, status: u16) -> Result<(), Mistake> {
        let is_redirect = is_redirect(status);
        if !is_redirect && !is_page(status) {
            return Err(Mistake::Status(status.to_string()));
        }
        let fault = |fault| Err(Mistake::Target(text.to_owned(), fault));
        if text.len() > MAX_LOCATION_BYTES {
            return fault(TargetFault::TooLong);
        }
        if text.chars().any(|character| is_space(character) || character.is_control()) {
            return fault(TargetFault::Character);
        }
        let (scheme, rest) = split_scheme(text);
        let path = match scheme {
            Some(_) if !is_redirect => return Err(Mistake::Proxy(text.to_owned())),
            Some(_) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if !is_target_host(host) {
                    return fault(TargetFault::Host);
                }
                self.check_known(&host.replace('.', "/"))?;
                path
            }
            None if text.starts_with("//") => return fault(TargetFault::TwoSlashes),
            None if text.starts_with('/') => text,
            None => return fault(TargetFault::Begin),
        };
        let end = path.find(['?', '#']).unwrap_or(path.len());
        let (path, more) = path.split_at_checked(end).unwrap_or((path, ""));
        self.check_known(path)?;
        self.check_known(more)?;
        if path.starts_with("/.netlify/") {
            return Err(Mistake::Function(path.to_owned()));
        }
        match SitePath::resolve(path) {
            Err(Fault::Escape) => fault(TargetFault::Escape),
            Err(Fault::NamesNothing) if !is_redirect => fault(TargetFault::Path),
            _ => Ok(()),
        }
    }

    /// A placeholder at the begin of a name or of a value has to be one of the rule; elsewhere a
    /// colon may be a colon.
    fn check_known(&self, text: &str) -> Result<(), Mistake> {
        for begin in ["/:", "=:"] {
            for (at, _) in text.match_indices(begin) {
                let name = text.get(at + begin.len()..).and_then(pattern::placeholder);
                if let Some(name) = name.filter(|name| !self.knows(name)) {
                    return Err(Mistake::UnknownPlaceholder(format!(":{name}")));
                }
            }
        }
        Ok(())
    }
}

/// The scheme of a URL, and what follows its `://`; any letter case.
pub(super) fn split_scheme(text: &str) -> (Option<&'static str>, &str) {
    for (scheme, begin) in [("https", "https://"), ("http", "http://")] {
        match text.split_at_checked(begin.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(begin) => {
                return (Some(scheme), rest);
            }
            _ => {}
        }
    }
    (None, text)
}

/// Whether a target or a path begins here, and not a field or a parameter.
pub fn is_target(text: &str) -> bool {
    text.starts_with('/') || split_scheme(text).0.is_some()
}

/// Whether it is white space, as editors and other readers of these files have it.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

fn is_label(label: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(is_of_label)
}

/// Whether it is a host with an optional port, in which placeholders stand only before the name of
/// a site: its last two labels. Otherwise a link to this server could lead anywhere.
fn is_target_host(authority: &str) -> bool {
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_placeholder = |label: &str| {
        let name = label.strip_prefix(':').unwrap_or_default();
        name != "splat" && !name.is_empty() && pattern::placeholder(name) == Some(name)
    };
    let labels: Vec<_> = host.rsplit('.').collect();
    let (name, before) = labels.split_at(labels.len().min(2));
    host.len() <= HOST_BYTES
        && name.iter().all(|label| is_label(label))
        && before.iter().all(|label| is_label(label) || is_placeholder(label))
}

/// A status as rules have it, `301` or `200!`: the number, and whether it is forced.
pub fn status(text: &str) -> Result<(u16, bool), Mistake> {
    let digits = text.strip_suffix('!').unwrap_or(text);
    let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(status) if is_number => Ok((status, digits.len() < text.len())),
        _ => Err(Mistake::Status(text.to_owned())),
    }
}

/// A condition by its name, in any letter case: `Language`, `Country` or `Cookie`.
pub fn condition<'a>(
    name: &str,
    values: impl Iterator<Item = &'a str>,
) -> Result<Condition, Mistake> {
    let mut values = values.map(str::trim).filter(|value| !value.is_empty()).peekable();
    let known = name.to_ascii_lowercase();
    match known.as_str() {
        "role" => return Err(Mistake::Role),
        "sign" | "signed" => return Err(Mistake::Signed),
        "language" | "country" | "cookie" if values.peek().is_none() => {
            return Err(Mistake::EmptyCondition(name.to_owned()));
        }
        _ => {}
    }
    match known.as_str() {
        "language" => Ok(Condition::Language(values.map(language).collect::<Result<_, _>>()?)),
        "country" => Ok(Condition::Country(values.map(country).collect::<Result<_, _>>()?)),
        "cookie" => {
            let cookie = |name: &str| match is_token(name) {
                true => Ok(name.to_owned()),
                false => Err(Mistake::Cookie(name.to_owned())),
            };
            Ok(Condition::Cookie(values.map(cookie).collect::<Result<_, _>>()?))
        }
        _ => Err(Mistake::Option(name.to_owned())),
    }
}

fn country(text: &str) -> Result<String, Mistake> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Mistake::Country(text.to_owned()))
    }
}

fn language(text: &str) -> Result<String, Mistake> {
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if text.len() <= 35 && text.split('-').all(is_subtag) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Mistake::Language(text.to_owned()))
    }
}

/// Checks a field of a response.
pub fn field(name: &str, value: &str) -> Result<(), Mistake> {
    field_name(name)?;
    if value.is_empty() {
        return Err(Mistake::EmptyField(name.to_owned()));
    }
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(Mistake::FieldValue(name.to_owned()));
    }
    Ok(())
}

/// Checks the name of a field of a response.
pub fn field_name(name: &str) -> Result<(), Mistake> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        Err(Mistake::FieldName(name.to_owned()))
    } else if is_host_field(name) {
        Err(Mistake::HostField(name.to_owned()))
    } else if lower == "location" {
        Err(Mistake::Location)
    } else if lower == "basic-auth" {
        Err(Mistake::BasicAuth)
    } else {
        Ok(())
    }
}

/// Checks that one response may have all these fields.
pub fn changes(changes: &[FieldChange]) -> Result<(), Mistake> {
    let bytes = |change: &FieldChange| match change {
        FieldChange::Add { name, value } => name.len() + value.len(),
        FieldChange::Remove { .. } => 0,
    };
    if changes.len() > MAX_FIELDS || changes.iter().map(bytes).sum::<usize>() > MAX_FIELD_BYTES {
        return Err(Mistake::TooManyFields);
    }
    Ok(())
}
