//! The query of a URL as parameters, in the form of HTML's forms
//! (`application/x-www-form-urlencoded`: the URL standard, section 5).
//!
//! ```
//! use innkeeper_guest::query;
//!
//! assert_eq!(query::find("id=7&name=J%C3%BCrgen+K", "name").as_deref(), Some("J\u{fc}rgen K"));
//! let mut query = "id=7".to_owned();
//! query::append(&mut query, "next", "/a?b");
//! assert_eq!(query, "id=7&next=%2Fa%3Fb");
//! ```

use std::borrow::Cow;

use crate::percent::{self, is_unreserved};

/// A parameter as it stands in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    text: &'a str,
}

impl<'a> Parameter<'a> {
    /// Its name, decoded.
    pub fn name(self) -> Cow<'a, str> {
        decode(self.text.split_once('=').map_or(self.text, |(name, _)| name))
    }

    /// Its value, decoded. A parameter without `=` has an empty one.
    pub fn value(self) -> Cow<'a, str> {
        decode(self.text.split_once('=').map_or("", |(_, value)| value))
    }
}

/// The parameters of a query, which has no `?` before it, in order. Empty ones, as in `a&&b`, are
/// none.
pub fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').filter(|text| !text.is_empty()).map(|text| Parameter { text })
}

/// The value of the first parameter with this name, which is decoded.
pub fn find<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    parameters(query).find(|parameter| parameter.name() == name).map(Parameter::value)
}

/// Appends a parameter to a query: its name and value, which are encoded here.
pub fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    encode(query, name);
    query.push('=');
    encode(query, value);
}

/// Decodes a name or a value: `+` is a space, and a percent-escape is its byte. A `%` without two
/// hexadecimal digits behind it is itself. Bytes that are no UTF-8 become U+FFFD.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        decoded.push(match (byte, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match percent::byte(*high, *low) {
                Some(byte) => {
                    rest = behind;
                    byte
                }
                None => b'%',
            },
            _ => byte,
        });
    }
    let decoded = String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Cow::Owned(decoded)
}

/// Appends a text to a query, encoded: a space as `+`, and all but letters, digits and `*-._` as a
/// percent-escape.
fn encode(query: &mut String, text: &str) {
    let is_kept = |byte: u8| byte == b'*' || byte != b'~' && is_unreserved(byte);
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            query.push('+');
        }
        percent::escape(word, is_kept, query);
    }
}

#[cfg(test)]
mod tests {
    use super::{append, decode, find, parameters};

    #[test]
    fn parameters_are_decoded_and_in_order() {
        #[track_caller]
        fn check(query: &str, expected: &[(&str, &str)]) {
            let found: Vec<_> = parameters(query).map(|one| (one.name(), one.value())).collect();
            let found: Vec<_> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(found, expected, "{query}");
        }
        // The URL standard, section 5.1, and the form of its tests.
        check("", &[]);
        check("test", &[("test", "")]);
        check("a=b", &[("a", "b")]);
        check("a=", &[("a", "")]);
        check("=b", &[("", "b")]);
        check("&", &[]);
        check("&a", &[("a", "")]);
        check("a&", &[("a", "")]);
        check("a&b&c", &[("a", ""), ("b", ""), ("c", "")]);
        check("a==a", &[("a", "=a")]);
        check("a=a+b+c+d", &[("a", "a b c d")]);
        check("a=b&a=c", &[("a", "b"), ("a", "c")]);
        check("test=\u{fffd}%FE%FF", &[("test", "\u{fffd}\u{fffd}\u{fffd}")]);
        check("%a=a&b=%2&c=%zz", &[("%a", "a"), ("b", "%2"), ("c", "%zz")]);
        check("n%C3%A4me=M%c3%bcnchen%26+x", &[("n\u{e4}me", "M\u{fc}nchen& x")]);
        check(
            "_charset_=windows-1252&test=%C2x",
            &[("_charset_", "windows-1252"), ("test", "\u{fffd}x")],
        );
    }

    #[test]
    fn text_is_decoded_once() {
        assert_eq!(decode("%2541"), "%41");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%%41"), "%A");
    }

    #[test]
    fn first_parameter_of_a_name_is_found() {
        assert_eq!(find("a=1&b=2&%61=3&c", "b").as_deref(), Some("2"));
        assert_eq!(find("%61=3&a=1", "a").as_deref(), Some("3"));
        assert_eq!(find("c", "c").as_deref(), Some(""));
        assert_eq!(find("A=1", "a"), None);
    }

    #[test]
    fn appended_parameter_is_found_again() {
        let mut query = String::new();
        for (name, value) in [("a", "1"), ("b c", "x&y=z%+#\u{e4}~"), ("d", "")] {
            append(&mut query, name, value);
            assert_eq!(find(&query, name).as_deref(), Some(value));
        }
        assert_eq!(query, "a=1&b+c=x%26y%3Dz%25%2B%23%C3%A4%7E&d=");
    }
}
