//! Opens a directory to serve, and says what to do about one that cannot be.

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Once};

use anyhow::anyhow;

use crate::files::{CacheSizes, Caches, Files, Options, Resolver, RootPath};
use crate::in_flight;

/// Opens the directory to serve, for a command that has no other.
pub(super) fn open_root(
    root: &Path,
    options: Options,
    sizes: CacheSizes,
    workers: NonZeroUsize,
) -> anyhow::Result<(RootPath, Arc<Files>)> {
    open_root_with(root, options, &Caches::new(workers, sizes, &in_flight::FILES))
}

/// Opens a directory to serve, which shares these caches with others.
pub(super) fn open_root_with(
    root: &Path,
    options: Options,
    caches: &Arc<Caches>,
) -> anyhow::Result<(RootPath, Arc<Files>)> {
    let is_port = root.to_str().is_some_and(|root| root.parse::<u16>().is_ok());
    let (path, files) = RootPath::open(root, options, caches).map_err(|error| {
        let is_link = root.is_symlink();
        let root = root.display();
        match error.kind() {
            io::ErrorKind::NotFound if is_link => {
                anyhow!("cannot serve {root}: it is a link that leads nowhere")
            }
            io::ErrorKind::NotFound if is_port => anyhow!(
                "cannot serve {root}: there is no such directory; to listen on that port write: \
                 innkeeper --port {root}"
            ),
            io::ErrorKind::NotFound => anyhow!(
                "cannot serve {root}: there is no such directory; name the one to serve, as in: \
                 innkeeper path/to/site, or root = \"path/to/site\" in a file (of several sites, in the \
                 [[site]] of each)"
            ),
            io::ErrorKind::NotADirectory => {
                anyhow!("cannot serve {root}: it is not a directory; name the one it is in")
            }
            io::ErrorKind::PermissionDenied => anyhow!(
                "cannot serve {root}: {error}; let the server's user read it, and pass all folders on \
                 its path"
            ),
            _ => anyhow!("cannot serve {root}: {error}"),
        }
    })?;
    static IS_TOLD: Once = Once::new();
    if files.resolver() == Resolver::Portable {
        IS_TOLD.call_once(|| {
            tracing::warn!("kernel has no openat2 (Linux 5.6), paths are resolved more slowly")
        });
    }
    Ok((path, files))
}
