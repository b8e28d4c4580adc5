//! The cookies of a request (RFC 6265, sections 4.2 and 5.4).
//!
//! ```
//! use innkeeper_guest::{Field, Request, cookie};
//!
//! let fields = vec![Field::new("cookie", "theme=dark; beta=1")];
//! let request = Request::new("GET / HTTP/1.1", fields);
//! assert_eq!(cookie::find(&request, "theme"), Some("dark"));
//! ```

use crate::Request;

/// The cookies of one value of the field `cookie`, in order: their names and values.
///
/// A pair without `=`, which no rule of RFC 6265 allows, is dropped. Of what stands around a name
/// or a value, only spaces and tabs are: the quotes of a value belong to it, as they do for
/// browsers.
fn pairs(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|&byte| byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()))
    })
}

/// The value of the cookie with this name, which is case-sensitive. Of several, the first: a
/// client sends those with longer paths first (RFC 6265, section 5.4).
///
/// `cookie` must be among the [interests](crate::Policy::INTERESTS). A client may send several
/// lines of it over HTTP/2 (RFC 9113, section 8.2.3). A value that is no text is none.
pub fn find<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut pairs = request.values("cookie").flat_map(pairs);
    let (_, value) = pairs.find(|(given, _)| *given == name.as_bytes())?;
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::{find, pairs};
    use crate::{Field, Request};

    #[track_caller]
    fn check(lines: &[&[u8]], name: &str, expected: Option<&str>) {
        let fields = lines.iter().map(|line| Field::new("cookie", *line)).collect();
        let request = Request::new("GET / HTTP/1.1", fields);
        assert_eq!(find(&request, name), expected, "{name} of {lines:?}");
    }

    #[test]
    fn examples_of_rfc_6265_have_their_cookies() {
        // Section 3.1.
        check(&[b"SID=31d4d96e407aad42"], "SID", Some("31d4d96e407aad42"));
        let both: &[&[u8]] = &[b"SID=31d4d96e407aad42; lang=en-US"];
        check(both, "SID", Some("31d4d96e407aad42"));
        check(both, "lang", Some("en-US"));
        check(both, "Lang", None);
        check(both, "en-US", None);
    }

    #[test]
    fn first_of_several_is_found() {
        check(&[b"a=1; a=2"], "a", Some("1"));
        check(&[b"a=1", b"b=2; a=3"], "a", Some("1"));
        check(&[b"a=1", b"b=2; a=3"], "b", Some("2"));
        check(&[], "a", None);
    }

    #[test]
    fn value_is_all_that_follows_the_first_equals_sign() {
        check(&[b"a=b=c==; d="], "a", Some("b=c=="));
        check(&[b"a=b=c==; d="], "d", Some(""));
        check(&[b"a=\"b c\""], "a", Some("\"b c\""));
        check(&[b"a=1,b=2"], "a", Some("1,b=2"));
    }

    #[test]
    fn malformed_pair_spoils_no_other() {
        check(&[b";; x ;a =\t1 ;=y; b=2;"], "a", Some("1"));
        check(&[b";; x ;a =\t1 ;=y; b=2;"], "b", Some("2"));
        check(&[b"x; a"], "a", None);
        check(&[b"a=\xff; b=2"], "b", Some("2"));
        check(&[b"a=\xff; b=2"], "a", None);
        assert_eq!(pairs(b"").count(), 0);
    }
}
