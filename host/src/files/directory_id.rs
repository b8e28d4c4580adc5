//! Which directory a root is, whatever its path.

use rustix::fs::Stat;

/// Which directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryId {
    device: u64,
    inode: u64,
}

impl From<Stat> for DirectoryId {
    fn from(status: Stat) -> DirectoryId {
        DirectoryId { device: status.st_dev, inode: status.st_ino }
    }
}
