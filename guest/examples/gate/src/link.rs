//! Signed links: `?expires-version=N&sig=HEX` opens one path, until the gate's
//! version is higher than N.

use crate::mac::{code, hex, is_same};

/// What the query of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No signed link: it has no signature.
    Unsigned,
    /// A link that opens the path.
    Good,
    /// A forged or damaged link, one for another path, or one of an older version.
    Bad,
}

impl Link {
    /// Parses the query of a request for this path, which is decoded and does not begin
    /// with `/`.
    ///
    /// The signature is the code of `link N /PATH`.
    pub(crate) fn read(query: &str, path: &str, key: &[u8], version: u64) -> Link {
        let parameter = |name: &str| {
            let mut values = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .filter(|(given, _)| *given == name)
                .map(|(_, value)| value);
            // Of two parameters none counts.
            (values.next(), values.next().is_some())
        };
        let until = match (parameter("sig"), parameter("expires-version")) {
            ((None, _), _) => return Link::Unsigned,
            ((Some(signature), false), (Some(until), false)) => {
                let parts = [b"link ", until.as_bytes(), b" /", path.as_bytes()];
                let made = code(key, &parts);
                hex(signature).filter(|signature| is_same(signature, &made)).and(Some(until))
            }
            _ => None,
        };
        match until.and_then(|until| until.parse::<u64>().ok()) {
            Some(until) if until >= version => Link::Good,
            _ => Link::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Link;
    use crate::keys::KEY;

    const SEVEN: &str = "ba0f803b144aaaae13027b9a7420ce0fbc0ec831367c715650681c0e61d54d03";

    #[track_caller]
    fn check(query: &str, expected: Link) {
        assert_eq!(Link::read(query, "private/report.pdf", KEY, 7), expected, "{query}");
    }

    #[test]
    fn signed_link_opens_its_path() {
        check(&format!("expires-version=7&sig={SEVEN}"), Link::Good);
        check(&format!("sig={SEVEN}&utm=1&expires-version=7"), Link::Good);
        let query = format!("expires-version=7&sig={SEVEN}");
        for path in ["private/report.pdf2", "private/", "report.pdf", ""] {
            assert_eq!(Link::read(&query, path, KEY, 7), Link::Bad, "{path}");
        }
        assert_eq!(Link::read(&query, "private/report.pdf", b"another key", 7), Link::Bad);
    }

    #[test]
    fn higher_version_ends_the_link() {
        let query = format!("expires-version=7&sig={SEVEN}");
        for (version, expected) in
            [(0, Link::Good), (6, Link::Good), (7, Link::Good), (8, Link::Bad)]
        {
            assert_eq!(Link::read(&query, "private/report.pdf", KEY, version), expected);
        }
    }

    #[test]
    fn changed_link_is_bad() {
        for query in [
            // The version or the signature was changed, or one of them is missing.
            format!("expires-version=8&sig={SEVEN}"),
            format!("expires-version=07&sig={SEVEN}"),
            format!("expires-version=%37&sig={SEVEN}"),
            format!("expires-version=7&sig={}", SEVEN.to_uppercase()),
            format!("expires-version=7&sig={}0", &SEVEN[..63]),
            format!("expires-version=7&sig={}", &SEVEN[..63]),
            "expires-version=7&sig=".to_owned(),
            format!("sig={SEVEN}"),
            format!("expires-version&sig={SEVEN}"),
            // Twice.
            format!("expires-version=7&expires-version=9&sig={SEVEN}"),
            format!("expires-version=7&sig={SEVEN}&sig={SEVEN}"),
        ] {
            check(&query, Link::Bad);
        }
    }

    #[test]
    fn query_without_signature_is_no_signed_link() {
        for query in ["", "a=b", "expires-version=7", "sig", "Sig=1"] {
            check(query, Link::Unsigned);
        }
    }

    /// A version is signed as text and compared as a number: text that is none is bad
    /// even with a signature.
    #[test]
    fn version_that_is_no_number_is_bad() {
        for until in ["", "x", "-1", "18446744073709551616"] {
            let parts = [b"link ", until.as_bytes(), b" /a"];
            let made = crate::mac::code(KEY, &parts);
            let hex: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
            let query = format!("expires-version={until}&sig={hex}");
            assert_eq!(Link::read(&query, "a", KEY, 0), Link::Bad, "{until:?}");
        }
    }
}
