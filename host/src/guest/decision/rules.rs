//! The rules of `wit/policy.wit`: what a guest said becomes a decision, or is
//! refused.

use std::fmt;

use super::unchecked::{Unchecked, UncheckedCandidate};
use super::{Candidate, Decision, Field, Fields};
use crate::http::token::is_token;
use crate::in_flight::SharedBytes;

/// Candidates of one decision. Each costs the site a look.
const MAX_CANDIDATES: usize = 16;

/// Fields of one decision, and the bytes of their names and values together:
/// as much as the host accepts in a request's head.
const MAX_FIELDS: usize = 64;
const MAX_FIELD_BYTES: usize = 16 << 10;

/// Bytes of a redirect's location: no client accepts longer ones.
const MAX_LOCATION_BYTES: usize = 8 << 10;

/// Bytes of a guest's own body. What is larger belongs into a file.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Fields of how a response is framed, which connection it travels on, or
/// which bytes of which representation it holds: the host's alone. In lower case
/// and in order.
const HOST_FIELDS: [&str; 15] = [
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The rule of the contract that a decision breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A path that is absolute, leaves the root or has an empty name.
    Path(String),
    /// No candidates, or too many.
    Candidates(usize),
    /// A status that this kind of decision may not have.
    Status(u16),
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
                write!(f, "{count} candidates; 1 to {MAX_CANDIDATES} are allowed")
            }
            Refusal::Status(status) => {
                write!(f, "status {status} is not allowed in this kind of decision")
            }
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
            Unchecked::Index(path) => serve_one(UncheckedCandidate::Index(path)),
            Unchecked::File(path) => serve_one(UncheckedCandidate::File(path)),
            Unchecked::Serve { candidates, status, fields } => {
                if !(1..=MAX_CANDIDATES).contains(&candidates.len()) {
                    return Err(Refusal::Candidates(candidates.len()));
                }
                if !matches!(status, 200 | 400..=411 | 413..=415 | 417..=599) {
                    return Err(Refusal::Status(status));
                }
                Ok(Decision::Serve {
                    candidates: candidates
                        .into_iter()
                        .map(check_candidate)
                        .collect::<Result<_, _>>()?,
                    status,
                    fields: check_fields(fields, Location::Refused)?,
                })
            }
            Unchecked::NotFound => Ok(Decision::NotFound),
            Unchecked::Redirect { status, location, fields } => {
                if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                    return Err(Refusal::Status(status));
                }
                if !is_location(&location) {
                    return Err(Refusal::Location(location));
                }
                let fields = check_fields(fields, Location::Refused)?;
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

fn serve_one(candidate: UncheckedCandidate) -> Result<Decision, Refusal> {
    Ok(Decision::Serve {
        candidates: vec![check_candidate(candidate)?],
        status: 200,
        fields: Fields::default(),
    })
}

