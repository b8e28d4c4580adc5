//! Clients are brought to `https`, and kept there: plain requests are redirected, and responses
//! say for how long a browser is to use nothing else (RFC 6797).

use std::fmt;

use super::hsts::Hsts;
use super::{Response, challenge, location};
use crate::http::host::{is_address, without_port};
use crate::http::{Field, Request, Scheme};

/// The port of `https`, which no URL has to name.
const DEFAULT_PORT: u16 = 443;

/// How clients are brought to `https`. By default they are not.
#[derive(Default)]
pub struct Https {
    /// Where plain requests are redirected to, if they are.
    pub redirect: Option<Redirect>,
    /// The value of `Strict-Transport-Security` over TLS, if it is sent.
    pub hsts: Option<Hsts>,
}

/// Tells whether there is a certificate for a host.
pub type HasCertificate = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The redirect of plain requests.
pub struct Redirect {
    /// The port that clients reach over TLS.
    pub port: u16,
    /// Whether there is a certificate for this host, a name or an address without a port. Clients
    /// are sent to no other.
    pub has_certificate: HasCertificate,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Https {
    /// The redirect of a plain request to the same URL of `https`: to the host, the path and the
    /// query that it asks for. `None` where it is served as it is.
    ///
    /// The scheme is `None` where a proxy does not tell which one its client uses. It may be
    /// `https` already, and a redirect might never end.
    pub(super) fn redirect(
        &self,
        request: &Request<'_>,
        scheme: Option<Scheme>,
    ) -> Option<Response> {
        let redirect = self.redirect.as_ref()?;
        if scheme != Some(Scheme::Http) {
            return None;
        }
        let host = without_port(request.host()?);
        let target = request.target;
        // What is in neither form names no path (RFC 9112, section 3.2).
        if !target.starts_with('/') && request.authority.is_none() {
            return None;
        }
        let target = location::path_and_query(target);
        if target.starts_with(challenge::PATHS) || !(redirect.has_certificate)(host) {
            return None;
        }
        let port = match redirect.port {
            DEFAULT_PORT => String::new(),
            port => format!(":{port}"),
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = location::escaped_target(target);
        let location = format!("https://{host}{port}{slash}{target}");
        Some(Response::plain(308).with(Field::new("Location", location)))
    }

    /// Adds `Strict-Transport-Security` to a response over TLS, unless the policy did. Browsers
    /// ignore it from hosts that are addresses (RFC 6797, section 8.1).
    pub(super) fn secure(
        &self,
        mut response: Response,
        request: &Request<'_>,
        scheme: Option<Scheme>,
    ) -> Response {
        const NAME: &str = "Strict-Transport-Security";
        if let Some(hsts) = &self.hsts
            && scheme == Some(Scheme::Https)
            && request
                .host()
                .map(without_port)
                .is_some_and(|host| !host.is_empty() && !is_address(host))
            && !response.fields.iter().any(|field| field.name.eq_ignore_ascii_case(NAME))
        {
            response.fields.push(Field::new(NAME, hsts.value()));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Https, Redirect, Response};
    use crate::http::request::{FieldLine, Version};
    use crate::http::{Method, Peer, Request, Scheme};

    fn request<'a>(target: &'a str, host: &'a str) -> Request<'a> {
        let authority = target.split_once("://").map(|(_, rest)| {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            &rest[..end]
        });
        Request {
            line: b"GET / HTTP/1.1",
            method: Method::Get,
            scheme: Scheme::Http,
            authority,
            target,
            version: Version::Http11,
            fields: vec![FieldLine { name: "Host", value: host.as_bytes() }],
            peer: Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: None,
        }
    }

    fn https(port: u16) -> Https {
        let names = ["a.example", "127.0.0.1", "[::1]"];
        let has_certificate = Box::new(move |host: &str| names.contains(&host));
        let redirect = Some(Redirect { port, has_certificate });
        Https { redirect, hsts: "max-age=60".parse().ok() }
    }

    fn location(port: u16, target: &str, host: &str) -> Option<String> {
        let redirect = https(port).redirect(&request(target, host), Some(Scheme::Http))?;
        assert_eq!(redirect.status, 308);
        let location = redirect.fields.iter().find(|field| field.name == "Location");
        Some(String::from_utf8(location.expect("a location").value.to_vec()).expect("text"))
    }

    #[test]
    fn plain_request_is_sent_to_the_same_url_of_https() {
        for (port, target, host, expected) in [
            (443, "/", "a.example", "https://a.example/"),
            (
                443,
                "/a%20b//c/../d?e=[f]&g",
                "a.example:80",
                "https://a.example/a%20b//c/../d?e=[f]&g",
            ),
            (8443, "/a?", "a.example:8080", "https://a.example:8443/a?"),
            (443, "//evil.example/", "a.example", "https://a.example//evil.example/"),
            (443, "/\\evil.example", "a.example", "https://a.example/%5Cevil.example"),
            (443, "/@evil.example", "a.example", "https://a.example/@evil.example"),
            (443, "http://a.example", "other.example", "https://a.example/"),
            (443, "http://a.example:80?b", "other.example", "https://a.example/?b"),
            (443, "http://a.example/b://c", "", "https://a.example/b://c"),
            (8443, "/", "127.0.0.1:80", "https://127.0.0.1:8443/"),
            (8443, "/", "[::1]:80", "https://[::1]:8443/"),
        ] {
            assert_eq!(location(port, target, host).as_deref(), Some(expected), "{target} {host}");
        }
    }

    #[test]
    fn request_that_is_not_for_a_certificate_is_served() {
        for (target, host) in [
            ("/", "other.example"),
            ("/", ""),
            ("http://other.example/", "a.example"),
            ("*", "a.example"),
            ("a.example:443", "a.example:443"),
            ("ftp:x", "a.example"),
            ("/.well-known/acme-challenge/token", "a.example"),
            ("http://a.example/.well-known/acme-challenge/token", "a.example"),
        ] {
            assert_eq!(location(443, target, host), None, "{target} {host}");
        }
        assert!(location(443, "/.well-known/acme-challenges", "a.example").is_some());
    }

    #[test]
    fn request_that_may_be_secured_is_not_redirected() {
        for scheme in [Some(Scheme::Https), None] {
            assert!(https(443).redirect(&request("/", "a.example"), scheme).is_none());
        }
    }

    #[test]
    fn response_over_tls_from_a_name_has_the_field() {
        let has = |https: &Https, host, scheme, status| {
            let response = Response::plain(status);
            let secured = https.secure(response, &request("/", host), scheme);
            secured.fields.iter().any(|field| field.name == "Strict-Transport-Security")
        };
        let (https, tls) = (https(443), Some(Scheme::Https));
        for status in [200, 308, 404, 500] {
            assert!(has(&https, "other.example:8443", tls, status));
        }
        for host in ["127.0.0.1", "127.0.0.1:8443", "[::1]", "[::1]:8443", ""] {
            assert!(!has(&https, host, tls, 200), "{host:?}");
        }
        assert!(!has(&https, "a.example", Some(Scheme::Http), 200));
        assert!(!has(&https, "a.example", None, 200));
        assert!(!has(&Https::default(), "a.example", tls, 200));
    }

    #[test]
    fn field_of_the_policy_counts() {
        let own = crate::http::Field::fixed("strict-transport-security", "max-age=1");
        let response = Response::plain(200).with(own);
        let request = request("/", "a.example");
        let secured = https(443).secure(response, &request, Some(Scheme::Https));
        let values = secured.fields.iter().filter(|field| field.value.starts_with(b"max-age"));
        assert_eq!(values.count(), 1);
    }
}
