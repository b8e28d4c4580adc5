//! Reads a small part of a file without blocking a worker on the disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

use crate::disk::{self, OpenFile, Progress};

/// Reads `length` bytes of a file from `first` on, or fewer if the file has become
/// shorter.
///
/// Bytes of a local file system that the kernel has in memory are read at once, the others by a
/// thread that may wait for the disk.
pub async fn read(file: &Arc<OpenFile>, first: u64, length: usize) -> io::Result<Vec<u8>> {
    if file.place().is_local() {
        let mut content = vec![0; length];
        // Too short, not in memory, or a file system that does not know: a thread reads it in each
        // case.
        if read_cached(file, first, &mut content) == Ok(length) {
            return Ok(content);
        }
    }
    read_beside(file, first, length).await
}

/// The same by a thread that may wait for the disk, whatever is in memory: for content so large that
/// copying it takes a worker's time.
pub(super) async fn read_beside(
    file: &Arc<OpenFile>,
    first: u64,
    length: usize,
) -> io::Result<Vec<u8>> {
    let (place, file) = (file.place(), Arc::clone(file));
    let read = move |progress: &Progress| read_patiently(&file, first, vec![0; length], progress);
    disk::run(place, read).await.map_err(io::Error::from)?
}

/// Reads only bytes that are in memory (`RWF_NOWAIT`, Linux 4.14).
fn read_cached(file: &File, first: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], first, ReadWriteFlags::NOWAIT)
}

/// Fills `content` from `first` on, as far as the file goes.
fn read_patiently(
    file: &File,
    first: u64,
    mut content: Vec<u8>,
    progress: &Progress,
) -> io::Result<Vec<u8>> {
    let mut read = 0;
    while read < content.len() {
        match file.read_at(&mut content[read..], first + read as u64) {
            Ok(0) => break,
            Ok(more) => {
                read += more;
                progress.step();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(read);
    Ok(content)
}
