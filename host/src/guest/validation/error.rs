//! Why a guest is not accepted.

use std::fmt;

use crate::guest::failure::Failure;
use crate::guest::load_error::LoadError;

/// Why a guest is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationError {
    /// It was not loaded.
    Load(LoadError),
    /// It gave no decision on a request of the check, or of a case.
    Failed {
        /// The request with the fields that it reads, as it is shown.
        request: String,
        /// Why there is no decision.
        failure: Failure,
    },
    /// It decided differently on the same request.
    NotDeterministic {
        /// The request with the fields that it reads, as it is shown.
        request: String,
        /// The first decision.
        first: String,
        /// The second one.
        second: String,
    },
    /// One of its cases failed, or several.
    Cases(Box<FailedCases>),
    /// The files of cases cannot be read; the message names the file.
    CasesUnreadable(String),
    /// The file of data cannot be read; the message names it.
    DataUnreadable(String),
    /// There is data for the guest that serves, which rules configure.
    ConfiguredByRules,
    /// There is data for the guest that serves, and meanwhile others came to serve.
    Overtaken,
    /// It served before, and was taken out of service because this many of its last 1,000
    /// decisions failed.
    FailedInService(u32),
    /// Its caller has gone.
    Canceled,
}

/// The first case that failed, and how many did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCases {
    /// How many failed.
    pub failed: usize,
    /// Of how many.
    pub total: usize,
    /// The file and line of the first one: `cases.toml:7`.
    pub place: String,
    /// Its request.
    pub request: String,
    /// The decision that it expects.
    pub expected: String,
    /// The decision that was made.
    pub actual: String,
}

impl ValidationError {
    /// What the guest said before it failed, and where it was, in lines for people.
    pub fn lines(&self) -> Vec<String> {
        match self {
            ValidationError::Failed { failure, .. } => failure.lines(),
            _ => Vec::new(),
        }
    }

    /// Its code in the JSON of the administration.
    pub fn code(&self) -> &'static str {
        match self {
            ValidationError::Load(error) => error.code(),
            ValidationError::Failed { .. } => "decision-failed",
            ValidationError::NotDeterministic { .. } => "not-deterministic",
            ValidationError::Cases(_) => "case-failed",
            ValidationError::CasesUnreadable(_) => "cases-unreadable",
            ValidationError::DataUnreadable(_) => "data-unreadable",
            ValidationError::ConfiguredByRules => "configured-by-rules",
            ValidationError::Overtaken => "overtaken",
            ValidationError::FailedInService(_) => "failed-in-service",
            ValidationError::Canceled => "canceled",
        }
    }

    /// Whether the same guest may be accepted later, as it was not the guest that was at fault.
    pub fn is_transient(&self) -> bool {
        match self {
            ValidationError::Load(error) => error.is_transient(),
            ValidationError::CasesUnreadable(_)
            | ValidationError::DataUnreadable(_)
            | ValidationError::Overtaken
            | ValidationError::Canceled => true,
            ValidationError::Failed { .. }
            | ValidationError::NotDeterministic { .. }
            | ValidationError::Cases(_)
            | ValidationError::ConfiguredByRules
            | ValidationError::FailedInService(_) => false,
        }
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValidationError::Load(error) => error.fmt(f),
            ValidationError::Failed { request, failure } => {
                write!(f, "the guest fails on {request}: {failure}")
            }
            ValidationError::NotDeterministic { request, first, second } => write!(
                f,
                "the guest is not deterministic: on {request} it decides {first}, and then {second}"
            ),
            ValidationError::Cases(cases) => cases.fmt(f),
            ValidationError::CasesUnreadable(why) | ValidationError::DataUnreadable(why) => {
                f.write_str(why)
            }
            ValidationError::ConfiguredByRules => f.write_str(
                "the active guest is configured by rules: change the rules, or deploy another \
                 guest first",
            ),
            ValidationError::Overtaken => f.write_str(
                "another guest came to serve while this data was checked, several times: try again",
            ),
            ValidationError::FailedInService(count) => write!(
                f,
                "the guest was taken out of service, as {count} of its last 1000 decisions \
                 failed; SIGHUP has it tried again"
            ),
            ValidationError::Canceled => LoadError::Canceled.fmt(f),
        }
    }
}

/// `2 of 80 cases failed, first a.toml:7: GET / HTTP/1.1: expected …, got …`
impl fmt::Display for FailedCases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} cases failed, first {}: {}: expected {}, got {}",
            self.failed, self.total, self.place, self.request, self.expected, self.actual
        )
    }
}

impl std::error::Error for ValidationError {}

impl From<LoadError> for ValidationError {
    fn from(error: LoadError) -> ValidationError {
        match error {
            LoadError::Canceled => ValidationError::Canceled,
            error => ValidationError::Load(error),
        }
    }
}
