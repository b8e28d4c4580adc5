//! Why a file system, or the pool of threads that ask it, gave no answer.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The device gave none for this long.
    Late(Duration),
    /// Too much waits for it already, or there is no thread.
    Busy,
    /// The work panicked, which the log tells.
    Panicked,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Late(after) => {
                write!(f, "there was no answer within {:.1} s", after.as_secs_f64())
            }
            Unanswered::Busy => f.write_str("too many others wait for the same"),
            Unanswered::Panicked => f.write_str("a panic"),
        }
    }
}

impl From<Unanswered> for io::Error {
    fn from(why: Unanswered) -> io::Error {
        let kind = match why {
            Unanswered::Late(_) => io::ErrorKind::TimedOut,
            Unanswered::Busy => io::ErrorKind::ResourceBusy,
            Unanswered::Panicked => io::ErrorKind::Other,
        };
        io::Error::new(kind, why.to_string())
    }
}
