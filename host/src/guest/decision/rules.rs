//! The rules of `wit/policy.wit`: what a guest said becomes a decision, or is
//! refused.

use std::fmt;

use innkeeper_guest::contract::{
    MAX_BODY_BYTES, MAX_CANDIDATES, MAX_FIELD_BYTES, MAX_FIELDS, MAX_LOCATION_BYTES,
    is_field_value, is_host_field, is_page, is_redirect,
};

use super::unchecked::{Unchecked, UncheckedCandidate, UncheckedPage, UncheckedRedirect};
use super::{Candidate, Decision, Field, Fields, Otherwise, Page};
use crate::http::token::is_token;
use crate::in_flight::SharedBytes;

/// The rule of the contract that a decision breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A path that is absolute, leaves the root or has an empty name.
    Path(String),
    /// Too many candidates.
    Candidates(usize),
    /// A status that this kind of decision may not have.
    Status(u16),
    /// A candidate with the status of a redirect and no location.
    NoLocation(u16),
    /// A candidate with a location and the status of a page.
    LocationOfPage(u16),
    /// A location that is no URL a browser should follow.
    Location(String),
    /// A name that is not a token.
    FieldName(String),
    /// A value with a control character.
    FieldValue(String),
    /// A field that is the host's.
    HostField(String),
    /// Too many fields, or too large ones.
    Fields,
    /// A body that is too large, in bytes, or not allowed with the status.
    Body(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Texts of a guest are shown escaped, and at most this much of them.
        const SHOWN: usize = 100;
        let start = |text: &str| text.chars().take(SHOWN).collect::<String>();
        match self {
            Refusal::Path(path) => write!(f, "{:?} is not a path below the root", start(path)),
            Refusal::Candidates(count) => {
                write!(f, "{count} candidates; at most {MAX_CANDIDATES} are allowed")
            }
            Refusal::Status(status) => {
                write!(f, "status {status} is not allowed in this kind of decision")
            }
            Refusal::NoLocation(status) => {
                write!(f, "a candidate with status {status} needs a location")
            }
            Refusal::LocationOfPage(status) => write!(
                f,
                "a candidate with a location has status 301, 302, 303, 307 or 308, and not {status}"
            ),
            Refusal::Location(location) => write!(
                f,
                "{:?} is not an http or https URL or a relative reference",
                start(location)
            ),
            Refusal::FieldName(name) => write!(f, "{:?} is not a field name", start(name)),
            Refusal::FieldValue(name) => {
                write!(f, "the value of {:?} has a control character", start(name))
            }
            Refusal::HostField(name) => write!(f, "the host alone writes {:?}", start(name)),
            Refusal::Fields => {
                write!(f, "more than {MAX_FIELDS} fields or {MAX_FIELD_BYTES} bytes of them")
            }
            Refusal::Body(length) => write!(
                f,
                "a body of {length} bytes; at most {MAX_BODY_BYTES} are allowed, and none with \
                 status 204 or 205"
            ),
        }
    }
}

impl Decision {
    /// Checks what a guest decided.
    pub(in crate::guest) fn check(decision: Unchecked) -> Result<Decision, Refusal> {
        match decision {
            Unchecked::Index(path) => serve_one(UncheckedPage::Index(path)),
            Unchecked::File(path) => serve_one(UncheckedPage::File(path)),
            Unchecked::Serve { candidates, otherwise, fields } => {
                if candidates.len() > MAX_CANDIDATES {
                    return Err(Refusal::Candidates(candidates.len()));
                }
                let fields = check_fields(fields, Location::Refused)?;
                let candidates = candidates.into_iter();
                Ok(Decision::Serve {
                    candidates: candidates
                        .map(|candidate| check_candidate(candidate, &fields))
                        .collect::<Result<_, _>>()?,
                    otherwise: match otherwise {
                        Some(redirect) => Some(Box::new(check_otherwise(redirect, &fields)?)),
                        None => None,
                    },
                    fields,
                })
            }
            Unchecked::NotFound => Ok(Decision::not_found()),
            Unchecked::Redirect(redirect) => {
                let (status, location, fields) = check_redirect(redirect)?;
                Ok(Decision::Redirect { status, location, fields })
            }
            Unchecked::Reply { status, fields, body } => {
                if !(200..=599).contains(&status) || matches!(status, 206 | 304 | 416) {
                    return Err(Refusal::Status(status));
                }
                let bodyless = matches!(status, 204 | 205);
                if body.len() > MAX_BODY_BYTES || bodyless && !body.is_empty() {
                    return Err(Refusal::Body(body.len()));
                }
                let fields = check_fields(fields, Location::Allowed)?;
                Ok(Decision::Reply { status, fields, body: SharedBytes::one_copy_of(body) })
            }
        }
    }
}

