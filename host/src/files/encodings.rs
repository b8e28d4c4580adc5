//! Content codings (RFC 9110, sections 8.4 and 12.5.3): which form of a file the client prefers.

/// A content coding in which a file may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstandard,
    /// gzip (RFC 1952).
    Gzip,
}

/// In which forms a file may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// The codings that the client prefers to the plain file, best first.
    pub codings: Box<[Coding]>,
    /// Whether only a ready-made form may be sent. Whether a file is compressed on the fly depends
    /// on the load; ranges of it must not.
    pub ready_made: bool,
}

/// All codings, the one that makes the smallest files first.
pub const CODINGS: [Coding; 3] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

impl Coding {
    /// Its name, for `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstandard => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The end of a sibling's name.
    pub fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstandard => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    /// Whether a client's name for a coding means this one.
    fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || self == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// A weight in thousandths: `q=0.5` is 500 (RFC 9110, section 12.4.2).
pub(crate) type Weight = u16;

/// The codings that a client prefers to the plain file, best first, given the
/// value of its `Accept-Encoding` (several lines joined by commas).
///
/// Of codings with the same weight ours that are smaller come first. A client that
/// refuses the plain file and every coding there is gets the plain file all the
/// same: a 406 would be no help.
pub fn preferred(accept_encoding: &[u8]) -> Vec<Coding> {
    let mut weights: [Option<Weight>; CODINGS.len()] = [None; CODINGS.len()];
    let (mut any, mut identity) = (None, None);
    for member in accept_encoding.split(|&byte| byte == b',') {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let Some(weight) = parse_weight(parts.next()) else {
            continue;
        };
        if name == b"*" {
            any = Some(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            identity = Some(weight);
        } else if let Some(at) = CODINGS.iter().position(|coding| coding.is_called(name)) {
            weights[at] = Some(weight);
        }
    }
    // What is not named has the weight of `*`. Without one, the plain file is
    // acceptable, and less welcome than anything that is named.
    let identity = identity.or(any).unwrap_or(0);
    let mut codings: Vec<_> = CODINGS
        .into_iter()
        .zip(weights)
        .filter_map(|(coding, weight)| Some((coding, weight.or(any)?)))
        .filter(|&(_, weight)| weight > 0 && weight >= identity)
        .collect();
    codings.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
    codings.into_iter().map(|(coding, _)| coding).collect()
}

/// Reads `q=0.5`. Without it the weight is 1. `None` if it is malformed.
pub(crate) fn parse_weight(parameter: Option<&[u8]>) -> Option<Weight> {
    let Some(parameter) = parameter else {
        return Some(1000);
    };
    let (b"q=" | b"Q=", value) = parameter.split_at_checked(2)? else {
        return None;
    };
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut weight = Weight::from(whole - b'0');
    for place in 0..3 {
        weight = weight * 10 + fraction.get(place).map_or(0, |digit| Weight::from(digit - b'0'));
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::{Coding, preferred};

    #[track_caller]
    fn check(accept_encoding: &str, expected: &str) {
        let codings = preferred(accept_encoding.as_bytes());
        let names: Vec<_> = codings.into_iter().map(Coding::name).collect();
        assert_eq!(names.join(" "), expected, "for {accept_encoding:?}");
    }

    /// Section 12.5.3.
    #[test]
    fn the_examples_of_rfc_9110() {
        check("compress, gzip", "gzip");
        check("", "");
        check("*", "br zstd gzip");
        check("compress;q=0.5, gzip;q=1.0", "gzip");
        check("gzip;q=1.0, identity; q=0.5, *;q=0", "gzip");
    }

    #[test]
    fn what_browsers_send() {
        check("gzip, deflate, br, zstd", "br zstd gzip");
        check("gzip, deflate, br", "br gzip");
        check("gzip, deflate", "gzip");
        check("identity", "");
    }

    #[test]
    fn weights() {
        check("br;q=0.5, gzip", "gzip br");
        check("br;q=0, gzip;q=0.001", "gzip");
        check("gzip;q=0.2, identity;q=0.8", "");
        check("gzip, identity;q=0", "gzip");
        check("*;q=0", "");
        check("*;q=0.5, br;q=0", "zstd gzip");
        check("GZIP;Q=1.000", "gzip");
        check("x-gzip", "gzip");
    }

    #[test]
    fn what_is_malformed_does_not_count() {
        for member in
            ["br;q=2", "br;q=1.001", "br;q=.5", "br;q=0.5555", "br;x=1", "br;q", ";", "b r"]
        {
            check(&format!("{member}, gzip"), "gzip");
        }
    }
}
