//! What clients of the administration may do.
//!
//! A client that can open the Unix socket may do all. One that can connect to the address may
//! look; to change the guest, and to see the requests that were made, it needs the token.
//!
//! A page of another site that is open in the same browser can send requests here, and
//! by changing where its name leads (DNS rebinding) even read the responses. It cannot
//! choose `Host` and `Origin`, so what matters is done only where both are ours.

use std::path::Path;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;

use crate::guest::Digest;
use crate::secret_file::{self, SecretFileError};

/// What a client needs to change something.
pub enum Access {
    /// Nothing: the mode of the socket decides.
    Open,
    /// This token. Its digest takes the same time to compare, whatever was sent.
    Token(Digest),
    /// No client may.
    ReadOnly,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The token is missing or wrong.
    Token,
    /// There is no token.
    NoToken,
    /// The request was made for another host, or by a page of another site.
    Foreign,
}

impl Access {
    /// Reads the token from its file.
    pub fn read_token(path: &Path) -> Result<Access, SecretFileError> {
        let token = secret_file::read("token", path)?;
        Ok(Access::Token(Digest::of(token.as_bytes())))
    }

    /// Whether this request may change something.
    pub fn may_change(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self {
            Access::Open => Ok(()),
            Access::ReadOnly => Err(Refusal::NoToken),
            Access::Token(digest) => {
                let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                let given = given.and_then(|value| value.strip_prefix("Bearer "));
                match given {
                    Some(token) if Digest::of(token.trim().as_bytes()) == *digest => Ok(()),
                    _ => Err(Refusal::Token),
                }
            }
        }
    }
}

/// Whether a request was made for this server, and not by a page of another one: its host
/// is an address or this machine, which no one else can make a name of, and its origin, if
/// a browser sends one, is the same.
pub fn is_own(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).ok_or(Refusal::Foreign)?;
    let authority: Authority = host.parse().map_err(|_| Refusal::Foreign)?;
    let name = authority.host().trim_matches(['[', ']']);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    if !is_address && !name.eq_ignore_ascii_case("localhost") {
        return Err(Refusal::Foreign);
    }
    match headers.get(ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.as_bytes() == format!("http://{host}").as_bytes() => Ok(()),
        Some(_) => Err(Refusal::Foreign),
    }
}

/// Whether a request was made for this server, and by a page of its site, if by any: one on
/// this machine, or on the host that the request is for, at one of the site's ports. Gives
/// the origin that may read the response.
pub fn is_of_site(headers: &HeaderMap, ports: &[u16]) -> Result<Option<HeaderValue>, Refusal> {
    let mut others = headers.clone();
    let Some(origin) = others.remove(ORIGIN) else {
        return is_own(headers).map(|()| None);
    };
    is_own(&others)?;
    let text = origin.to_str().map_err(|_| Refusal::Foreign)?;
    let site = text.strip_prefix("http://").ok_or(Refusal::Foreign)?;
    let site: Authority = site.parse().map_err(|_| Refusal::Foreign)?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_same = host.parse::<Authority>().is_ok_and(|own| own.host() == site.host());
    let name = site.host().trim_matches(['[', ']']);
    let is_here = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    // Browsers leave the port away that is the scheme's own.
    let is_port = ports.contains(&site.port_u16().unwrap_or(80));
    match (is_same || is_here) && is_port {
        true => Ok(Some(origin)),
        false => Err(Refusal::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Refusal, is_of_site, is_own};
    use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};

    fn headers(fields: &[(hyper::header::HeaderName, &'static str)]) -> HeaderMap {
        let fields = fields.iter().cloned();
        fields.map(|(name, value)| (name, value.parse().expect("a value"))).collect()
    }

    #[test]
    fn request_of_another_site_is_foreign() {
        let own = |host, origin: Option<&'static str>| {
            let mut fields = vec![(HOST, host)];
            fields.extend(origin.map(|origin| (ORIGIN, origin)));
            is_own(&headers(&fields)).is_ok()
        };
        assert!(own("127.0.0.1:7891", None));
        assert!(own("[::1]:7891", Some("http://[::1]:7891")));
        assert!(own("localhost:7891", Some("http://localhost:7891")));
        assert!(!own("localhost:7891", Some("http://localhost:80")));
        assert!(!own("localhost:7891", Some("https://localhost:7891")));
        assert!(!own("127.0.0.1:7891", Some("http://evil.example")));
        assert!(!own("127.0.0.1:7891", Some("null")));
        assert!(!own("evil.example", None));
        assert!(!own("127.0.0.1.evil.example:7891", None));
        assert_eq!(is_own(&HeaderMap::new()), Err(Refusal::Foreign));
    }

    #[test]
    fn only_pages_of_the_site_may_listen() {
        let may = |host, origin: Option<&'static str>| {
            let mut fields = vec![(HOST, host)];
            fields.extend(origin.map(|origin| (ORIGIN, origin)));
            is_of_site(&headers(&fields), &[7890, 80])
        };
        assert_eq!(may("127.0.0.1:1", None), Ok(None));
        for (host, origin) in [
            ("127.0.0.1:1", "http://127.0.0.1:7890"),
            ("127.0.0.1:1", "http://localhost:7890"),
            ("127.0.0.1:1", "http://[::1]:7890"),
            ("127.0.0.1:1", "http://localhost"),
            ("192.0.2.1:1", "http://192.0.2.1:7890"),
        ] {
            assert_eq!(may(host, Some(origin)).ok().flatten().expect(origin), origin);
        }
        for (host, origin) in [
            ("127.0.0.1:1", "http://evil.example"),
            ("127.0.0.1:1", "http://evil.example:7890"),
            ("127.0.0.1:1", "http://203.0.113.1:7890"),
            ("127.0.0.1:1", "http://localhost:7891"),
            ("127.0.0.1:1", "https://localhost:7890"),
            ("127.0.0.1:1", "http://localhost.evil.example:7890"),
            ("127.0.0.1:1", "null"),
            ("127.0.0.1:1", ""),
            ("evil.example:1", "http://evil.example:7890"),
            ("evil.example:1", "http://localhost:7890"),
        ] {
            assert_eq!(may(host, Some(origin)), Err(Refusal::Foreign), "{host} {origin}");
        }
        assert_eq!(may("evil.example", None), Err(Refusal::Foreign));
    }

    #[test]
    fn change_needs_the_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").expect("written");
        let access = Access::read_token(&path).expect("a token");
        let may = |value| access.may_change(&headers(&[(AUTHORIZATION, value)]));
        assert_eq!(may("Bearer 0123456789abcdef"), Ok(()));
        assert_eq!(may("Bearer 0123456789abcdeg"), Err(Refusal::Token));
        assert_eq!(may("Basic 0123456789abcdef"), Err(Refusal::Token));
        assert_eq!(access.may_change(&HeaderMap::new()), Err(Refusal::Token));
        assert_eq!(Access::ReadOnly.may_change(&HeaderMap::new()), Err(Refusal::NoToken));
    }
}
