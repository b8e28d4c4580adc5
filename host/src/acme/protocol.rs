//! What a server and its fetcher say to one another: messages of
//! [`helper::protocol`](crate::helper::protocol), each whole.
//!
//! ```text
//! server                                fetcher
//!   ◀── Hello                                it has started, for the first time or again
//!   Begin { options } ──▶                    what certificates are ordered by
//!   Names { names, is_last } ──▶             some at a time
//!   ◀── Status, Event                        whenever something changes
//!   Find { number, sought } ──▶              a client asks for a challenge
//!   ◀── Found { number, answer }             exactly once for each
//!   Retry ──▶                                failures are not waited for any longer
//! ```

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::options::Options;

/// Names in one message: each has 253 characters at most, and a message 16 KiB.
pub const NAMES: usize = 50;

/// Characters of a text of the authority that are passed on.
pub const WORDS: usize = 2_000;

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The first, and whenever the settings change.
    Begin {
        /// What orders have in common.
        options: Options,
    },
    /// The names, which take the place of those before once the last of them is there.
    Names {
        /// Some of them.
        names: Vec<Name>,
        /// Whether these are the last.
        is_last: bool,
    },
    /// A client asks for a challenge.
    Find {
        /// The question's own number.
        number: u64,
        /// What it asks for.
        sought: Sought,
    },
    /// What failed is tried again now.
    Retry,
}

/// How a client asks for a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sought {
    /// By the token, in a path.
    Token(String),
    /// By the name, in a TLS handshake.
    Name(Name),
}

/// What proves a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name.
    pub name: Name,
    /// The token and the thumbprint of the account's key (RFC 8555, section 8.1).
    pub key_authorization: String,
}

/// What the fetcher says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum News {
    /// It has started.
    Hello,
    /// The response to a question.
    Found {
        /// The question's number.
        number: u64,
        /// What it found.
        answer: Option<Answer>,
    },
    /// The state of a name has changed.
    Status(Status),
    /// Something for the log.
    Event(Event),
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
    pub error: Option<Trouble>,
}

impl Status {
    /// The name's text.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// Why an order failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The kind of it: of an authority the last part of its URN, such as `rateLimited`.
    pub code: String,
    /// The authority's words, or what kept it from being asked.
    pub words: String,
    /// What to do about it.
    pub advice: String,
}

/// Something for the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
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
        trouble: Trouble,
        /// When the next attempt is, in seconds since 1970.
        next_attempt: u64,
        /// Whether there is a certificate that serves meanwhile.
        has_certificate: bool,
    },
    /// Another server that uses the same folder orders.
    Waiting {
        /// Who has the lock, as far as that is known.
        holder: String,
    },
    /// The state cannot be kept.
    StateFails {
        /// Why.
        error: String,
    },
}
