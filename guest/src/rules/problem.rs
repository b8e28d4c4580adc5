//! Why a table of rules cannot be obeyed: the rule's place, and what is wrong with it.

use super::table::Place;
use crate::pattern::PatternError;

/// A rule that cannot be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Where the rule stands.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its pattern is none.
    Pattern(PatternError),
    /// With it, too many patterns that are slow to match may be held against one path.
    Slow,
    /// Its target has neither the form of a path nor that of an `http` or `https` URL.
    Target,
    /// It serves a page of another server: a status that is not a redirect's, with a URL.
    Proxy,
    /// Its status is none that a rule may have.
    Status,
    /// A network is neither an address nor an address with the length of a prefix.
    Network,
    /// A host of a `Referer` is none.
    Referer,
    /// A line is none of `innkeeper password`.
    User,
    /// A realm has a character that no field may have.
    Realm,
    /// The name of a field is no token.
    FieldName,
    /// A value of a field has a character that no field may have.
    FieldValue,
    /// The host alone writes this field.
    HostsField,
    /// An origin is none.
    Origin,
    /// All origins, and requests with credentials: browsers refuse that.
    CredentialsForAll,
    /// The name of a method is no token.
    Method,
    /// A path of a page is none below the root.
    Page,
}

impl Problem {
    /// This problem of the rule at a place.
    pub(super) fn at(self, place: Place) -> RuleError {
        RuleError { place, problem: self }
    }

    /// What is wrong, in words.
    pub fn text(self) -> &'static str {
        match self {
            Problem::Pattern(error) => error.text(),
            Problem::Slow => {
                "too many patterns that may match one path have wildcards inside; begin each with \
                 another folder or text, or write the `*` at the end"
            }
            Problem::Target => {
                "the target is neither a path, such as `/a/:splat`, nor an `http` or `https` URL"
            }
            Problem::Proxy => {
                "a rule with this status serves a page of this site; pages of other servers are not \
                 fetched, so write a redirect, such as 302"
            }
            Problem::Status => {
                "the status is none of 200, 301, 302, 303, 307, 308 and 400 to 599, or it is 412 or \
                 416"
            }
            Problem::Network => {
                "a network is none; write an address or a prefix, such as `192.0.2.0/24`"
            }
            Problem::Referer => {
                "a host of referers is none; write one such as `example.org` or `*.example.org`"
            }
            Problem::User => "a user is none; `innkeeper password` makes the line",
            Problem::Realm => "the realm has a character that no field may have",
            Problem::FieldName => "the name of a field has a character that it may not have",
            Problem::FieldValue => "the value of a field has a control character",
            Problem::HostsField => "the server alone writes this field",
            Problem::Origin => "an origin is none; write `*` or one such as `https://app.example`",
            Problem::CredentialsForAll => {
                "all origins and credentials exclude one another; name the origins"
            }
            Problem::Method => "the name of a method has a character that it may not have",
            Problem::Page => "the page is no path below the root",
        }
    }
}

impl From<PatternError> for Problem {
    fn from(error: PatternError) -> Problem {
        Problem::Pattern(error)
    }
}
