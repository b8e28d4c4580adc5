//! The line that `innkeeper explain` is given: a request line, a path alone, or a URL.

use std::borrow::Cow;

use super::idn::to_ascii;
use crate::http::Scheme;
use crate::http::host::without_port;

/// A URL in place of a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Its scheme.
    pub scheme: Scheme,
    /// Its authority: the host as clients send it, maybe with a port.
    pub authority: Cow<'a, str>,
    /// What follows: the path and the query, at least `/`.
    pub target: &'a str,
}

/// Reads a URL, if it is one. A fragment is not sent.
pub fn url(line: &str) -> Option<Url<'_>> {
    if line.contains(' ') {
        return None;
    }
    let of = |scheme: Scheme| {
        let rest = line.strip_prefix(scheme.name())?.strip_prefix("://")?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = authority.split_at(without_port(authority).len());
        let authority = match to_ascii(host) {
            Some(Cow::Owned(host)) => Cow::Owned(host + port),
            _ => Cow::Borrowed(authority),
        };
        let target = if target.is_empty() { "/" } else { target };
        Some(Url { scheme, authority, target })
    };
    of(Scheme::Https).or_else(|| of(Scheme::Http))
}

/// The authority of a request: that of its target, of a `Host`, or this machine.
pub fn host(line: &str, fields: &[(String, String)]) -> String {
    let target = line.split(' ').nth(1).unwrap_or(line);
    if let Some(url) = url(target) {
        return url.authority.into_owned();
    }
    let named = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    named.map_or_else(|| "localhost".to_owned(), |(_, host)| host.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Scheme, host, url};

    #[test]
    fn url_is_taken_apart() {
        let parts = |line| url(line).map(|url| (url.scheme, url.authority, url.target));
        assert_eq!(parts("https://h/a?b#c"), Some((Scheme::Https, "h".into(), "/a?b")));
        assert_eq!(parts("http://h:80"), Some((Scheme::Http, "h:80".into(), "/")));
        let books = "xn--bcher-kva.example:80".into();
        assert_eq!(parts("http://B\u{fc}cher.example:80/"), Some((Scheme::Http, books, "/")));
        assert_eq!(parts("GET http://h/ HTTP/1.1"), None);
        assert_eq!(parts("/a"), None);
    }

    #[test]
    fn host_is_that_of_the_target_or_the_field() {
        let fields = [("hOST".to_owned(), " b ".to_owned())];
        for (line, fields, expected) in [
            ("https://a/x", &fields[..], "a"),
            ("GET http://a:80/ HTTP/1.1", &fields, "a:80"),
            ("/x", &fields, "b"),
            ("GET /x HTTP/1.1", &[], "localhost"),
        ] {
            assert_eq!(host(line, fields), expected, "{line}");
        }
    }
}