fn check_candidate(candidate: UncheckedCandidate) -> Result<Candidate, Refusal> {
    match candidate {
        UncheckedCandidate::Index(mut path) => {
            if path.ends_with('/') {
                path.pop();
                if path.is_empty() {
                    return Err(Refusal::Path("/".to_owned()));
                }
            }
            if !path.is_empty() && !is_below_the_root(&path) {
                return Err(Refusal::Path(path));
            }
            Ok(Candidate::Index(path))
        }
        UncheckedCandidate::File(path) if is_below_the_root(&path) => Ok(Candidate::File(path)),
        UncheckedCandidate::File(path) => Err(Refusal::Path(path)),
    }
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

fn check_fields(fields: Vec<Field>, location: Location) -> Result<Fields, Refusal> {
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    if fields.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
        return Err(Refusal::Fields);
    }
    fields
        .into_iter()
        .map(|field| {
            let Field { name, value } = field;
            let lower = name.to_ascii_lowercase();
            if !is_token(&name) {
                Err(Refusal::FieldName(name.into()))
            } else if value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
                Err(Refusal::FieldValue(name.into()))
            } else if HOST_FIELDS.binary_search(&lower.as_str()).is_ok()
                || lower == "location" && location == Location::Refused
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
mod tests {
    use super::{
        Candidate, Decision, Field, Fields, HOST_FIELDS, Refusal, Unchecked, UncheckedCandidate,
        is_location,
    };

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.to_owned().into(), value: value.as_bytes().to_vec().into() }
    }

    fn reply(status: u16, fields: Vec<Field>, body: &[u8]) -> Unchecked {
        Unchecked::Reply { status, fields, body: body.to_vec() }
    }

    fn serve(candidates: Vec<UncheckedCandidate>, status: u16) -> Unchecked {
        Unchecked::Serve { candidates, status, fields: Vec::new() }
    }

    fn file(path: &str) -> UncheckedCandidate {
        UncheckedCandidate::File(path.to_owned())
    }

    #[test]
    fn short_form_is_a_serve_with_one_candidate() {
        let one = |candidate| {
            Ok(Decision::Serve {
                candidates: vec![candidate],
                status: 200,
                fields: Fields::default(),
            })
        };
        let check = Decision::check;
        let index = |path: &str| check(Unchecked::Index(path.to_owned()));
        assert_eq!(index(""), one(Candidate::Index(String::new())));
        assert_eq!(index("docs"), one(Candidate::Index("docs".to_owned())));
        assert_eq!(index("docs/"), one(Candidate::Index("docs".to_owned())));
        assert_eq!(
            check(Unchecked::File("a/b.css".to_owned())),
            one(Candidate::File("a/b.css".to_owned()))
        );
    }

    #[test]
    fn path_that_leaves_the_root_is_refused() {
        for path in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0b"] {
            let refusal = Err(Refusal::Path(path.to_owned()));
            assert_eq!(Decision::check(Unchecked::File(path.to_owned())), refusal);
            assert_eq!(Decision::check(serve(vec![file("x"), file(path)], 200)), refusal);
        }
        for path in ["/", "//", "/docs", "docs//", "../", "a/./"] {
            let decision = Decision::check(Unchecked::Index(path.to_owned()));
            assert!(matches!(decision, Err(Refusal::Path(_))), "{path:?}: {decision:?}");
        }
    }

    #[test]
    fn statuses_that_do_not_fit_are_refused() {
        for status in [0, 99, 100, 101, 199, 206, 304, 416, 600, 65535] {
            assert_eq!(
                Decision::check(reply(status, Vec::new(), b"")),
                Err(Refusal::Status(status))
            );
        }
        for status in [0, 100, 201, 204, 206, 301, 304, 412, 416, 600] {
            assert_eq!(
                Decision::check(serve(vec![file("x")], status)),
                Err(Refusal::Status(status))
            );
        }
        for status in [200, 300, 304, 305, 306, 399] {
            let redirect =
                Unchecked::Redirect { status, location: "/".to_owned(), fields: Vec::new() };
            assert_eq!(Decision::check(redirect), Err(Refusal::Status(status)));
        }
        assert_eq!(Decision::check(reply(204, Vec::new(), b"x")), Err(Refusal::Body(1)));
    }

    #[test]
    fn candidates_are_counted() {
        assert_eq!(Decision::check(serve(Vec::new(), 200)), Err(Refusal::Candidates(0)));
        let many = (0..17).map(|_| file("x")).collect();
        assert_eq!(Decision::check(serve(many, 200)), Err(Refusal::Candidates(17)));
    }

    #[test]
    fn fields_cannot_split_a_response() {
        for value in ["a\r\nSet-Cookie: x", "a\n", "\0", "\u{7f}"] {
            assert_eq!(
                Decision::check(reply(200, vec![field("x-a", value)], b"")),
                Err(Refusal::FieldValue("x-a".to_owned()))
            );
        }
        for name in ["", "a b", "a:", "a\r\nb", "\u{e9}"] {
            assert_eq!(
                Decision::check(reply(200, vec![field(name, "x")], b"")),
                Err(Refusal::FieldName(name.to_owned()))
            );
        }
        assert!(Decision::check(reply(200, vec![field("x-a", "a\tb \u{e9}")], b"")).is_ok());
    }

    #[test]
    fn framing_is_the_hosts() {
        assert!(HOST_FIELDS.is_sorted(), "it is searched by halves");
        for name in ["Content-Length", "transfer-encoding", "CONNECTION", "Date", "eTag"] {
            assert_eq!(
                Decision::check(reply(200, vec![field(name, "1")], b"")),
                Err(Refusal::HostField(name.to_owned()))
            );
        }
        assert!(Decision::check(reply(201, vec![field("Location", "/a")], b"")).is_ok());
    }

    #[test]
    fn sizes_have_bounds() {
        let many = (0..65).map(|_| field("a", "b")).collect();
        assert_eq!(Decision::check(reply(200, many, b"")), Err(Refusal::Fields));
        let large = vec![field("a", &"b".repeat(16 << 10))];
        assert_eq!(Decision::check(reply(200, large, b"")), Err(Refusal::Fields));
        let body = vec![0; (1 << 20) + 1];
        assert_eq!(Decision::check(reply(200, Vec::new(), &body)), Err(Refusal::Body(body.len())));
    }

    #[test]
    fn location_is_a_path_or_an_http_url() {
        for location in
            ["/", "a", "../a?b=c:d", "#x", "?a:b", "http://h/", "HTTPS://h:1/a:b", "//h/a", "/a:b"]
        {
            assert!(is_location(location), "{location:?}");
        }
        for location in [
            "",
            "javascript:alert(1)",
            "JavaScript:x",
            "data:text/html,x",
            "a:b",
            "ftp://h/",
            "/a b",
            "/a\r\nSet-Cookie: x",
            "/\u{e9}",
            ":x",
        ] {
            assert!(!is_location(location), "{location:?}");
        }
    }
}
