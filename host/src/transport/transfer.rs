//! A part of a file on its way to a socket, with as few copies as the system allows.

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

use crate::disk::{self, OpenFile, Progress};
use crate::http::ByteRange;

/// Bytes that one call may move: one turn of a connection that sends a large file. Large
/// enough that calls do not count.
const TRANSFER_BYTES: usize = 512 << 10;

/// Bytes that are fetched from the disk at a time.
const FETCH_BYTES: usize = 128 << 10;

/// From one sample to the next when it is asked whether bytes are in memory: the
/// kernel reads ahead that much by default.
const SAMPLE_BYTES: usize = 128 << 10;

/// A part of a file on its way to a socket.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    file: &'a Arc<OpenFile>,
    position: u64,
    end: u64,
    /// Where that ends which was found in memory. A step that moves a part of it need not
    /// look again: it takes five system calls.
    in_memory: u64,
}

/// What one step of a [`Transfer`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes were moved, at least one.
    Moved(usize),
    /// All of it was moved before.
    Done,
    /// The file ends before the promised length: it was truncated meanwhile.
    Truncated,
}

impl<'a> Transfer<'a> {
    /// Of these bytes of the file.
    pub(crate) fn new(file: &'a Arc<OpenFile>, range: ByteRange) -> Transfer<'a> {
        let position = range.first;
        Transfer { file, position, end: position + range.length, in_memory: position }
    }

    /// Bytes that were not moved yet.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.position
    }

    /// Moves some bytes from the file to the socket within the kernel
    /// (`sendfile(2)`). `WouldBlock` if the socket takes none now.
    pub(crate) fn step(&mut self, socket: impl AsFd) -> io::Result<Step> {
        let Some(count) = self.next_count() else {
            return Ok(Step::Done);
        };
        let sent =
            match rustix::fs::sendfile(&socket, &**self.file, Some(&mut self.position), count) {
                // Some file systems cannot (FUSE with direct I/O).
                Err(Errno::INVAL | Errno::NOSYS) => return self.step_by_copy(socket),
                sent => sent?,
            };
        Ok(match sent {
            0 => Step::Truncated,
            sent => Step::Moved(sent),
        })
    }

    /// The portable way to do the same: read, then write.
    pub(crate) fn step_by_copy(&mut self, socket: impl AsFd) -> io::Result<Step> {
        if self.left() == 0 {
            return Ok(Step::Done);
        }
        let buffer = &mut [0; 16 << 10];
        let read = self.read_chunk(buffer)?;
        if read == 0 {
            return Ok(Step::Truncated);
        }
        let sent = rustix::net::send(socket, &buffer[..read], rustix::net::SendFlags::NOSIGNAL)?;
        self.advance(sent);
        Ok(Step::Moved(sent))
    }

    /// Reads the next bytes, of which [`advance`](Transfer::advance) tells how many were sent: what
    /// every wire can do that has no `sendfile`. 0 when all is moved, or the file was truncated.
    /// It may wait for the disk, if [`is_cached`](Transfer::is_cached) does not hold.
    pub(crate) fn read_chunk(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.next_count().unwrap_or(0).min(buffer.len());
        Ok(rustix::io::pread(&**self.file, &mut buffer[..count], self.position)?)
    }

    /// Counts bytes of a chunk that were sent.
    pub(crate) fn advance(&mut self, sent: usize) {
        self.position += sent as u64;
    }

    /// Whether the next step finds its bytes in memory, as far as samples tell
    /// (`RWF_NOWAIT`, Linux 4.14). `false` where the file system cannot tell.
    pub(crate) fn is_cached(&mut self) -> bool {
        let Some(count) = self.next_count() else { return true };
        if self.position < self.in_memory {
            return true;
        }
        let last = self.position + count as u64 - 1;
        let samples = (self.position..last).step_by(SAMPLE_BYTES).chain([last]);
        let is_cached = samples.into_iter().all(|at| {
            let byte = &mut [0];
            let buffers = &mut [IoSliceMut::new(byte)];
            // At the end of a file that became shorter nothing is read, at once.
            rustix::io::preadv2(&**self.file, buffers, at, ReadWriteFlags::NOWAIT).is_ok()
        });
        if is_cached {
            self.in_memory = last + 1;
        }
        is_cached
    }

    /// Whether its file system may wait for another machine or process in any call: then each piece is
    /// read beside the worker, by [`read`](Transfer::read), and sent from memory.
    pub(crate) fn is_remote(&self) -> bool {
        !self.file.place().is_local()
    }

