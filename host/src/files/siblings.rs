//! Ready-made forms of a file beside it: `style.css.br` beside `style.css`.

use std::fmt;
use std::time::Duration;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::beneath::Found;
use super::encodings::{Accepted, CODINGS, Coding};
use super::validators::Version;
use super::{Files, Lookup, SystemError, Trouble, failed};
use crate::disk::OpenFile;

/// How much older than its file a sibling may be that was made from it. Tools give it the
/// file's time of modification and keep whole seconds of that (brotli 1.0.9, pigz, tar without
/// its extended header) or microseconds. A whole second is another version.
const SLACK: Duration = Duration::from_nanos(999_999_999);

/// The same on FAT, which keeps every second second, and may round either way.
const FAT_SLACK: Duration = Duration::from_secs(2);

/// What `statfs` calls FAT (`MSDOS_SUPER_MAGIC`).
const FAT: i128 = 0x4d44;

/// What was found beside a file.
#[derive(Default)]
pub(super) struct Siblings {
    /// The one that is sent in its place.
    pub taken: Option<(Coding, Found)>,
    /// Whether this client or another gets one.
    pub any: bool,
    /// Those that are there and sent to nobody.
    pub passed_over: Vec<(Coding, PassedOver)>,
}

/// Why a sibling is not sent in the place of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// It is older, so it was made from another version.
    Older(Duration),
    /// It is a directory, a FIFO or the like.
    NoFile,
    /// It is empty, and so nothing in any coding: what made it did not get to its end.
    Empty,
    /// This process may not read it.
    Forbidden,
    /// The system is out of what it takes to open it.
    Exhausted(Errno),
    /// The system could not open it.
    Failed(Errno),
}

impl fmt::Display for PassedOver {
    /// Behind "is passed over: ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassedOver::Older(by) => {
                write!(f, "it is older than the file by {}.", by.as_secs())?;
                write!(f, "{:03} s", by.subsec_millis())
            }
            PassedOver::NoFile => f.write_str("it is no regular file"),
            PassedOver::Empty => f.write_str("it is empty, which is no content in that coding"),
            PassedOver::Forbidden => f.write_str("this process may not read it"),
            PassedOver::Exhausted(error) | PassedOver::Failed(error) => {
                write!(f, "it cannot be opened: {error}")
            }
        }
    }
}

impl Files {
    /// Looks for siblings of the file with this path and version, in the order of these
    /// codings, up to the first that can be sent.
    ///
    /// A file that is not compressed on the fly has the same answer for all clients, unless
    /// there is a sibling: so there the codings that this client does not accept are looked for
    /// too.
    ///
    /// Where the file system gives no answer that is an error: what is sent must not depend on it.
    /// So is a shortage, if only a form that lies ready may be sent.
    pub(super) async fn siblings(
        &self,
        path: &str,
        version: Version,
        accepted: &Accepted,
        is_compressible: bool,
    ) -> Result<Siblings, Trouble> {
        let mut siblings = Siblings::default();
        let codings = &accepted.codings;
        let others = CODINGS.iter().filter(|coding| !is_compressible && !codings.contains(coding));
        for (&coding, is_accepted) in
            codings.iter().map(|coding| (coding, true)).chain(others.map(|coding| (coding, false)))
        {
            let found = match self.look(&[path, coding.extension()].concat()).await {
                Ok(found) => Ok(found),
                Err(Trouble::System(errno)) => Err(errno),
                Err(trouble @ Trouble::Unanswered(_)) => return Err(trouble),
            };
            match judge(found, version) {
                Ok(None) => continue,
                Err(PassedOver::Exhausted(errno)) if accepted.ready_made => {
                    return Err(Trouble::System(errno));
                }
                Ok(Some(found)) => siblings.taken = is_accepted.then_some((coding, found)),
                Err(why) => {
                    siblings.passed_over.push((coding, why));
                    continue;
                }
            }
            siblings.any = true;
            break;
        }
        Ok(siblings)
    }
}

/// Whether what was found can be sent in the place of a file of this version. `None` if nothing
/// is there.
fn judge(found: Result<Found, Errno>, version: Version) -> Result<Option<Found>, PassedOver> {
    let found = match found {
        Ok(found) => found,
        Err(errno) => {
            return match failed(errno) {
                Lookup::Forbidden => Err(PassedOver::Forbidden),
                Lookup::Error(SystemError::Exhausted(errno)) => Err(PassedOver::Exhausted(errno)),
                Lookup::Error(SystemError::Failed(errno)) => Err(PassedOver::Failed(errno)),
                _ => Ok(None),
            };
        }
    };
    if found.kind != FileType::RegularFile {
        return Err(PassedOver::NoFile);
    }
    if found.version.length == 0 {
        return Err(PassedOver::Empty);
    }
    let older_ns = version.modified_ns.saturating_sub(found.version.modified_ns).max(0);
    let older = Duration::from_nanos_u128(older_ns.cast_unsigned());
    match older <= SLACK || older <= FAT_SLACK && is_on_fat(&found.file) {
        true => Ok(Some(found)),
        false => Err(PassedOver::Older(older)),
    }
}

/// It is local, so that it is not waited for. No other file system is asked.
fn is_on_fat(file: &OpenFile) -> bool {
    file.place().is_local()
        && rustix::fs::fstatfs(file).is_ok_and(|system| i128::from(system.f_type) == FAT)
}
