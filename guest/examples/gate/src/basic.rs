//! Basic authentication (RFC 7617): a name and a password in each request.

use base64ct::{Base64, Encoding};

use crate::mac::{Code, code, is_among};

/// The most bytes of a name and its password together.
const MAX_BYTES: usize = 256;

/// Whether these credentials, the value of `authorization`, are those of a user.
pub(crate) fn is_known(credentials: &str, key: &[u8], users: &[Code]) -> bool {
    let Some((scheme, text)) = credentials.split_once(' ') else { return false };
    let mut decoded = [0; MAX_BYTES];
    let user = Base64::decode(text.trim_start_matches(' '), &mut decoded);
    scheme.eq_ignore_ascii_case("basic")
        && user.is_ok_and(|user| is_among(&code(key, &[b"user ", user]), users))
}

#[cfg(test)]
mod tests {
    use super::is_known;
    use crate::keys::{KEY, USERS};

    #[test]
    fn name_and_password_of_a_user_are_known() {
        for credentials in [
            "Basic YWxpY2U6b3BlbiBzZXNhbWU=",
            "BASIC  YWxpY2U6b3BlbiBzZXNhbWU=",
            "basic em/Dqzpww6Rzc3dvcmQ6IDE=",
        ] {
            assert!(is_known(credentials, KEY, &USERS), "{credentials}");
        }
        assert!(!is_known("Basic YWxpY2U6b3BlbiBzZXNhbWU=", b"another key", &USERS));
        assert!(!is_known("Basic YWxpY2U6b3BlbiBzZXNhbWU=", KEY, &[]));
    }

    #[test]
    fn other_credentials_are_unknown() {
        let long = format!("Basic {}", "YWxp".repeat(100));
        for credentials in [
            "",
            "Basic",
            "Basic ",
            // Another password, another name, no password.
            "Basic YWxpY2U6b3BlbiBzZXNhbUU=",
            "Basic Ym9iOm9wZW4gc2VzYW1l",
            "Basic YWxpY2U=",
            // Without padding, with more after it, not in base64.
            "Basic YWxpY2U6b3BlbiBzZXNhbWU",
            "Basic YWxpY2U6b3BlbiBzZXNhbWU= x",
            "Basic alice:open sesame",
            "Bearer YWxpY2U6b3BlbiBzZXNhbWU=",
            "YWxpY2U6b3BlbiBzZXNhbWU=",
            &long,
        ] {
            assert!(!is_known(credentials, KEY, &USERS), "{credentials}");
        }
    }
}
