//! What the server, the spawner and the helpers say to one another.
//!
//! **Orders and news**, between the server and the spawner, are messages on a socket that
//! keeps them apart (`SOCK_SEQPACKET`): one byte, the [`VERSION`], and an [`Order`] or
//! [`News`] in JSON, [`MESSAGE_BYTES`] at most. With [`News::Started`] comes a descriptor
//! (`SCM_RIGHTS`): the server's end of the job's own socket.
//!
//! ```text
//! server                             spawner
//!   Start { job: 1, role, wall_ms } ──▶
//!   ◀── Started { job: 1 } + socket        the helper has the other end as standard input
//!   End { job: 1 } ──▶                     only if the job is given up
//!   ◀── Ended { job: 1, ending }           exactly once for each that was started
//!   (end of the socket) ──▶                all helpers are ended, and the spawner ends
//! ```
//!
//! **Jobs**, between the server and a helper, are one request and one response on a stream
//! (`SOCK_STREAM`). Each is a frame:
//!
//! ```text
//! 1 byte    the version
//! 1 byte    how many parts follow the head: as many as the reader expects
//! 4 bytes   the length of the head, little-endian: at most MESSAGE_BYTES
//! 8 bytes   the length of each part, little-endian: at most what the reader allows
//!           the head, in JSON: a type of the role's own
//!           the parts: bytes that are passed on unread
//! ```
//!
//! The reader knows the limit of each length before, and takes no memory for more. Both
//! ends are the same program, so another version is a fault and ends the conversation.

use std::fmt;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::role::Role;

/// The version of all this.
pub const VERSION: u8 = 1;

/// Bytes of a message, and of the head of a frame: a sentence has 1,000 characters.
pub const MESSAGE_BYTES: usize = 16 << 10;

/// What the server wants of the spawner.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// A helper for a job of this number.
    Start {
        /// The number.
        job: u64,
        /// What the helper does.
        role: Role,
        /// How long it may take, in milliseconds, with all waiting.
        wall_ms: u64,
    },
    /// The end of that helper: its caller no longer waits.
    End {
        /// The number.
        job: u64,
    },
}

/// What the spawner tells.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum News {
    /// The helper was started; its socket comes with this.
    Started {
        /// The job.
        job: u64,
    },
    /// It cannot be started.
    NotStarted {
        /// The job.
        job: u64,
        /// Why not.
        why: String,
    },
    /// It ended.
    Ended {
        /// The job.
        job: u64,
        /// How.
        ending: Ending,
    },
}

/// How a helper ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself.
    Done,
    /// It was ended, as its caller no longer waited.
    Canceled,
    /// It took longer than it may, with all waiting.
    Late,
    /// It took more of a processor than it may.
    Processor,
    /// It wanted more memory than it may have.
    Memory,
    /// Its stack was not deep enough.
    Stack,
    /// A signal ended it.
    Signal(i32),
    /// Otherwise.
    Failed,
}

/// Why nothing was understood.
#[derive(Debug)]
pub enum ProtocolError {
    /// The other end is gone.
    Closed,
    /// The socket fails.
    Io(io::Error),
    /// It is of another version.
    Version(u8),
    /// Something is longer than it may be, or there are more or fewer parts than expected.
    Bounds,
    /// There is no memory for it.
    NoMemory,
    /// It is not what was expected.
    Garbled(serde_json::Error),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Closed => f.write_str("the other end is gone"),
            ProtocolError::Io(error) => write!(f, "{error}"),
            ProtocolError::Version(version) => write!(f, "it speaks version {version}"),
            ProtocolError::Bounds => f.write_str("what it says is longer than it may be"),
            ProtocolError::NoMemory => f.write_str("there is no memory for what it says"),
            ProtocolError::Garbled(error) => write!(f, "what it says makes no sense: {error}"),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl From<io::Error> for ProtocolError {
    fn from(error: io::Error) -> ProtocolError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => ProtocolError::Closed,
            io::ErrorKind::OutOfMemory => ProtocolError::NoMemory,
            _ => ProtocolError::Io(error),
        }
    }
}

/// A message, as it is sent.
pub fn message(what: &impl Serialize) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, what).map_err(ProtocolError::Garbled)?;
    if bytes.len() > MESSAGE_BYTES { Err(ProtocolError::Bounds) } else { Ok(bytes) }
}

/// What a message says.
pub fn understood<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ProtocolError> {
    match bytes {
        [] => Err(ProtocolError::Closed),
        [VERSION, said @ ..] => serde_json::from_slice(said).map_err(ProtocolError::Garbled),
        [version, ..] => Err(ProtocolError::Version(*version)),
    }
}

/// Writes a frame.
pub fn write_frame(
    out: &mut impl Write,
    head: &impl Serialize,
    parts: &[&[u8]],
) -> Result<(), ProtocolError> {
    let head = serde_json::to_vec(head).map_err(ProtocolError::Garbled)?;
    let length = u32::try_from(head.len()).ok().filter(|_| head.len() <= MESSAGE_BYTES);
    let (Some(length), Ok(count)) = (length, u8::try_from(parts.len())) else {
        return Err(ProtocolError::Bounds);
    };
    let mut beginning = vec![VERSION, count];
    beginning.extend(length.to_le_bytes());
    for part in parts {
        beginning.extend((part.len() as u64).to_le_bytes());
    }
    beginning.extend(head);
    out.write_all(&beginning)?;
    parts.iter().try_for_each(|part| out.write_all(part))?;
    Ok(())
}

