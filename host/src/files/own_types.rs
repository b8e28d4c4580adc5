//! Media types that the operator gives to extensions.

use std::collections::HashMap;
use std::fmt;

use super::media_type::{MediaType, extension};

/// An extension and its type: `EXT=TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnType {
    extension: String,
    name: &'static str,
}

/// A text that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoType;

impl fmt::Display for NoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write EXT=TYPE, as in webmanifest=application/manifest+json")
    }
}

impl std::error::Error for NoType {}

impl OwnType {
    /// Reads `EXT=TYPE`. The type may have parameters.
    pub fn parse(text: &str) -> Result<OwnType, NoType> {
        let (extension, name) = text.split_once('=').ok_or(NoType)?;
        let extension = extension.trim().trim_start_matches('.');
        let name = name.trim();
        let is_extension = !extension.is_empty() && !extension.contains(['.', '/', '\0']);
        let is_token = |part: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
            !part.is_empty() && part.chars().all(is_plain)
        };
        let essence = name.split(';').next().unwrap_or_default().trim_end();
        let is_type =
            essence.split_once('/').is_some_and(|(one, two)| is_token(one) && is_token(two));
        let is_printable = name.chars().all(|c| (' '..='~').contains(&c));
        if !is_extension || !is_type || !is_printable {
            return Err(NoType);
        }
        // Settings are read once, and are there to the end.
        let name = Box::leak(name.to_owned().into_boxed_str());
        Ok(OwnType { extension: extension.to_ascii_lowercase(), name })
    }
}

/// The types of all extensions: the operator's before the others.
#[derive(Clone, Debug, Default)]
pub(super) struct MediaTypes(HashMap<String, MediaType>);

impl MediaTypes {
    /// Those with these of the operator. Of several for one extension the last one counts.
    pub(super) fn with(own: &[OwnType]) -> MediaTypes {
        let resolved = |own: &OwnType| (own.extension.clone(), MediaType::named(own.name));
        MediaTypes(own.iter().map(resolved).collect())
    }

    /// The type of the file with this path.
    pub(super) fn of(&self, path: &str) -> MediaType {
        if self.0.is_empty() {
            return MediaType::of(path);
        }
        let own = extension(path).and_then(|name| self.0.get(&name.to_ascii_lowercase()));
        own.copied().unwrap_or_else(|| MediaType::of(path))
    }
}

#[cfg(test)]
mod tests {
    use super::{MediaTypes, OwnType};

    #[test]
    fn own_types_come_first() {
        let own = ["foo=text/x-foo", ".BAR=application/x-bar", "txt=text/plain; charset=latin1"];
        let own = own.map(|text| OwnType::parse(text).expect("a type"));
        let types = MediaTypes::with(&own);
        for (path, expected, is_compressible) in [
            ("a.foo", "text/x-foo; charset=utf-8", true),
            ("a.bar", "application/x-bar", false),
            ("a.Txt", "text/plain; charset=latin1", true),
            ("a.css", "text/css; charset=utf-8", true),
        ] {
            let found = types.of(path);
            assert_eq!(
                (found.field_value().as_str(), found.is_compressible()),
                (expected, is_compressible)
            );
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in
            ["foo", "=text/plain", "a.b=text/plain", "foo=text", "foo=text/plain\r\nA: b", "foo=/"]
        {
            assert!(OwnType::parse(text).is_err(), "{text:?}");
        }
    }
}
