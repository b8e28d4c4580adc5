//! Reads a small part of a file without blocking a worker on the disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

/// Reads `length` bytes of a file from `first` on, or fewer if the file has become
/// shorter.
///
/// What the kernel has in memory is read at once. The rest is read by a thread
/// that may wait for the disk.
pub async fn read(file: &Arc<File>, first: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; length];
    match read_cached(file, first, &mut content) {
        Ok(read) if read == length => Ok(content),
        // Too short, not in memory, or a file system that cannot tell: the
        // patient way gives the answer in each case.
        _ => {
            let file = Arc::clone(file);
            tokio::task::spawn_blocking(move || read_patiently(&file, first, content))
                .await
                .map_err(io::Error::other)?
        }
    }
}

/// Reads what is in memory (`RWF_NOWAIT`, Linux 4.14).
fn read_cached(file: &File, first: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], first, ReadWriteFlags::NOWAIT)
}

/// Fills `content` from `first` on, as far as the file goes.
fn read_patiently(file: &File, first: u64, mut content: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut read = 0;
    while read < content.len() {
        match file.read_at(&mut content[read..], first + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(read);
    Ok(content)
}