/// A frame whose head was read, and not its parts: the reader may prepare for them first.
pub struct Opened<T, const PARTS: usize> {
    /// The head.
    pub head: T,
    lengths: [usize; PARTS],
}

/// Reads the head of a frame, whose parts have these lengths at most.
pub fn open_frame<T: DeserializeOwned, const PARTS: usize>(
    from: &mut impl Read,
    limits: [u64; PARTS],
) -> Result<Opened<T, PARTS>, ProtocolError> {
    let [version, count] = array(from)?;
    if version != VERSION {
        return Err(ProtocolError::Version(version));
    }
    let length = usize::try_from(u32::from_le_bytes(array(from)?)).unwrap_or(usize::MAX);
    if usize::from(count) != PARTS || length > MESSAGE_BYTES {
        return Err(ProtocolError::Bounds);
    }
    let mut lengths = [0; PARTS];
    for (length, limit) in lengths.iter_mut().zip(limits) {
        let told = u64::from_le_bytes(array(from)?);
        *length =
            usize::try_from(told).ok().filter(|_| told <= limit).ok_or(ProtocolError::Bounds)?;
    }
    let head = serde_json::from_slice(&take(from, length)?).map_err(ProtocolError::Garbled)?;
    Ok(Opened { head, lengths })
}

impl<T, const PARTS: usize> Opened<T, PARTS> {
    /// Bytes of each part.
    pub fn lengths(&self) -> [usize; PARTS] {
        self.lengths
    }

    /// Reads the parts.
    pub fn parts(self, from: &mut impl Read) -> Result<(T, [Vec<u8>; PARTS]), ProtocolError> {
        let mut parts = [const { Vec::new() }; PARTS];
        for (part, length) in parts.iter_mut().zip(self.lengths) {
            *part = take(from, length)?;
        }
        Ok((self.head, parts))
    }
}

fn array<const LENGTH: usize>(from: &mut impl Read) -> Result<[u8; LENGTH], ProtocolError> {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// So many bytes. Where there is no memory for them that is an error, and not the end of the
/// process.
fn take(from: &mut impl Read, length: usize) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| ProtocolError::NoMemory)?;
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    if from.take(wanted).read_to_end(&mut bytes)? < length {
        return Err(ProtocolError::Closed);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{
        Ending, MESSAGE_BYTES, News, Order, ProtocolError, VERSION, message, open_frame,
        understood, write_frame,
    };
    use crate::helper::Role;

    fn frame(head: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &head, parts).expect("a frame");
        bytes
    }

    fn read<const PARTS: usize>(
        bytes: &[u8],
        limits: [u64; PARTS],
    ) -> Result<(String, [Vec<u8>; PARTS]), ProtocolError> {
        let from = &mut &bytes[..];
        open_frame(from, limits)?.parts(from)
    }

    #[test]
    fn frame_is_read_as_it_was_written() {
        let bytes = frame("head", &[b"one", b""]);
        let (head, parts) = read(&bytes, [3, 0]).expect("a frame");
        assert_eq!((head.as_str(), parts), ("head", [b"one".to_vec(), Vec::new()]));
    }

    #[test]
    fn frame_that_is_cut_anywhere_is_closed() {
        let bytes = frame("head", &[b"one"]);
        for end in 0..bytes.len() {
            let error = read(&bytes[..end], [3]).expect_err("cut");
            assert!(matches!(error, ProtocolError::Closed), "{end}: {error}");
        }
    }

    #[test]
    fn lengths_beyond_their_limits_are_refused_before_memory_is_taken() {
        let bytes = frame("head", &[b"four"]);
        assert!(matches!(read(&bytes, [3]), Err(ProtocolError::Bounds)));
        assert!(matches!(read::<0>(&bytes, []), Err(ProtocolError::Bounds)));
        assert!(matches!(read(&bytes, [9, 9]), Err(ProtocolError::Bounds)));
        let mut endless = bytes.clone();
        endless[6..14].fill(0xff);
        assert!(matches!(read(&endless, [1 << 60]), Err(ProtocolError::Bounds)));
        // More than any machine has.
        assert!(matches!(read(&endless, [u64::MAX]), Err(ProtocolError::NoMemory)));
        let long = "x".repeat(MESSAGE_BYTES);
        let written = write_frame(&mut Vec::new(), &long, &[]);
        assert!(matches!(written, Err(ProtocolError::Bounds)));
        assert!(matches!(message(&long), Err(ProtocolError::Bounds)));
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = frame("head", &[]);
        bytes[0] = VERSION + 1;
        assert!(matches!(read::<0>(&bytes, []), Err(ProtocolError::Version(2))));
        assert!(matches!(understood::<Order>(&bytes), Err(ProtocolError::Version(2))));
        assert!(matches!(understood::<Order>(&[]), Err(ProtocolError::Closed)));
        assert!(matches!(understood::<Order>(b"\x01{}"), Err(ProtocolError::Garbled(_))));
    }

    #[test]
    fn messages_are_understood_as_they_were_meant() {
        let order = Order::Start { job: 7, role: Role::Compiler, wall_ms: 1000 };
        let bytes = message(&order).expect("a message");
        assert_eq!(understood::<Order>(&bytes).expect("an order"), order);
        let news = News::Ended { job: 7, ending: Ending::Signal(9) };
        let bytes = message(&news).expect("a message");
        assert_eq!(understood::<News>(&bytes).expect("news"), news);
    }
}
