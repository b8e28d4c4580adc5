//! Decisions that are allowed and unwise: responses that lack a field which their status needs,
//! and redirects to a host that the request names.

use std::fmt;

use crate::guest::decision::{Candidate, Decision};
use crate::http::Field;

/// A host that no site is on (RFC 2606, section 3), for requests that would be led there.
const ELSEWHERE: &str = "elsewhere.example";

/// Targets from which a careless policy makes a redirect to another host.
pub(in crate::guest) const TEMPTING_TARGETS: [&str; 14] = [
    "//elsewhere.example/a",
    "///elsewhere.example/a",
    "/\\elsewhere.example/a",
    "/%2felsewhere.example/a",
    "/%5celsewhere.example/a",
    "/%09/elsewhere.example/a",
    "/.elsewhere.example/a",
    "/@elsewhere.example/a",
    "/http://elsewhere.example/a",
    "/?url=http://elsewhere.example/a",
    "/?next=//elsewhere.example/a",
    "/login?return=%2f%2felsewhere.example%2fa",
    "/redirect?to=https%3A%2F%2Felsewhere.example%2Fa",
    "/old//elsewhere.example/a",
];

/// What is wrong with a decision that breaks no rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::guest) enum Warning {
    /// A response with this status has to have this field.
    Lacks { status: u16, field: &'static str },
    /// 426 has to have `Upgrade`, which is the host's.
    Upgrade,
    /// A location that begins with two slashes, or what browsers take for some.
    Host,
    /// A location on the host that the request names in its path or query.
    Requested,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Lacks { status, field } => {
                write!(f, "a response with status {status} needs the field {field}")
            }
            Warning::Upgrade => f.write_str(
                "a response with status 426 needs the field Upgrade, which the host never sends: \
                 use another status",
            ),
            Warning::Host => f.write_str(
                "browsers take what follows two slashes, of either kind, for another host: write a \
                 path with one, or a whole URL",
            ),
            Warning::Requested => f.write_str(
                "the author of a link chooses the host (an open redirect): redirect to paths, or to \
                 hosts of a list",
            ),
        }
    }
}

/// The warning about a decision on the request with this line.
pub(in crate::guest) fn of(line: &[u8], decision: &Decision) -> Option<Warning> {
    let has = |fields: &[Field], name: &str| {
        fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
    };
    let lacks = |status: u16, fields: &[Field]| {
        let field = match status {
            401 => "WWW-Authenticate",
            405 => "Allow",
            407 => "Proxy-Authenticate",
            426 => return Some(Warning::Upgrade),
            301 | 302 | 303 | 307 | 308 => "Location",
            _ => return None,
        };
        (!has(fields, field)).then_some(Warning::Lacks { status, field })
    };
    match decision {
        Decision::Serve { candidates, otherwise, fields } => {
            let of_candidate = |candidate: &Candidate| match candidate.location() {
                Some(location) => leads_astray(line, location),
                None => lacks(candidate.status, candidate.fields(fields)),
            };
            let otherwise = || leads_astray(line, &otherwise.as_deref()?.location);
            candidates.iter().find_map(of_candidate).or_else(otherwise)
        }
        Decision::Reply { status, fields, .. } => lacks(*status, fields).or_else(|| {
            let location = fields.iter().find(|field| field.name.eq_ignore_ascii_case("location"));
            leads_astray(line, std::str::from_utf8(&location?.value).ok()?)
        }),
        Decision::Redirect { location, .. } => leads_astray(line, location),
    }
}

/// What is wrong with a location, as browsers read it (WHATWG URL, section 4.4).
fn leads_astray(line: &[u8], location: &str) -> Option<Warning> {
    let location = location.trim_start().replace('\\', "/");
    if location.starts_with("//") {
        return Some(Warning::Host);
    }
    let (scheme, rest) = location.split_once(':')?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    // The host of a target in absolute-form, and of `Host`, is the site's own.
    let is_in_path = line.split(|&byte| byte == b' ').nth(1).is_some_and(|t| t.starts_with(b"/"));
    (is_in_path && host.to_ascii_lowercase().ends_with(ELSEWHERE)).then_some(Warning::Requested)
}

#[cfg(test)]
mod tests {
    use super::{TEMPTING_TARGETS, Warning, of};
    use crate::guest::{Candidate, Decision, Otherwise, Page};
    use crate::http::{Field, Fields};

