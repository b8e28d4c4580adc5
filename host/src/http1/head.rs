//! A request's head: what it says, and whether that is allowed.
//!
//! Strict where leniency would let two readers of the same bytes see different
//! requests: line ends are CRLF and nothing else, there is one space between the
//! parts of the request line, framing is said once (RFC 9112, sections 2 to 6;
//! section 11.2 tells why).

use super::error::HeadError;
use super::limits::Limits;
use super::request_body::Framing;
use super::response_head::Persistence;
use crate::http::fault::{check_host, read_expectation};
use crate::http::host::is_host;
use crate::http::request::{FieldLine, Version, list};
use crate::http::token::is_token_byte;
use crate::http::{Fault, Method, Peer, Request, Scheme, Tls};

/// A request's head, taken apart. It borrows from the received bytes.
#[derive(Debug)]
pub struct Head<'a> {
    /// What every version of HTTP says of a request.
    pub request: Request<'a>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client waits for a word before it sends its body.
    pub expects_continue: bool,
    /// What the client wants of the connection after this request (RFC 9112, section 9.3).
    pub persistence: Persistence,
}

/// The most fields that any configuration may allow: they are parsed on the stack.
pub const MAX_FIELDS: usize = 100;

impl<'a> Head<'a> {
    /// Takes a complete head apart: from the request line to the empty line.
    /// The connection has this client, and is secured by TLS or not.
    pub fn parse(
        head: &'a [u8],
        limits: &Limits,
        peer: Peer,
        tls: Option<&'a Tls>,
    ) -> Result<Head<'a>, HeadError> {
        let scheme = Scheme::of(&peer, tls);
        let line_end = memchr::memchr(b'\n', head).ok_or(HeadError::Line)?;
        let (line, block) = head.split_at(line_end + 1);
        let line = line.strip_suffix(b"\r\n").ok_or(HeadError::Line)?;
        let Line { method, target, authority, minor_version } = parse_line(line, scheme)?;

        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let allowed = &mut fields[..limits.request.fields.min(MAX_FIELDS)];
        let fields = match parse_fields(block, allowed)? {
            httparse::Status::Complete((_, fields)) => fields
                .iter()
                .map(|&httparse::Header { name, value }| FieldLine { name, value })
                .collect(),
            httparse::Status::Partial => return Err(HeadError::Field),
        };
        let version = if minor_version == 0 { Version::Http10 } else { Version::Http11 };
        let request =
            Request { line, method, scheme, authority, target, version, fields, peer, tls };
        check_host(&request)?;
        debug_assert!(request.is_well_formed(), "{request:?}");
        Ok(Head {
            framing: read_framing(&request)?,
            persistence: read_connection(&request),
            expects_continue: read_expectation(&request)?,
            request,
        })
    }
}

/// RFC 9112, section 6.3, without its leniencies.
fn read_framing(request: &Request<'_>) -> Result<Framing, HeadError> {
    let mut codings = request.values("transfer-encoding");
    let mut lengths = request.values("content-length").peekable();
    if let Some(coding) = codings.next() {
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        return match coding {
            _ if lengths.peek().is_some() || request.version == Version::Http10 => {
                Err(HeadError::Ambiguous)
            }
            // An empty one too: a reader who goes by the last would see no chunks.
            _ if codings.next().is_some() => Err(HeadError::Ambiguous),
            _ if list(coding).filter(|coding| is_chunked(coding)).count() > 1 => {
                Err(HeadError::Ambiguous)
            }
            // As it stands, and not as a list with empty members: to nginx and
            // Go `,chunked` is another coding.
            _ if is_chunked(coding) => Ok(Framing::Chunked),
            _ => Err(HeadError::TransferCoding),
        };
    }
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(Framing::None),
        (Some(length), None) => {
            match parse_length(length).ok_or(HeadError::Request(Fault::ContentLength))? {
                0 => Ok(Framing::None),
                length => Ok(Framing::Length(length)),
            }
        }
        (Some(_), Some(_)) => Err(HeadError::Request(Fault::ContentLength)),
    }
}

