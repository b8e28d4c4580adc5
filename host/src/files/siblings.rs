//! Ready-made forms of a file beside it: `style.css.br` beside `style.css`.

use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::beneath::{Found, Root};
use super::encodings::{Accepted, CODINGS, Coding};
use super::found::{Lookup, PassedOver, SystemError};
use super::open::{OpenError, failed, open};
use super::validators::Version;
use crate::disk::OpenFile;

/// How much older than its file a sibling may be that was made from it. Tools give it the
/// file's time of modification and keep whole seconds of that (brotli 1.0.9, pigz, tar without
/// its extended header) or microseconds. A whole second is another version.
const SLACK: Duration = Duration::from_nanos(999_999_999);

/// The same on FAT, which keeps every second second, and may round either way.
const FAT_SLACK: Duration = Duration::from_secs(2);

/// What `statfs` calls FAT (`MSDOS_SUPER_MAGIC`).
const FAT: i128 = 0x4d44;

/// The siblings of a file.
#[derive(Default)]
pub(super) struct Siblings {
    /// The one that is sent in its place.
    pub taken: Option<(Coding, Found)>,
    /// Whether this client or another gets one.
    pub any: bool,
    /// Those that exist and are never sent.
    pub passed_over: Vec<(Coding, PassedOver)>,
}

/// Looks for siblings of the file with this path and version, in the order of the accepted
/// codings, up to the first that can be sent.
///
/// The response for a file that is not compressed on the fly is the same for all clients, unless
/// it has a sibling: so there the codings that this client does not accept are looked for too.
///
/// A file system that does not respond is an error: the form that is sent must not depend on that.
/// So is a shortage, if only ready-made forms are accepted.
pub(super) async fn siblings(
    root: &Arc<Root>,
    path: &str,
    version: Version,
    accepted: &Accepted,
    is_compressible: bool,
) -> Result<Siblings, OpenError> {
    let mut siblings = Siblings::default();
    let codings = &accepted.codings;
    let others = CODINGS.iter().filter(|coding| !is_compressible && !codings.contains(coding));
    for (&coding, is_accepted) in
        codings.iter().map(|coding| (coding, true)).chain(others.map(|coding| (coding, false)))
    {
        let found = match open(root, &[path, coding.extension()].concat()).await {
            Ok(found) => Ok(found),
            Err(OpenError::System(errno)) => Err(errno),
            Err(error @ OpenError::NoResponse(_)) => return Err(error),
        };
        match judge(found, version) {
            Ok(None) => continue,
            Err(PassedOver::Exhausted(errno)) if accepted.ready_made => {
                return Err(OpenError::System(errno));
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

/// Whether this sibling can be sent in the place of a file of this version. `None` if there is
/// none.
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

/// Only a local file system is asked, which responds at once.
fn is_on_fat(file: &OpenFile) -> bool {
    file.place().is_local()
        && rustix::fs::fstatfs(file).is_ok_and(|system| i128::from(system.f_type) == FAT)
}
