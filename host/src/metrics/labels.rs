//! Values of labels: which decision a response follows, how a guest failed, and what became of a
//! TLS handshake.

/// Classes of statuses: 2xx to 5xx. There are no others.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The number of a status's class.
pub(super) fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(2, 5) - 2
}

/// What a response follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The guest's: the index page of a directory.
    Index,
    /// The guest's: a file.
    File,
    /// The guest's: several candidates, another status or further fields.
    Serve,
    /// The guest's: nothing is there.
    NotFound,
    /// The guest's: a redirect.
    Redirect,
    /// The guest's: a response of its own.
    Reply,
    /// None: the guest failed.
    Failed(FailureKind),
    /// The host's, which did not ask the guest.
    Host,
}

/// How a guest failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// All instances were in use.
    Busy,
    /// It did not decide before its deadline.
    Deadline,
    /// It exceeded its memory.
    Memory,
    /// It trapped.
    Trap,
    /// Its decision was refused.
    Refused,
}

/// What became of a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is secured, with new keys.
    Full,
    /// It is secured, and resumed an earlier session.
    Resumed,
    /// Client and server have nothing in common, or one of them has no trust in the other.
    Failed,
    /// It was not complete in time.
    TimedOut,
    /// The client left.
    Disconnected,
    /// Another one needed its place.
    TooMany,
    /// The client spoke HTTP without TLS.
    Cleartext,
}

impl Handshake {
    /// The names, in the order of their numbers.
    pub(super) const NAMES: [&str; 7] =
        ["full", "resumed", "failed", "timed-out", "disconnected", "too-many", "cleartext"];

    pub(super) fn number(self) -> usize {
        match self {
            Handshake::Full => 0,
            Handshake::Resumed => 1,
            Handshake::Failed => 2,
            Handshake::TimedOut => 3,
            Handshake::Disconnected => 4,
            Handshake::TooMany => 5,
            Handshake::Cleartext => 6,
        }
    }
}

impl Decision {
    /// The names, in the order of their numbers.
    pub(super) const NAMES: [&str; 8] =
        ["index", "file", "serve", "not-found", "redirect", "reply", "failed", "host"];

    /// Its name, in metrics and logs.
    pub fn name(self) -> &'static str {
        Decision::NAMES[self.number()]
    }

    pub(super) fn number(self) -> usize {
        match self {
            Decision::Index => 0,
            Decision::File => 1,
            Decision::Serve => 2,
            Decision::NotFound => 3,
            Decision::Redirect => 4,
            Decision::Reply => 5,
            Decision::Failed(_) => 6,
            Decision::Host => 7,
        }
    }
}

impl FailureKind {
    /// The names, in the order of their numbers.
    pub(super) const NAMES: [&str; 5] = ["busy", "deadline", "memory", "trap", "refused"];

    pub(super) fn number(self) -> usize {
        match self {
            FailureKind::Busy => 0,
            FailureKind::Deadline => 1,
            FailureKind::Memory => 2,
            FailureKind::Trap => 3,
            FailureKind::Refused => 4,
        }
    }
}

/// The version of HTTP that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 1.0
    Http10,
    /// 1.1
    Http11,
    /// 2
    Http2,
    /// 3
    Http3,
}

impl Protocol {
    /// The names, in the order of their numbers: those of ALPN.
    pub(super) const NAMES: [&str; 4] = ["http/1.0", "http/1.1", "h2", "h3"];

    pub(super) fn number(self) -> usize {
        match self {
            Protocol::Http10 => 0,
            Protocol::Http11 => 1,
            Protocol::Http2 => 2,
            Protocol::Http3 => 3,
        }
    }
}
