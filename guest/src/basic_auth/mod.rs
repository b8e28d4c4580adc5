//! Basic authentication (RFC 7617): a name and a password in each request.
//!
//! - [`Credentials`]: what a request has.
//! - [`users`], with the feature `rules`: who may come in, and whether credentials are theirs.
//!
//! ```
//! use innkeeper_guest::basic_auth::{Credentials, challenge};
//! use innkeeper_guest::{Decision, Reply, Request};
//!
//! fn is_known(credentials: &Credentials) -> bool {
//!     credentials.name() == b"Aladdin"
//! }
//!
//! /// 401, unless the client is known. `authorization` is among the policy's interests.
//! fn refuse(request: &Request) -> Option<Decision> {
//!     let credentials = request.value("authorization").and_then(Credentials::parse);
//!     let is_in = credentials.is_some_and(|credentials| is_known(&credentials));
//!     let reply = || Reply::text(401, "").with("www-authenticate", challenge("The lamp"));
//!     (!is_in).then(|| reply().into())
//! }
//! # assert!(refuse(&Request::new("GET / HTTP/1.1", Vec::new())).is_some());
//! ```

#[cfg(feature = "rules")]
mod pbkdf2;
#[cfg(feature = "rules")]
pub mod users;

use std::fmt;

use crate::base64::{Padding, decode};

/// The name and the password of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    name: Vec<u8>,
    password: Vec<u8>,
}

impl Credentials {
    /// Parses a value of the field `authorization`; `None` if it is not of this scheme, or malformed.
    ///
    /// A name cannot contain a colon, and neither it nor the password a control character
    /// (RFC 7617, section 2). They are bytes: UTF-8, if the challenge asked for it with
    /// `charset="UTF-8"` and the client heeds it.
    pub fn parse(value: &str) -> Option<Credentials> {
        let (scheme, text) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut name = decode(text.trim_start_matches(' '), Padding::Required)?;
        if name.iter().any(u8::is_ascii_control) {
            return None;
        }
        let colon = name.iter().position(|&byte| byte == b':')?;
        let password = name.get(colon + 1..).unwrap_or_default().to_vec();
        name.truncate(colon);
        Some(Credentials { name, password })
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        &self.password
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// Whether two secrets are the same. The time does not depend on where they differ.
#[cfg(feature = "rules")]
pub(crate) fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

/// The value of `www-authenticate` that asks for a name and a password, in UTF-8, for this realm.
pub fn challenge(realm: &str) -> String {
    let mut challenge = String::with_capacity(32 + realm.len());
    challenge.push_str("Basic realm=\"");
    for character in realm.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            challenge.push('\\');
        }
        challenge.push(character);
    }
    challenge.push_str("\", charset=\"UTF-8\"");
    challenge
}

#[cfg(test)]
mod tests {
    use super::{Credentials, challenge};

    #[track_caller]
    fn check(value: &str, expected: Option<(&str, &str)>) {
        let credentials = Credentials::parse(value);
        let found = credentials.as_ref().map(|one| (one.name(), one.password()));
        let expected = expected.map(|(name, password)| (name.as_bytes(), password.as_bytes()));
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn examples_of_rfc_7617_have_name_and_password() {
        // Sections 2 and 2.1.
        check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame")));
        check("Basic dGVzdDoxMjPCow==", Some(("test", "123\u{a3}")));
        assert_eq!(challenge("foo"), r#"Basic realm="foo", charset="UTF-8""#);
        assert_eq!(challenge("a \"b\" \\\n"), r#"Basic realm="a \"b\" \\", charset="UTF-8""#);
    }

    #[test]
    fn first_colon_ends_the_name() {
        check("basic YTpiOmM=", Some(("a", "b:c")));
        check("BASIC  Og==", Some(("", "")));
        check("Basic YTo=", Some(("a", "")));
    }

    #[test]
    fn other_values_have_no_credentials() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== x",
            "Basic\tQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            // No colon, and control characters.
            "Basic YWxpY2U=",
            "Basic YQo6Yg==",
            "Basic YTpiAA==",
        ] {
            check(value, None);
        }
    }

    #[test]
    fn password_is_not_printed() {
        let printed = format!("{:?}", Credentials::parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert!(printed.contains("Aladdin") && !printed.contains("sesame"), "{printed}");
    }
}
