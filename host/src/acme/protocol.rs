//! What a server and its fetcher say to one another: messages of
//! [`helper::protocol`](crate::helper::protocol), each whole.
//!
//! ```text
//! server                                fetcher
//!   ◀── Hello                                it has started, for the first time or again
//!   Begin { options, is_start } ──▶          what certificates are ordered by
//!   Names { names, is_last } ──▶             some at a time
//!   ◀── Status, Log                          whenever something changes
//!   List { number } ──▶                      clients ask for challenges
//!   ◀── Listed { number, challenges }        exactly once for each
//!   Retry ──▶                                failures are not waited for any longer
//! ```

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::options::Options;
use crate::text::{beginning, one_line};

/// Names in one message: each has 253 characters at most, and a message 16 KiB.
pub const NAMES: usize = 50;

/// Challenges in one message: those of one order, which is made at a time, and some that were left.
pub const CHALLENGES: usize = 16;

/// Characters of a code.
const CODE: usize = 100;

/// Characters of a text of the authority that are passed on.
const DETAIL: usize = 2_000;

/// Characters of what to do about it, which is the fetcher's own.
const ADVICE: usize = 500;

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The first, and whenever the settings change.
    Begin {
        /// What orders have in common.
        options: Options,
        /// Whether the server has just started: what it orders takes the place of what another
        /// authority's server has put there.
        is_start: bool,
    },
    /// The names, which take the place of those before once the last of them is there.
    Names {
        /// Some of them.
        names: Vec<Name>,
        /// Whether these are the last.
        is_last: bool,
    },
    /// Clients ask for challenges.
    List {
        /// The question's own number.
        number: u64,
    },
    /// What failed is tried again now.
    Retry,
}

/// What proves a name to an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The name.
    pub name: Name,
    /// The token, by which HTTP asks for it.
    pub token: String,
    /// The token and the thumbprint of the account's key (RFC 8555, section 8.1).
    pub key_authorization: String,
}

/// What the fetcher says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It has started.
    Hello,
    /// The response to a question.
    Listed {
        /// The question's number.
        number: u64,
        /// Those of the folder.
        challenges: Vec<Challenge>,
    },
    /// The state of a name has changed.
    Status(Status),
    /// Something for the log.
    Log(LogEvent),
}

/// The state of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The name.
    pub name: Name,
    /// Whether it is being ordered.
    pub is_ordering: bool,
    /// When its certificate expires, in seconds since 1970, if there is one.
    pub expires: Option<u64>,
    /// When it is ordered or renewed next, in seconds since 1970.
    pub next_attempt: u64,
    /// Attempts that failed, one after the other, since the last that did not.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<OrderError>,
}

impl Status {
    /// The name's text.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// Why an order failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderError {
    /// The kind of it: of an authority the last part of its URN, such as `rateLimited`.
    pub code: String,
    /// The authority's words, or what kept it from being asked.
    pub detail: String,
    /// What to do about it.
    pub advice: String,
}

impl OrderError {
    /// With texts that fit in a message and in a line, wherever they come from.
    pub fn bounded(self) -> OrderError {
        let OrderError { code, detail, advice } = self;
        OrderError {
            code: beginning(&one_line(&code), CODE),
            detail: beginning(&one_line(&detail), DETAIL),
            advice: beginning(&one_line(&advice), ADVICE),
        }
    }
}

/// Something for the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LogEvent {
    /// A certificate is being ordered.
    Ordering {
        /// For this name.
        name: Name,
        /// Whether there is one.
        is_renewal: bool,
        /// Whether an order goes on that was begun before.
        is_resumed: bool,
    },
    /// There is a new one.
    Obtained {
        /// For this name.
        name: Name,
        /// When it expires, in seconds since 1970.
        expires: u64,
    },
    /// There is none.
    Failed {
        /// For this name.
        name: Name,
        /// Why.
        error: OrderError,
        /// When the next attempt is, in seconds since 1970.
        next_attempt: u64,
        /// Whether there is a certificate that serves meanwhile.
        has_certificate: bool,
    },
    /// One that was there before serves again: it was gone, or another authority's was in its place.
    PutBack {
        /// For this name.
        name: Name,
    },
    /// Another server that uses the same folder orders.
    Waiting {
        /// Who has the lock, as far as that is known.
        holder: String,
    },
    /// The fetcher has ended, and is started again.
    Ended {
        /// Why.
        reason: String,
    },
    /// The state cannot be kept.
    StateFails {
        /// Why.
        error: OrderError,
        /// When it is tried again, in seconds since 1970.
        next_attempt: u64,
    },
    /// It can be kept again.
    StateKept,
}

#[cfg(test)]
mod tests {
    use super::{CHALLENGES, Challenge, Event, LogEvent, NAMES, OrderError, Status};
    use crate::acme::challenges::{MAX_KEY_AUTHORIZATION, MAX_TOKEN};
    use crate::acme::name::Name;
    use crate::helper::protocol::message;

    fn longest() -> Name {
        let label = "a".repeat(61);
        format!("{label}.{label}.{label}.{label}").parse().expect("a name")
    }

    #[test]
    fn longest_messages_fit() {
        let long = |text: &str| text.repeat(30_000);
        for text in ["\u{1f600}", "\"", "\\", "\u{1}", "\u{202e}", "x"] {
            let error =
                OrderError { code: long(text), detail: long(text), advice: long(text) }.bounded();
            let status = Status {
                name: longest(),
                is_ordering: true,
                expires: Some(u64::MAX),
                next_attempt: u64::MAX,
                failures: u32::MAX,
                error: Some(error.clone()),
            };
            message(&Event::Status(status)).expect(text);
            let failed = LogEvent::Failed {
                name: longest(),
                error,
                next_attempt: u64::MAX,
                has_certificate: false,
            };
            message(&Event::Log(failed)).expect(text);
        }
        let challenge = Challenge {
            name: longest(),
            token: "a".repeat(MAX_TOKEN),
            key_authorization: "a".repeat(MAX_KEY_AUTHORIZATION),
        };
        let challenges = vec![challenge; CHALLENGES];
        message(&Event::Listed { number: u64::MAX, challenges }).expect("challenges");
        let names = super::Command::Names { names: vec![longest(); NAMES], is_last: true };
        message(&names).expect("names");
    }
}