/// RFC 9112, section 9.3.
fn read_connection(request: &Request<'_>) -> Persistence {
    // No tunnel is opened here. A client that took it for granted has sent bytes
    // of another protocol, which may look like requests.
    if request.line.starts_with(b"CONNECT ") {
        return Persistence::Close;
    }
    let mut keep_alive = false;
    for option in request.values("connection").flat_map(list) {
        if option.eq_ignore_ascii_case(b"close") {
            return Persistence::Close;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    match (request.version, keep_alive) {
        (Version::Http10, false) => Persistence::Close,
        (Version::Http10, true) => Persistence::KeepAliveSaid,
        _ => Persistence::KeepAlive,
    }
}

/// Takes field lines apart, and the empty line that ends them. `Partial` where it has not
/// arrived.
fn parse_fields<'h, 'b: 'h>(
    lines: &'b [u8],
    fields: &'h mut [httparse::Header<'b>],
) -> Result<httparse::Status<(usize, &'h [httparse::Header<'b>])>, HeadError> {
    httparse::parse_headers(lines, fields).map_err(|error| match error {
        httparse::Error::TooManyHeaders => HeadError::Request(Fault::ManyFields),
        _ => HeadError::Field,
    })
}

/// Checks the complete field lines of an unfinished head; `allowed` is their largest number.
pub(super) fn check_fields(lines: &[u8], allowed: usize) -> Result<(), HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    parse_fields(lines, &mut fields[..allowed.min(MAX_FIELDS)]).map(|_| ())
}

/// A request line, taken apart.
pub(super) struct Line<'a> {
    method: Method,
    target: &'a str,
    /// The authority of a target in absolute-form.
    authority: Option<&'a str>,
    minor_version: u8,
}

/// Takes a request line apart (RFC 9112, section 3). What the target's path means is for
/// the guest to tell. The connection is for targets of this scheme.
pub(super) fn parse_line(line: &[u8], scheme: Scheme) -> Result<Line<'_>, HeadError> {
    let line = std::str::from_utf8(line).map_err(|_| HeadError::Line)?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::Line);
    };
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Err(HeadError::Line);
    }
    if target.is_empty() || !target.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Err(HeadError::Line);
    }
    let minor_version = match version.as_bytes() {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => minor - b'0',
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(HeadError::Version);
        }
        _ => return Err(HeadError::Line),
    };
    let (own, other) = match scheme {
        Scheme::Http => ("http://", "https://"),
        Scheme::Https => ("https://", "http://"),
    };
    // RFC 9110, section 7.4. A gateway that has ended TLS sends the path alone.
    if strip_scheme(target, other).is_some() {
        return Err(HeadError::Request(Fault::Misdirected));
    }
    let authority = strip_scheme(target, own).map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        &rest[..end]
    });
    if authority.is_some_and(|authority| !is_host(authority.as_bytes())) {
        return Err(HeadError::Request(Fault::Authority));
    }
    Ok(Line { method: Method::from_name(method), target, authority, minor_version })
}

