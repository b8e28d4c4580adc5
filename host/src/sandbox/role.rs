//! What kind of process this is, and the files that it needs.

use std::path::PathBuf;

/// What kind of process this is.
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// It serves: these files, and the connections of clients.
    Server(&'a Needs),
    /// It compiles guests: no files, no sockets, no processes; memory, threads, and the
    /// descriptors that it has.
    Compiler,
    /// It starts processes of this same program, and waits for them. What it may not do,
    /// they may not do either.
    Spawner,
    /// It opens files for a server, by the names that it was started with.
    Opener,
    /// It orders certificates: it connects to authorities, reads what names are resolved by, and
    /// writes its state folder.
    Fetcher(&'a Needs),
    /// It starts the fetcher, again when that ends: it may do what the fetcher may, and run it.
    FetcherKeeper(&'a Needs),
}

/// The files that a server still needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Directories and files to read.
    pub read: Vec<PathBuf>,
    /// Directories to make files in, and to read, write and remove them.
    pub write: Vec<PathBuf>,
    /// Directories to remove files from: those of Unix sockets that it listens on.
    pub remove: Vec<PathBuf>,
    /// Files that another process [opens](super::opener) for it: it needs no rights to them.
    pub by_name: Vec<PathBuf>,
}