    fn fields(name: &str, value: &str) -> Vec<Field> {
        vec![Field { name: name.to_owned().into(), value: value.as_bytes().to_vec().into() }]
    }

    fn reply(status: u16, fields: Vec<Field>) -> Decision {
        Decision::Reply { status, fields: fields.into(), body: b"".as_slice().into() }
    }

    fn redirect(location: &str) -> Decision {
        Decision::Redirect { status: 302, location: location.to_owned(), fields: Fields::new() }
    }

    #[test]
    fn status_that_needs_a_field_has_it() {
        let line = b"GET / HTTP/1.1";
        for (status, field) in [
            (401, "WWW-Authenticate"),
            (405, "Allow"),
            (407, "Proxy-Authenticate"),
            (301, "Location"),
            (308, "Location"),
        ] {
            let lacks = Some(Warning::Lacks { status, field });
            assert_eq!(of(line, &reply(status, Vec::new())), lacks);
            assert_eq!(of(line, &reply(status, fields("x-other", "a"))), lacks);
            let with = reply(status, fields(&field.to_ascii_lowercase(), "a"));
            assert_eq!(of(line, &with), None, "{status}");
        }
        assert_eq!(of(line, &reply(426, Vec::new())), Some(Warning::Upgrade));
        let serve = |status, own: Vec<Field>, fields: Vec<Field>| {
            let (page, fields) = (Page::File("a".into()), Fields::from(fields));
            let one = Candidate::new(page, status, None, own.into(), &fields);
            Decision::Serve { candidates: vec![one], otherwise: None, fields }
        };
        let lacks = Some(Warning::Lacks { status: 401, field: "WWW-Authenticate" });
        let with = || fields("WWW-Authenticate", "Basic");
        assert_eq!(of(line, &serve(401, Vec::new(), Vec::new())), lacks);
        assert_eq!(of(line, &serve(401, with(), Vec::new())), None);
        assert_eq!(of(line, &serve(401, fields("a", "b"), with())), None);
        for status in [200, 204, 400, 403, 404, 410, 429, 500, 503] {
            assert_eq!(of(line, &reply(status, Vec::new())), None, "{status}");
        }
        assert_eq!(of(line, &Decision::not_found()), None);
    }

    #[test]
    fn redirect_to_another_host_by_slashes_is_noticed() {
        for location in ["//evil.com", "/\\evil.com", "\\\\evil.com", "\\/evil.com", "///evil.com"]
        {
            assert_eq!(
                of(b"GET /a HTTP/1.1", &redirect(location)),
                Some(Warning::Host),
                "{location}"
            );
            let none = Fields::new();
            let leads = || location.to_owned();
            let page = Page::File("a".into());
            let moved = Candidate::new(page, 301, Some(leads()), none.clone(), &none);
            let otherwise = Some(Box::new(Otherwise::new(302, leads(), none.clone(), &none)));
            for (candidates, otherwise) in [(vec![moved], None), (Vec::new(), otherwise)] {
                let serve = Decision::Serve { candidates, otherwise, fields: Fields::new() };
                assert_eq!(of(b"GET /a HTTP/1.1", &serve), Some(Warning::Host), "{serve}");
            }
            let created = reply(201, fields("Location", location));
            assert_eq!(of(b"POST /a HTTP/1.1", &created), Some(Warning::Host), "{location}");
        }
        for location in ["/a//b", "/", "a//b", "?a=//b", "#//", "https://example.org//a"] {
            assert_eq!(of(b"GET /a HTTP/1.1", &redirect(location)), None, "{location}");
        }
    }

    #[test]
    fn redirect_to_the_host_of_the_request_is_noticed() {
        for target in TEMPTING_TARGETS {
            let line = format!("GET {target} HTTP/1.1");
            for location in [
                "http://elsewhere.example/a",
                "HTTPS:elsewhere.example",
                "https:\\\\u@elsewhere.example:80/",
                "https://example.org@elsewhere.example",
                "https://example.org.elsewhere.example",
            ] {
                let warning = of(line.as_bytes(), &redirect(location));
                assert_eq!(warning, Some(Warning::Requested), "{target} {location}");
            }
            for location in ["https://example.org/elsewhere.example", "/elsewhere.example"] {
                assert_eq!(of(line.as_bytes(), &redirect(location)), None, "{target} {location}");
            }
        }
        let own = redirect("https://elsewhere.example/");
        assert_eq!(of(b"GET http://elsewhere.example/ HTTP/1.1", &own), None);
    }
}
