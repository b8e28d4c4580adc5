//! What of a request, besides its line, a guest reads.

use std::borrow::Cow;
use std::fmt;

use innkeeper_cases::{Fact, FactNameError};

use super::Field;
use super::request::{Facts, Request};
use crate::guest::failure::Failure;
use crate::http::token::is_token;
use crate::text;

/// Names that one guest may be interested in. A policy that reads more than a
/// handful of fields is rare; browsers send about fifteen.
const MAX_INTERESTS: usize = 64;

/// Characters that a message has of a name.
const SHOWN: usize = 100;

/// The fields and facts that a guest reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::guest) struct Interests(Vec<Interest>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Interest {
    /// The header fields of this name, in lower case.
    Field(String),
    /// A fact, with its name.
    Fact(Fact, Cow<'static, str>),
}

/// Why a guest's interests are not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterestsError {
    /// There are more than the limit.
    TooMany(usize),
    /// One is neither a field name nor a fact.
    Name(String, FactNameError),
    /// The guest failed when it was asked.
    Failed(Failure),
}

impl fmt::Display for InterestsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterestsError::TooMany(count) => {
                write!(f, "the guest is interested in {count} fields; {MAX_INTERESTS} are allowed")
            }
            InterestsError::Name(name, error) => write!(
                f,
                "the guest is interested in {:?}, which is neither a field name nor a fact; {error}",
                text::beginning(name, SHOWN)
            ),
            InterestsError::Failed(failure) => {
                write!(f, "the guest fails when it is asked for its interests: {failure}")
            }
        }
    }
}

impl std::error::Error for InterestsError {}

impl Interests {
    /// Checks the names that a guest gave.
    pub(in crate::guest) fn named(names: Vec<String>) -> Result<Interests, InterestsError> {
        if names.len() > MAX_INTERESTS {
            return Err(InterestsError::TooMany(names.len()));
        }
        let interest = |name: String| match Fact::from_name(&name) {
            Ok(fact) => Ok(Interest::Fact(fact, fact.name())),
            Err(_) if is_token(&name) => Ok(Interest::Field(name.to_ascii_lowercase())),
            Err(error) => Err(InterestsError::Name(name, error)),
        };
        names.into_iter().map(interest).collect::<Result<_, _>>().map(Interests)
    }

    /// A request as the guest is shown it.
    pub(in crate::guest) fn request<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Request {
        Request { line: line.to_vec(), fields: self.select(fields, facts) }
    }

    /// The names, fields in lower case.
    pub(in crate::guest) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|interest| match interest {
            Interest::Field(name) => name.as_str(),
            Interest::Fact(_, name) => name,
        })
    }

    /// Whether the guest reads fields of this name.
    pub(in crate::guest) fn has_field(&self, name: &str) -> bool {
        self.0.iter().any(|interest| match interest {
            Interest::Field(known) => known.eq_ignore_ascii_case(name),
            Interest::Fact(..) => false,
        })
    }

    /// Whether what the guest reads depends on this fact: the time has several grains, and a
    /// connection of TLS more than one fact.
    pub(in crate::guest) fn depend_on(&self, stated: Fact) -> bool {
        self.0.iter().any(|interest| match (interest, stated) {
            (Interest::Field(_), _) => false,
            (Interest::Fact(Fact::Time(_), _), Fact::Time(_)) => true,
            (Interest::Fact(Fact::Scheme, _), _) if stated.is_of_tls() => true,
            (Interest::Fact(known, _), _) => {
                *known == stated || known.is_of_tls() && stated.is_of_tls()
            }
        })
    }

    /// What of these fields and facts the guest reads: facts first, then the fields in the order
    /// in which they came.
    pub(in crate::guest) fn select<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Vec<Field> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let facts = self.0.iter().filter_map(|interest| match interest {
            Interest::Fact(fact, name) => {
                let value = facts.value(*fact)?.into_owned().into_bytes();
                Some(Field { name: name.clone(), value: value.into() })
            }
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
