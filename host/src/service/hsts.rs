//! The value of `Strict-Transport-Security` (RFC 6797, section 6.1).

use std::fmt;
use std::str::FromStr;

/// The shortest time with which lists of browsers take a host: a year.
const PRELOAD_SECONDS: u64 = 365 * 24 * 60 * 60;

/// For how long browsers use nothing but `https` for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts(Box<str>);

/// Why a value is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HstsError {
    /// It has no `max-age`, or one that is no number of seconds.
    MaxAge,
    /// A directive is there twice.
    Twice,
    /// A directive is unknown, or has a value and may not.
    Directive,
    /// `preload` is there without what the lists of browsers ask for.
    Preload,
}

impl fmt::Display for HstsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HstsError::MaxAge => "write the seconds as in max-age=31536000",
            HstsError::Twice => "a directive is there twice",
            HstsError::Directive => {
                "allowed are max-age=SECONDS, includeSubDomains and preload, between semicolons"
            }
            HstsError::Preload => {
                "the lists of browsers take a host with preload only if there are \
                 max-age=31536000 or more and includeSubDomains, too"
            }
        })
    }
}

impl std::error::Error for HstsError {}

impl Hsts {
    /// The value, as it is sent.
    pub(super) fn value(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hsts {
    type Err = HstsError;

    fn from_str(text: &str) -> Result<Hsts, HstsError> {
        let (mut max_age, mut sub_domains, mut preload) = (None, None, None);
        for directive in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (directive, None),
            };
            let was_there = match name.to_ascii_lowercase().as_str() {
                "max-age" => {
                    let digits = value.filter(|value| value.bytes().all(|b| b.is_ascii_digit()));
                    let seconds = digits.and_then(|digits| digits.parse::<u64>().ok());
                    max_age.replace(seconds.ok_or(HstsError::MaxAge)?).is_some()
                }
                "includesubdomains" if value.is_none() => sub_domains.replace(()).is_some(),
                "preload" if value.is_none() => preload.replace(()).is_some(),
                _ => return Err(HstsError::Directive),
            };
            if was_there {
                return Err(HstsError::Twice);
            }
        }
        let max_age = max_age.ok_or(HstsError::MaxAge)?;
        if preload.is_some() && (max_age < PRELOAD_SECONDS || sub_domains.is_none()) {
            return Err(HstsError::Preload);
        }
        let mut value = format!("max-age={max_age}");
        for (directive, is_there) in [("includeSubDomains", sub_domains), ("preload", preload)] {
            if is_there.is_some() {
                value.push_str("; ");
                value.push_str(directive);
            }
        }
        Ok(Hsts(value.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hsts, HstsError};

    #[test]
    fn directives_of_the_rfc_are_read() {
        for (text, expected) in [
            ("max-age=31536000", Ok("max-age=31536000")),
            ("max-age=0", Ok("max-age=0")),
            (" Max-Age = 60 ; includesubdomains;", Ok("max-age=60; includeSubDomains")),
            (
                "includeSubDomains; max-age=63072000; preload",
                Ok("max-age=63072000; includeSubDomains; preload"),
            ),
            ("", Err(HstsError::MaxAge)),
            ("on", Err(HstsError::Directive)),
            ("31536000", Err(HstsError::Directive)),
            ("includeSubDomains", Err(HstsError::MaxAge)),
            ("max-age", Err(HstsError::MaxAge)),
            ("max-age=", Err(HstsError::MaxAge)),
            ("max-age=+1", Err(HstsError::MaxAge)),
            ("max-age=1y", Err(HstsError::MaxAge)),
            ("max-age=99999999999999999999", Err(HstsError::MaxAge)),
            ("max-age=1; max-age=2", Err(HstsError::Twice)),
            ("max-age=1; includeSubDomains=1", Err(HstsError::Directive)),
            ("max-age=1, includeSubDomains", Err(HstsError::MaxAge)),
            ("max-age=1; x", Err(HstsError::Directive)),
            ("max-age=31536000; preload", Err(HstsError::Preload)),
            ("max-age=1; includeSubDomains; preload", Err(HstsError::Preload)),
        ] {
            let read: Result<Hsts, _> = text.parse();
            assert_eq!(read.as_ref().map(Hsts::value), expected.as_ref().copied(), "{text:?}");
        }
    }
}
