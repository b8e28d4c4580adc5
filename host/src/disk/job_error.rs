//! Why an operation on a device has no outcome.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why an operation has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobError {
    /// The device did not respond for this long.
    TimedOut(Duration),
    /// Too many operations wait for the same device, or there is no thread.
    QueueFull,
    /// The operation panicked. The log has the reason.
    Panicked,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::TimedOut(after) => {
                write!(f, "no response within {:.1} s", after.as_secs_f64())
            }
            JobError::QueueFull => f.write_str("too many operations wait for the same device"),
            JobError::Panicked => f.write_str("the operation panicked"),
        }
    }
}

impl From<JobError> for io::Error {
    fn from(why: JobError) -> io::Error {
        let kind = match why {
            JobError::TimedOut(_) => io::ErrorKind::TimedOut,
            JobError::QueueFull => io::ErrorKind::ResourceBusy,
            JobError::Panicked => io::ErrorKind::Other,
        };
        io::Error::new(kind, why.to_string())
    }
}