/// What follows a scheme, which is the same in either case (RFC 3986, section 3.1).
fn strip_scheme<'a>(target: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// `1*DIGIT` and nothing else (RFC 9110, section 8.6). More than fits into 64
/// bits is the largest number that does: too large in any case.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut length = 0_u64;
    for digit in value {
        length = length.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::{
        Fault, Head, HeadError, Limits, Method, Peer, Persistence, Scheme, Tls, parse_length,
    };
    use crate::http::TlsVersion;
    use crate::http1::request_body::Framing;

    const PEER: Peer = Peer::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// Parses a head of HTTP/1.1 with these lines behind the first and a host.
    fn parse(lines: &[u8]) -> Result<(Framing, Persistence, bool), HeadError> {
        let head = [b"POST /a HTTP/1.1\r\nHost: h\r\n", lines, b"\r\n"].concat();
        let head = Head::parse(&head, &Limits::default(), PEER, None)?;
        Ok((head.framing, head.persistence, head.expects_continue))
    }

    #[track_caller]
    fn check(lines: &str, expected: Result<Framing, HeadError>) {
        let framing = parse(lines.as_bytes()).map(|(framing, ..)| framing);
        assert_eq!(framing, expected, "for {lines:?}");
    }

    #[test]
    fn a_head_of_the_rfc() {
        let head = b"GET /hello.txt HTTP/1.1\r\nHost: www.example.com\r\nAccept:  a \r\n\r\n";
        let head = Head::parse(head, &Limits::default(), PEER, None).expect("a head");
        assert_eq!(head.request.line, b"GET /hello.txt HTTP/1.1");
        assert_eq!((head.request.method, head.request.target), (Method::Get, "/hello.txt"));
        assert_eq!((head.framing, head.persistence), (Framing::None, Persistence::KeepAlive));
        assert_eq!(head.request.values("ACCEPT").collect::<Vec<_>>(), [b"a"]);
    }

    #[test]
    fn framing_is_said_once_or_refused() {
        check("", Ok(Framing::None));
        check("Content-Length: 5\r\n", Ok(Framing::Length(5)));
        check("Content-Length: 0\r\n", Ok(Framing::None));
        check("Content-Length: 007\r\n", Ok(Framing::Length(7)));
        check("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked));
        check("Transfer-Encoding:chunked\t\r\n", Ok(Framing::Chunked));
        for value in ["", "+5", "-1", "0x5", "5x", "5.0", "5e0", "5,", "5, 5", "5 5"] {
            check(
                &format!("Content-Length: {value}\r\n"),
                Err(HeadError::Request(Fault::ContentLength)),
            );
        }
        check(
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            Err(HeadError::Request(Fault::ContentLength)),
        );
        check("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(HeadError::Ambiguous));
        check("Transfer-Encoding: chunked, chunked\r\n", Err(HeadError::Ambiguous));
        check("Transfer-Encoding: identity\r\n", Err(HeadError::TransferCoding));
        check("Transfer-Encoding: gzip, chunked\r\n", Err(HeadError::TransferCoding));
        check("Transfer-Encoding: \"chunked\"\r\n", Err(HeadError::TransferCoding));
        check("Transfer-Encoding: \r\n", Err(HeadError::TransferCoding));
        check("Transfer-Encoding: chunked;q=1\r\n", Err(HeadError::TransferCoding));
        check("Transfer-Encoding:\r\nContent-Length: 5\r\n", Err(HeadError::Ambiguous));
    }

    #[test]
    fn a_coding_beside_an_empty_one_is_refused() {
        for value in [",chunked", "chunked,", ", chunked ,", ","] {
            check(&format!("Transfer-Encoding: {value}\r\n"), Err(HeadError::TransferCoding));
        }
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n";
        check(twice, Err(HeadError::Ambiguous));
    }

    #[test]
    fn a_tunnel_that_is_not_opened_ends_the_connection() {
        let head = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";
        let head = Head::parse(head, &Limits::default(), PEER, None).expect("a head");
        assert_eq!((head.request.method, head.persistence), (Method::Known, Persistence::Close));
    }

    #[test]
    fn target_of_the_other_scheme_is_misdirected() {
        let tls = Tls { version: TlsVersion::Tls13, server_name: None, client: None };
        let parse = |target: &str, tls| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let head = Head::parse(head.as_bytes(), &Limits::default(), PEER, tls)?;
            Ok((head.request.scheme, head.request.authority.map(str::to_owned)))
        };
        let (http, https) = (Scheme::Http, Scheme::Https);
        for target in ["https://h/", "HTTPS://h"] {
            assert_eq!(parse(target, None), Err(HeadError::Request(Fault::Misdirected)));
            assert_eq!(parse(target, Some(&tls)), Ok((https, Some("h".to_owned()))));
        }
        for target in ["http://h/", "HTTP://h"] {
            assert_eq!(parse(target, Some(&tls)), Err(HeadError::Request(Fault::Misdirected)));
            assert_eq!(parse(target, None), Ok((http, Some("h".to_owned()))));
        }
        assert_eq!(parse("/https://h/", None), Ok((http, None)));
        assert_eq!(parse("/http://h/", Some(&tls)), Ok((https, None)));
    }

    #[test]
    fn an_authority_is_judged_as_host_is() {
        let parse = |target: &str| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let head = Head::parse(head.as_bytes(), &Limits::default(), PEER, None);
            head.map(|head| head.request.authority.map(str::to_owned))
        };
        for authority in ["h", "h:", "h:80", "[::1]", "[::1]:", "[::ffff:192.0.2.1]:80"] {
            for rest in ["", "/", "/a", "?b"] {
                let scheme = if rest.is_empty() { "HTTP" } else { "http" };
                let parsed = parse(&format!("{scheme}://{authority}{rest}"));
                assert_eq!(parsed, Ok(Some(authority.to_owned())), "{authority}{rest}");
            }
        }
        for authority in [
            "",
            ":",
            ":80",
            "u@h",
            "h:65536",
            "h:x",
            "[4712::abcd::]",
            "[v1.x]",
            "[::1",
            "h%20",
            "h,g",
        ] {
            let parsed = parse(&format!("http://{authority}/"));
            assert_eq!(parsed, Err(HeadError::Request(Fault::Authority)), "{authority:?}");
        }
        assert_eq!(parse("/http://u@h/"), Ok(None));
    }

    #[test]
    fn a_guest_is_shown_the_host_of_the_target() {
        let shown = |head: &str| {
            let head = format!("{head}\r\n\r\n");
            let head =
                Head::parse(head.as_bytes(), &Limits::default(), PEER, None).expect("a head");
            let shown = head
                .request
                .fields_for_guest()
                .map(|(name, value)| (name.to_owned(), value.to_vec()));
            shown.collect::<Vec<_>>()
        };
        let host = |name: &str, value: &str| vec![(name.to_owned(), value.as_bytes().to_vec())];
        assert_eq!(shown("GET / HTTP/1.1\r\nHost: a"), host("Host", "a"));
        assert_eq!(shown("GET http://b:8/ HTTP/1.1\r\nHost: a"), host("Host", "b:8"));
        assert_eq!(shown("GET http://b HTTP/1.0"), host("host", "b"));
        assert_eq!(shown("GET / HTTP/1.0"), []);
    }

    #[test]
    fn malformed_fields_are_refused() {
        for lines in [
            &b"X-A : b\r\n"[..],
            b"X-A: b\r\n c\r\n",
            b" X-A: b\r\n",
            b"garbage\r\n",
            b": v\r\n",
            b"X[1]: v\r\n",
            b"X-\xc3\xab: v\r\n",
            b"X\x7f: v\r\n",
            b"X-A: a\x07b\r\n",
            b"X-A: a\rb\r\n",
            b"X-A: a\0b\r\n",
        ] {
            assert_eq!(parse(lines), Err(HeadError::Field), "{}", lines.escape_ascii());
        }
        assert!(parse(b"X-A: \xe9\t\r\n").is_ok(), "obs-text is allowed in values");
    }

    #[test]
    fn what_becomes_of_the_connection() {
        let after = |lines: &[u8]| parse(lines).map(|(_, after, _)| after);
        assert_eq!(after(b""), Ok(Persistence::KeepAlive));
        assert_eq!(after(b"Connection: Foo, CLOSE\r\n"), Ok(Persistence::Close));
        assert_eq!(after(b"Connection: keep-alive\r\n"), Ok(Persistence::KeepAlive));
        let old = |lines: &str| {
            let head = format!("GET / HTTP/1.0\r\n{lines}\r\n");
            Head::parse(head.as_bytes(), &Limits::default(), PEER, None)
                .map(|head| head.persistence)
        };
        assert_eq!(old(""), Ok(Persistence::Close));
        assert_eq!(old("Connection: Keep-Alive\r\n"), Ok(Persistence::KeepAliveSaid));
        assert_eq!(old("Connection: keep-alive, close\r\n"), Ok(Persistence::Close));
        assert_eq!(old("Transfer-Encoding: chunked\r\n"), Err(HeadError::Ambiguous));
        assert_eq!(old("Host: a\r\nHost: a\r\n"), Err(HeadError::Request(Fault::HostTwice)));
    }

    #[test]
    fn expectations() {
        let expects = |lines: &[u8]| parse(lines).map(|(_, _, expects)| expects);
        assert_eq!(expects(b"Expect: 100-Continue\r\n"), Ok(true));
        assert_eq!(expects(b"Expect: 200-maybe\r\n"), Err(HeadError::Request(Fault::Expectation)));
        assert_eq!(expects(b""), Ok(false));
    }

    #[test]
    fn lengths_do_not_overflow() {
        assert_eq!(parse_length(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_length(b"99999999999999999999999"), Some(u64::MAX));
    }
}
