//! An open file that is closed where that may wait: `close` of a FUSE asks it to flush, that of a
//! network file system its server.

use std::fs::File;
use std::io;
use std::ops::Deref;

use rustix::fd::{AsFd, BorrowedFd};

use super::owner::Owner;
use super::place::{Place, known};
use super::{Kind, run_detached};

/// An open file, and where it is.
#[derive(Debug)]
pub struct OpenFile {
    /// There until the end.
    file: Option<File>,
    place: Place,
}

impl OpenFile {
    /// A file that was opened there.
    pub fn new(file: File, place: Place) -> OpenFile {
        OpenFile { file: Some(file), place }
    }

    /// A file of which it is not known where it is: it counts as one that may wait.
    pub fn somewhere(file: File) -> io::Result<OpenFile> {
        let device = known(&file)?.mount.device;
        Ok(OpenFile::new(file, Place { device, kind: Kind::Remote, owner: Owner::default() }))
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl Deref for OpenFile {
    type Target = File;

    fn deref(&self) -> &File {
        self.file.as_ref().expect("it is there until the end")
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let file = self.file.take();
        if !self.place.is_local() {
            run_detached(self.place, move || drop(file));
        }
    }
}