    /// Reads the bytes of the next step into the kernel's memory, on a thread that may wait for
    /// the disk.
    pub(crate) async fn fetch(&self) -> io::Result<()> {
        let file = Arc::clone(self.file);
        let (mut position, mut left) = (self.position, self.next_count().unwrap_or(0));
        let fetch = move |progress: &Progress| {
            let mut buffer = vec![0; FETCH_BYTES.min(left)];
            while left > 0 {
                let count = buffer.len().min(left);
                match file.read_at(&mut buffer[..count], position) {
                    // The step itself meets the same, and says so.
                    Ok(0) => break,
                    Ok(read) => {
                        position += read as u64;
                        left -= read;
                        progress.step();
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        disk::run(self.file.place(), fetch).await.map_err(io::Error::from)?
    }

    /// Reads the next piece on a thread that may wait for the disk. Nothing when all is moved,
    /// or the file has become shorter.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        self.read_at_most(FETCH_BYTES).await
    }

    async fn read_at_most(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let file = Arc::clone(self.file);
        let (position, count) = (self.position, self.next_count().unwrap_or(0).min(most));
        let read = move |_: &Progress| {
            let mut piece = vec![0; count];
            loop {
                match file.read_at(&mut piece, position) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                    Ok(read) => {
                        piece.truncate(read);
                        return Ok(piece);
                    }
                }
            }
        };
        let piece = disk::run(self.file.place(), read).await.map_err(io::Error::from)??;
        self.position += piece.len() as u64;
        Ok(piece)
    }

    /// Reads at most this many bytes, for a wire that sends from memory. What is not in the kernel's
    /// memory is fetched beside the worker. Nothing when all is moved, or the file has become
    /// shorter.
    pub(crate) async fn piece(&mut self, most: usize) -> io::Result<Vec<u8>> {
        if self.is_remote() {
            return self.read_at_most(most).await;
        }
        if !self.is_cached() {
            // Others would wait for the disk too.
            self.fetch().await?;
        }
        let count = most.min(self.next_count().unwrap_or(0));
        if count == 0 {
            return Ok(Vec::new());
        }
        // Not filled with zeros first: that takes a good part of the time that reading does.
        let mut piece = Vec::with_capacity(count);
        loop {
            let room = rustix::buffer::spare_capacity(&mut piece);
            match rustix::io::pread(&**self.file, room, self.position) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        // There may be more room than was asked for.
        piece.truncate(count);
        self.advance(piece.len());
        Ok(piece)
    }

    /// How many bytes to ask for next; `None` when all are moved.
    fn next_count(&self) -> Option<usize> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        // No further than what was looked at, if anything was.
        let known = usize::try_from(self.in_memory.saturating_sub(self.position));
        let most = known.ok().filter(|&known| known > 0).unwrap_or(TRANSFER_BYTES);
        (left > 0).then_some(left.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Transfer};
    use crate::disk::OpenFile;
    use crate::http::ByteRange;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    /// How a transfer moves: by `sendfile`, or by copies.
    type Way = fn(&mut Transfer, &UnixStream) -> std::io::Result<Step>;

    const WAYS: [Way; 2] = [
        |transfer, socket| transfer.step(socket),
        |transfer, socket| transfer.step_by_copy(socket),
    ];

    fn file(content: &[u8]) -> Arc<OpenFile> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        Arc::new(OpenFile::somewhere(file).expect("it has a device"))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    #[test]
    fn what_is_not_in_memory_is_noticed_and_fetched() {
        let file = file(&vec![b'x'; 3 << 20]);
        let transfer = || Transfer::new(&file, ByteRange { first: 1, length: (3 << 20) - 1 });
        assert!(transfer().is_cached(), "it was written a moment ago");
        file.sync_all().expect("on the disk");
        rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed).expect("dropped");
        let mut transfer = transfer();
        if transfer.is_cached() {
            // A file system in memory has nowhere else to have it.
            return;
        }
        runtime().block_on(transfer.fetch()).expect("fetched");
        assert!(transfer.is_cached());
    }

    #[test]
    fn both_ways_move_the_same_bytes() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = file(&content);
        for way in WAYS {
            let (mut out, socket) = UnixStream::pair().expect("sockets");
            let reader = std::thread::spawn(move || {
                let mut received = Vec::new();
                out.read_to_end(&mut received).map(|_| received)
            });
            let mut transfer =
                Transfer::new(&file, ByteRange { first: 1, length: content.len() as u64 - 2 });
            while way(&mut transfer, &socket).expect("sent") != Step::Done {}
            drop(socket);
            let received = reader.join().expect("a thread").expect("received");
            assert_eq!(received, content[1..content.len() - 1]);
        }
    }

    #[test]
    fn pieces_read_beside_the_worker_are_all_of_the_file() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = file(&content);
        let mut transfer = Transfer::new(&file, ByteRange { first: 1, length: 399_998 });
        assert!(transfer.is_remote(), "nothing was said of where it is");
        let mut read = Vec::new();
        runtime().block_on(async {
            while transfer.left() > 0 {
                read.extend(transfer.read().await.expect("read"));
            }
            assert_eq!(transfer.read().await.expect("read"), b"");
        });
        assert_eq!(read, content[1..content.len() - 1]);
        let mut longer = Transfer::new(&file, ByteRange { first: 399_999, length: 2 });
        assert_eq!(runtime().block_on(longer.read()).expect("read").len(), 1);
        assert_eq!(runtime().block_on(longer.read()).expect("read"), b"");
    }

    #[test]
    fn a_file_that_became_shorter_is_noticed() {
        let file = file(b"12345");
        for way in WAYS {
            let (_out, socket) = UnixStream::pair().expect("sockets");
            let mut transfer = Transfer::new(&file, ByteRange { first: 0, length: 10 });
            assert_eq!(way(&mut transfer, &socket).expect("sent"), Step::Moved(5));
            assert_eq!(way(&mut transfer, &socket).expect("sent"), Step::Truncated);
        }
    }
}
