//! A request of HTTP/2: its pseudo-fields become the line that guests are asked with. Its target,
//! its host and its fields are held to the rules that those of the other wire keep.

use ::http::request::Parts;
use ::http::{HeaderMap, Method as Name, header};

use super::Limits;
use crate::http::fault::check_host;
use crate::http::host::is_host;
use crate::http::request::{FieldLine, Version, request_line, trim};
use crate::http::{Fault, Method, Peer, Request, Scheme, Tls};
use crate::service::record::Received;

/// Bytes that each field counts beside its name and value (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// What becomes of a request that is not responded to as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no message of HTTP: its stream is reset (RFC 9113, section 8.1.1).
    Malformed,
    /// It gets a response with an error.
    Response(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Response(fault)
    }
}

/// What is read of a request before its fields are looked at: the parts that it borrows from.
#[derive(Debug)]
pub(super) struct Head {
    parts: Parts,
    /// The line that guests are asked with.
    line: Vec<u8>,
    /// `cookie`, if it came in several fields (RFC 9113, section 8.2.3).
    cookie: Option<Vec<u8>>,
}

impl Head {
    pub(super) fn new(parts: Parts) -> Head {
        let line = request_line(parts.method.as_str(), target(&parts));
        Head { cookie: joined_cookie(&parts.headers), line, parts }
    }

    /// What is known of it, for the log.
    pub(super) fn received(&self) -> Received<'_> {
        let value = |name| self.parts.headers.get(name).map(header::HeaderValue::as_bytes);
        Received {
            line: &self.line,
            version: Version::Http2,
            referer: value(header::REFERER),
            user_agent: value(header::USER_AGENT),
        }
    }

    /// Its lines, as a client of HTTP/1 would send them.
    pub(super) fn shown(&self) -> Vec<u8> {
        let mut shown = self.line.clone();
        let authority = self.parts.uri.authority();
        let authority = authority.map(|authority| (":authority", authority.as_str().as_bytes()));
        let fields = self.parts.headers.iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
        for (name, value) in authority.into_iter().chain(fields) {
            for part in [b"\n", name.as_bytes(), b": ", value] {
                shown.extend_from_slice(part);
            }
        }
        shown
    }

    /// Whether the response has no body.
    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Name::HEAD
    }

    /// Whether a tunnel is asked for.
    pub(super) fn is_connect(&self) -> bool {
        self.parts.method == Name::CONNECT
    }

    /// Its fields.
    pub(super) fn fields(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The request, if it is one that is responded to as it is.
    pub(super) fn request<'r>(
        &'r self,
        limits: &Limits,
        peer: Peer,
        tls: Option<&'r Tls>,
    ) -> Result<Request<'r>, Refusal> {
        let Parts { method, uri, headers, .. } = &self.parts;
        if method != Name::CONNECT && uri.path().is_empty() {
            return Err(Refusal::Malformed);
        }
        // In any letter case (RFC 3986, section 3.1). `h2` takes whatever it is, even nothing.
        let scheme_is = |name| uri.scheme_str().is_none_or(|it| it.eq_ignore_ascii_case(name));
        match (scheme_is("http"), scheme_is("https")) {
            (false, false) => return Err(Fault::Scheme.into()),
            // The other way round a proxy says what its client asked for.
            (true, false) if tls.is_some() => return Err(Fault::Misdirected.into()),
            _ => {}
        }
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let is_number = |length: &header::HeaderValue| {
            !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        };
        if lengths.next().is_some_and(|length| !is_number(length)) || lengths.next().is_some() {
            return Err(Fault::ContentLength.into());
        }
        if self.line.len() > limits.request.line_bytes {
            return Err(Fault::LongLine.into());
        }
        if self.bytes() > limits.request.head_bytes {
            return Err(Fault::LargeHead.into());
        }
        // Browsers send each cookie in a field of its own.
        let fields = self.field_lines();
        if fields.len() > limits.request.fields {
            return Err(Fault::ManyFields.into());
        }
        let request = Request {
            line: &self.line,
            method: Method::from_name(method.as_str()),
            scheme: Scheme::of(&peer, tls),
            authority: uri.authority().map(|authority| authority.as_str()),
            target: target(&self.parts),
            version: Version::Http2,
            fields,
            peer,
            tls,
        };
        check_host(&request)?;
        check_authority(&request)?;
        // Fields are those of HTTP, or `h2` would not have passed them on, but for one byte that it
        // takes for part of a name.
        let is_name = |field: &FieldLine<'_>| !field.name.as_bytes().contains(&b'"');
        // RFC 9113, section 8.2.1.
        let is_trimmed = |field: &FieldLine<'_>| trim(field.value).len() == field.value.len();
        let is_field = |field: &FieldLine<'_>| is_name(field) && is_trimmed(field);
        let is_visible = |byte| matches!(byte, b'!'..=b'~');
        if !request.target.bytes().all(is_visible) || !request.fields.iter().all(is_field) {
            return Err(Refusal::Malformed);
        }
        debug_assert!(request.is_well_formed(), "{request:?}");
        Ok(request)
    }

    /// The size of the field section, as RFC 9113 counts it.
    fn bytes(&self) -> usize {
        let field = |name: usize, value: usize| name + value + FIELD_OVERHEAD;
        let Parts { method, uri, headers, .. } = &self.parts;
        let authority =
            uri.authority().map_or(0, |one| field(":authority".len(), one.as_str().len()));
        let pseudo = field(":method".len(), method.as_str().len())
            + field(":path".len(), target(&self.parts).len())
            + field(":scheme".len(), "https".len());
        let fields = headers.iter().map(|(name, value)| field(name.as_str().len(), value.len()));
        authority + pseudo + fields.sum::<usize>()
    }

    fn field_lines(&self) -> Vec<FieldLine<'_>> {
        let mut fields = Vec::with_capacity(self.parts.headers.len());
        let mut has_cookie = false;
        for (name, value) in &self.parts.headers {
            let value = match &self.cookie {
                Some(cookie) if name == header::COOKIE => {
                    if std::mem::replace(&mut has_cookie, true) {
                        continue;
                    }
                    cookie
                }
                _ => value.as_bytes(),
            };
            fields.push(FieldLine { name: name.as_str(), value });
        }
        fields
    }
}

/// What is asked for: the path, or the authority of a tunnel.
fn target(parts: &Parts) -> &str {
    match (parts.uri.path_and_query(), parts.uri.authority()) {
        (Some(path), _) => path.as_str(),
        (None, Some(authority)) => authority.as_str(),
        (None, None) => "",
    }
}

fn joined_cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(header::COOKIE).iter();
    let (first, second) = (values.next()?, values.next()?);
    let mut joined = first.as_bytes().to_vec();
    for value in [second].into_iter().chain(values) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(value.as_bytes());
    }
    Some(joined)
}

/// Whom it is for is said once (RFC 9113, section 8.3.1).
fn check_authority(request: &Request<'_>) -> Result<(), Fault> {
    let Some(authority) = request.authority else { return Ok(()) };
    if !is_host(authority.as_bytes()) {
        return Err(Fault::Authority);
    }
    match request.values("host").next() {
        Some(host) if !host.eq_ignore_ascii_case(authority.as_bytes()) => Err(Fault::HostDiffers),
        _ => Ok(()),
    }
}
