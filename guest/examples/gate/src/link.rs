//! Signed links: `?expires=SECONDS&sig=HEX` opens one path until that time, and
//! `?expires-version=N&sig=HEX` until the gate's version is higher than N.

use crate::mac::{code, hex, is_same};

/// What the query of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No signed link: it has no signature.
    Unsigned,
    /// A link that opens the path.
    Good,
    /// A forged or damaged link, one for another path, or one that has expired.
    Bad,
}

/// What ends links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The time in Unix seconds, as far as it is known.
    pub(crate) now: Option<u64>,
    /// The lowest version of a valid link.
    pub(crate) version: u64,
}

impl Link {
    /// Parses the query of a request for this path, which is decoded and does not begin
    /// with `/`.
    ///
    /// The signature is the code of `until SECONDS /PATH` or of `link N /PATH`. Unix
    /// seconds are those since 1970, in UTC.
    pub(crate) fn read(query: &str, path: &str, key: &[u8], end: End) -> Link {
        let parameter = |name: &str| {
            let mut values = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .filter(|(given, _)| *given == name)
                .map(|(_, value)| value);
            // Of two parameters none counts.
            (values.next(), values.next().is_some())
        };
        let signature = match parameter("sig") {
            (None, _) => return Link::Unsigned,
            (Some(signature), false) => signature,
            _ => return Link::Bad,
        };
        let is_signed = |what: &[u8], until: &str| {
            let made = code(key, &[what, until.as_bytes(), b" /", path.as_bytes()]);
            hex(signature).is_some_and(|signature| is_same(&signature, &made))
        };
        let is_good = match (parameter("expires"), parameter("expires-version")) {
            ((Some(until), false), (None, _)) => {
                let end = until.parse::<u64>().ok().zip(end.now);
                is_signed(b"until ", until) && end.is_some_and(|(until, now)| now < until)
            }
            ((None, _), (Some(until), false)) => {
                let is_current = until.parse().is_ok_and(|until: u64| until >= end.version);
                is_signed(b"link ", until) && is_current
            }
            _ => false,
        };
        if is_good { Link::Good } else { Link::Bad }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Link};
    use crate::keys::KEY;

    const SEVEN: &str = "ba0f803b144aaaae13027b9a7420ce0fbc0ec831367c715650681c0e61d54d03";
    /// For one minute of 2025.
    const MINUTE: &str = "3187b6549648b3b62a3346db58416f08a127176a96b3c11943fca4f2dcbb2eb7";
    const NOW: End = End { now: Some(1_735_689_600), version: 7 };

    #[track_caller]
    fn check(query: &str, expected: Link) {
        assert_eq!(Link::read(query, "private/report.pdf", KEY, NOW), expected, "{query}");
    }

    #[test]
    fn signed_link_opens_its_path() {
        check(&format!("expires-version=7&sig={SEVEN}"), Link::Good);
        check(&format!("sig={SEVEN}&utm=1&expires-version=7"), Link::Good);
        check(&format!("expires=1735689660&sig={MINUTE}"), Link::Good);
        for query in
            [format!("expires-version=7&sig={SEVEN}"), format!("expires=1735689660&sig={MINUTE}")]
        {
            for path in ["private/report.pdf2", "private/", "report.pdf", ""] {
                assert_eq!(Link::read(&query, path, KEY, NOW), Link::Bad, "{path}");
            }
            let other = Link::read(&query, "private/report.pdf", b"another key", NOW);
            assert_eq!(other, Link::Bad);
        }
    }

    #[test]
    fn higher_version_ends_the_link() {
        let query = format!("expires-version=7&sig={SEVEN}");
        for (version, expected) in
            [(0, Link::Good), (6, Link::Good), (7, Link::Good), (8, Link::Bad)]
        {
            let end = End { version, ..NOW };
            assert_eq!(Link::read(&query, "private/report.pdf", KEY, end), expected);
        }
    }

    #[test]
    fn time_ends_the_link() {
        let query = format!("expires=1735689660&sig={MINUTE}");
        for (now, expected) in [
            (Some(0), Link::Good),
            (Some(1_735_689_659), Link::Good),
            (Some(1_735_689_660), Link::Bad),
            (Some(u64::MAX), Link::Bad),
            (None, Link::Bad),
        ] {
            // Whatever the version.
            let end = End { now, version: 99 };
            assert_eq!(Link::read(&query, "private/report.pdf", KEY, end), expected, "{now:?}");
        }
    }

    #[test]
    fn changed_link_is_bad() {
        for query in [
            // The version, the time or the signature was changed, or one of them is missing.
            format!("expires-version=8&sig={SEVEN}"),
            format!("expires-version=07&sig={SEVEN}"),
            format!("expires-version=%37&sig={SEVEN}"),
            format!("expires-version=7&sig={}", SEVEN.to_uppercase()),
            format!("expires-version=7&sig={}0", &SEVEN[..63]),
            format!("expires-version=7&sig={}", &SEVEN[..63]),
            "expires-version=7&sig=".to_owned(),
            format!("sig={SEVEN}"),
            format!("expires-version&sig={SEVEN}"),
            format!("expires=1735689661&sig={MINUTE}"),
            format!("expires=01735689660&sig={MINUTE}"),
            format!("expires=1735689660&sig={SEVEN}"),
            // Twice, or both.
            format!("expires-version=7&expires-version=9&sig={SEVEN}"),
            format!("expires-version=7&sig={SEVEN}&sig={SEVEN}"),
            format!("expires=1735689660&expires=1735689660&sig={MINUTE}"),
            format!("expires=1735689660&expires-version=7&sig={MINUTE}"),
            format!("expires=1735689660&expires-version=7&sig={SEVEN}"),
            // The one is not the other.
            format!("expires=7&sig={SEVEN}"),
            format!("expires-version=1735689660&sig={MINUTE}"),
        ] {
            check(&query, Link::Bad);
        }
    }

    #[test]
    fn query_without_signature_is_no_signed_link() {
        for query in ["", "a=b", "expires-version=7", "expires=1735689660", "sig", "Sig=1"] {
            check(query, Link::Unsigned);
        }
    }

    /// A version is signed as text and compared as a number, as is a time: text that is none
    /// is bad even with a signature.
    #[test]
    fn end_that_is_no_number_is_bad() {
        for (name, what) in [("expires-version", "link"), ("expires", "until")] {
            for until in ["", "x", "-1", "18446744073709551616"] {
                let made = crate::mac::code(KEY, &[format!("{what} {until} /a").as_bytes()]);
                let hex: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
                let end = End { now: Some(0), version: 0 };
                let query = format!("{name}={until}&sig={hex}");
                assert_eq!(Link::read(&query, "a", KEY, end), Link::Bad, "{until:?}");
            }
        }
    }
}
