//! What of a request, besides its line, a guest reads.

use super::Field;
use super::request::Facts;
use crate::http::token::is_token;
use crate::text;

/// Names that one guest may be interested in. A policy that reads more than a
/// handful of fields is rare; browsers send about fifteen.
const MAX_INTERESTS: usize = 64;

/// Characters that are shown of a name that is none.
const SHOWN: usize = 100;

/// The fact that names the client's address.
pub(in crate::guest) const CLIENT_ADDRESS: &str = ":client-address";

/// The fact that names the URL's scheme.
pub(in crate::guest) const SCHEME: &str = ":scheme";

/// The fields and facts that a guest reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::guest) struct Interests(Vec<Interest>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Interest {
    /// The header fields of this name, in lower case.
    Field(String),
    /// `:client-address`
    ClientAddress,
    /// `:scheme`
    Scheme,
}

impl Interests {
    /// Checks the names that a guest gave. The error is a sentence about it.
    pub(in crate::guest) fn named(names: Vec<String>) -> Result<Interests, String> {
        if names.len() > MAX_INTERESTS {
            return Err(format!(
                "it is interested in {} fields; {MAX_INTERESTS} are allowed",
                names.len()
            ));
        }
        let interest = |name: String| match name.as_str() {
            CLIENT_ADDRESS => Ok(Interest::ClientAddress),
            SCHEME => Ok(Interest::Scheme),
            _ if is_token(&name) => Ok(Interest::Field(name.to_ascii_lowercase())),
            _ => Err(format!(
                "it is interested in {:?}, which is neither a field name nor one of the \
                 facts `{CLIENT_ADDRESS}` and `{SCHEME}`",
                text::beginning(&name, SHOWN)
            )),
        };
        names.into_iter().map(interest).collect::<Result<_, _>>().map(Interests)
    }

    /// The names, fields in lower case.
    pub(in crate::guest) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|interest| match interest {
            Interest::Field(name) => name,
            Interest::ClientAddress => CLIENT_ADDRESS,
            Interest::Scheme => SCHEME,
        })
    }

    /// What of these fields and facts the guest reads: facts first, then the fields in the order
    /// in which they came.
    pub(in crate::guest) fn select<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Vec<Field> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let fact = |name: &str, value: String| Field {
            name: name.to_owned().into(),
            value: value.into_bytes().into(),
        };
        let facts = self.0.iter().filter_map(|interest| match interest {
            Interest::ClientAddress => Some(fact(CLIENT_ADDRESS, facts.client.to_string())),
            Interest::Scheme => Some(fact(SCHEME, facts.scheme.name().to_owned())),
            Interest::Field(_) => None,
        });
        let read = fields.filter_map(|(name, value)| {
            let wanted = self.0.iter().find_map(|interest| match interest {
                Interest::Field(wanted) if wanted.eq_ignore_ascii_case(name) => Some(wanted),
                _ => None,
            });
            wanted.map(|name| Field { name: name.clone().into(), value: value.to_vec().into() })
        });
        facts.chain(read).collect()
    }
}
