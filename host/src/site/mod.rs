//! The site: files beneath one directory, opened safely and described.
//!
//! - [`beneath`]: opens a path beneath the root, in one kernel operation.
//! - [`media_type`]: what a file's name tells about its content.
//! - [`read`]: reads a small file without blocking a worker on the disk.

mod beneath;
mod media_type;
mod read;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

pub use beneath::Resolver;
use beneath::{Patience, Root};
pub use media_type::MediaType;
pub use read::read;

/// Names of a directory's index page, in the order in which they are tried.
const INDEX_NAMES: [&str; 2] = ["index.html", "index.htm"];

/// A directory whose content is served.
#[derive(Clone)]
pub struct Site {
    root: Arc<Root>,
}

/// What a path names.
#[derive(Debug)]
pub enum Lookup {
    /// A regular file, open for reading.
    File(SiteFile),
    /// A directory.
    Directory,
    /// Nothing that is served: nothing at all, a way out of the root, a loop of
    /// symbolic links, a FIFO, a socket or a device.
    Missing,
    /// Something that this process may not read.
    Forbidden,
    /// The system cannot open anything now: it is out of descriptors or memory.
    Exhausted(io::Error),
    /// The file system failed.
    Failed(io::Error),
}

/// A regular file beneath the root, and what its handle told about it.
#[derive(Debug)]
pub struct SiteFile {
    /// The handle.
    pub file: File,
    /// Its length in bytes when it was opened.
    pub length: u64,
    /// What its name tells about its content.
    pub media_type: MediaType,
}

impl Site {
    /// Opens a directory to serve from. Every later look is beneath this handle:
    /// renaming or replacing the directory does not change what is served.
    pub fn open(root: &Path, resolver: Resolver) -> io::Result<Site> {
        Ok(Site { root: Arc::new(Root::open(root, resolver)?) })
    }

    /// How paths are resolved: as asked for, or what the kernel can do.
    pub fn resolver(&self) -> Resolver {
        self.root.resolver()
    }

    /// Looks for what this path names. The path is relative, its names are
    /// separated by one `/` each, and none of them is empty, `.` or `..`.
    pub async fn find(&self, path: &str) -> Lookup {
        // What the kernel has at hand is opened here and now. The rest could
        // block on the disk, and is for a thread that may.
        match self.root.look(path, Patience::Cached) {
            Err(Errno::AGAIN) => {
                let root = Arc::clone(&self.root);
                let owned = path.to_owned();
                let look = move || root.look(&owned, Patience::Wait);
                match tokio::task::spawn_blocking(look).await {
                    Ok(found) => lookup(path, found),
                    Err(panic) => Lookup::Failed(io::Error::other(panic)),
                }
            }
            found => lookup(path, found),
        }
    }

    /// Looks for the index page of this directory; `""` is the root.
    ///
    /// A directory that bears the name of an index page is passed over.
    pub async fn find_index(&self, directory: &str) -> Lookup {
        for name in INDEX_NAMES {
            let found = match directory {
                "" => self.find(name).await,
                _ => self.find(&format!("{directory}/{name}")).await,
            };
            if !matches!(found, Lookup::Missing | Lookup::Directory) {
                return found;
            }
        }
        Lookup::Missing
    }
}

/// Sorts out what opening this path gave.
fn lookup(path: &str, found: Result<beneath::Found, Errno>) -> Lookup {
    match found {
        Ok(found) => match found.kind {
            FileType::RegularFile => Lookup::File(SiteFile {
                file: found.file,
                length: found.length,
                media_type: MediaType::of(path),
            }),
            FileType::Directory => Lookup::Directory,
            _ => Lookup::Missing,
        },
        Err(errno) => match errno {
            // ELOOP: symbolic links that lead in circles, or a magic link.
            // EXDEV: a way out of the root. ENXIO: a socket, or a device
            // without driver. EINVAL and EILSEQ: a name that the file system
            // cannot hold.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::XDEV
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::ILSEQ => Lookup::Missing,
            Errno::ACCESS | Errno::PERM => Lookup::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Lookup::Exhausted(errno.into()),
            _ => Lookup::Failed(errno.into()),
        },
    }
}
