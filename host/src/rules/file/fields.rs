//! Parts of rules that both forms have: times, networks, lists.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::rules::problem::Problem;

/// The pattern of all paths.
pub(super) const ALL: &str = "/*";

/// One text, or a list of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct List(#[serde(deserialize_with = "one_or_many")] pub(super) Vec<String>);

fn one_or_many<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    struct Texts;
    impl<'de> serde::de::Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut values: A,
        ) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = values.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    value.deserialize_any(Texts)
}

/// The longest time that a rule may state, in seconds: seven days.
const LONGEST_S: u32 = 604_800;

/// Reads a time of whole seconds, `10min`, from this many to seven days.
pub(super) fn seconds(text: &str, least: u32) -> Result<u32, Problem> {
    let time = humantime::parse_duration(text)
        .map_err(|_| Problem::new(format!("{text:?} is no time; write one as in 30s or 2h")))?;
    let bounds = Duration::from_secs(least.into())..=Duration::from_secs(LONGEST_S.into());
    let time_s = u32::try_from(time.as_secs()).ok().filter(|_| bounds.contains(&time));
    time_s.ok_or_else(|| Problem::new(format!("{text:?} is out of bounds: {least}s to 7days")))
}

/// Checks a scheme, and writes it in lower case.
pub(super) fn scheme(text: &str) -> Result<String, Problem> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "http" | "https" => Ok(lower),
        _ => {
            Err(Problem::new(format!("{text:?} is no scheme of this server; write http or https")))
        }
    }
}

/// Checks a network, and writes it as the guest reads it.
pub fn network(text: &str) -> Result<String, Problem> {
    let address = || text.parse::<IpAddr>().ok().map(|one| IpNet::from(one.to_canonical()));
    let network: IpNet = text.parse().ok().or_else(address).ok_or_else(|| {
        Problem::new(format!(
            "{text:?} is no network; write an address or a network, as in 10.0.0.1, 10.0.0.0/8 or \
             fd00::/8"
        ))
    })?;
    if network.trunc() != network {
        return Err(Problem::new(format!(
            "{text:?} names an address in a network; write the network, {}",
            network.trunc()
        )));
    }
    Ok(network.to_string())
}

/// Checks a list of networks.
pub(super) fn networks(texts: &[String]) -> Result<Vec<String>, Problem> {
    texts.iter().map(|text| network(text.trim())).collect()
}

/// Checks a pattern of paths.
pub(super) fn pattern(text: &str) -> Result<String, Problem> {
    let wrong = |why| Err(Problem::new(format!("{text:?} is no pattern of paths; {why}")));
    // A path has none of these, and what guards no path would guard nothing, without a word.
    match text {
        _ if !text.starts_with('/') => wrong("begin with `/`"),
        _ if text.contains(['?', '#']) => wrong("leave out the `?` or `#` and what follows"),
        _ if text.trim_end() != text => wrong("leave out the blank at its end"),
        _ => Ok(text.to_owned()),
    }
}

/// Parts a text with commas.
pub(super) fn commas(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Parts `PATTERN=VALUE`; all paths where there is no pattern.
pub(super) fn by_path(text: &str) -> (String, &str) {
    match text.split_once('=') {
        Some((pattern, value)) if pattern.starts_with('/') => {
            (pattern.trim_end().to_owned(), value.trim())
        }
        _ => (ALL.to_owned(), text),
    }
}

/// Checks a page below the root: `app/index.html`.
pub(super) fn page(text: &str) -> Result<String, Problem> {
    let path = text.strip_prefix('/').unwrap_or(text);
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    match path.split('/').all(is_name) {
        true => Ok(path.to_owned()),
        false => Err(Problem::new(format!(
            "{text:?} is no page; write its path below the root, as in index.html"
        ))),
    }
}