/// Whether `location` may be among a decision's fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Location {
    Allowed,
    Refused,
}

fn serve_one(page: UncheckedPage) -> Result<Decision, Refusal> {
    let one = Candidate::new(check_page(page)?, 200, None, Fields::new(), &Fields::new());
    Ok(Decision::Serve { candidates: vec![one], otherwise: None, fields: Fields::new() })
}

fn check_page(page: UncheckedPage) -> Result<Page, Refusal> {
    match page {
        UncheckedPage::Index(mut path) => {
            if path.ends_with('/') {
                path.pop();
                if path.is_empty() {
                    return Err(Refusal::Path("/".to_owned()));
                }
            }
            if !path.is_empty() && !is_below_the_root(&path) {
                return Err(Refusal::Path(path));
            }
            Ok(Page::Index(path.into()))
        }
        UncheckedPage::File(path) if is_below_the_root(&path) => Ok(Page::File(path.into())),
        UncheckedPage::File(path) => Err(Refusal::Path(path)),
    }
}

fn check_candidate(candidate: UncheckedCandidate, of_all: &Fields) -> Result<Candidate, Refusal> {
    let UncheckedCandidate { page, status, location, fields } = candidate;
    let page = check_page(page)?;
    match &location {
        None if is_redirect(status) => return Err(Refusal::NoLocation(status)),
        Some(location) if is_redirect(status) => check_location(location)?,
        Some(_) => return Err(Refusal::LocationOfPage(status)),
        None if is_page(status) => {}
        None => return Err(Refusal::Status(status)),
    }
    let own = check_fields(fields, Location::Refused)?;
    let candidate = Candidate::new(page, status, location, own, of_all);
    check_size(candidate.fields(of_all))?;
    Ok(candidate)
}

fn check_otherwise(redirect: UncheckedRedirect, of_all: &Fields) -> Result<Otherwise, Refusal> {
    let (status, location, own) = check_redirect(redirect)?;
    let otherwise = Otherwise::new(status, location, own, of_all);
    check_size(&otherwise.fields)?;
    Ok(otherwise)
}

fn check_redirect(redirect: UncheckedRedirect) -> Result<(u16, String, Fields), Refusal> {
    let UncheckedRedirect { status, location, fields } = redirect;
    if !is_redirect(status) {
        return Err(Refusal::Status(status));
    }
    check_location(&location)?;
    Ok((status, location, check_fields(fields, Location::Refused)?))
}

/// Whether every name of the path is one that leads down.
fn is_below_the_root(path: &str) -> bool {
    // Byte by byte: a path of thousands of names costs no more than one of its length.
    let (mut length, mut is_dots) = (0_usize, true);
    for byte in path.bytes().chain([b'/']) {
        match byte {
            0 => return false,
            b'/' if is_dots && length <= 2 => return false,
            b'/' => (length, is_dots) = (0, true),
            _ => {
                length += 1;
                is_dots &= byte == b'.';
            }
        }
    }
    true
}

fn check_location(location: &str) -> Result<(), Refusal> {
    is_location(location).then_some(()).ok_or_else(|| Refusal::Location(location.to_owned()))
}

/// Whether a client may be sent there: visible ASCII, and if the reference has
/// a scheme, it is `http` or `https` (RFC 3986, section 4.1).
fn is_location(location: &str) -> bool {
    let visible = location.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme_allowed = match before_path.split_once(':') {
        None => true,
        Some((scheme, _)) => ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)),
    };
    (1..=MAX_LOCATION_BYTES).contains(&location.len()) && visible && scheme_allowed
}

/// Whether one response may have all of these.
fn check_size(fields: &[Field]) -> Result<(), Refusal> {
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    if fields.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
        return Err(Refusal::Fields);
    }
    Ok(())
}

fn check_fields(fields: Vec<Field>, location: Location) -> Result<Fields, Refusal> {
    check_size(&fields)?;
    fields
        .into_iter()
        .map(|field| {
            let Field { name, value } = field;
            if !is_token(&name) {
                Err(Refusal::FieldName(name.into()))
            } else if !is_field_value(&value) {
                Err(Refusal::FieldValue(name.into()))
            } else if is_host_field(&name)
                || location == Location::Refused && name.eq_ignore_ascii_case("location")
            {
                Err(Refusal::HostField(name.into()))
            } else {
                Ok(Field { name, value })
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .map(|fields| Fields::from(fields).shared())
}

#[cfg(test)]
mod tests;
