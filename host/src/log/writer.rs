//! Writes lines, and knows which of them are lost: a disk may be full for a while, and
//! take a part of a line before it says so.

use std::io;

use super::file::Out;

/// What writes, and the lines that it is at.
pub(super) struct Writer<O> {
    out: O,
    /// What to write next: whole lines.
    pub(super) lines: Vec<u8>,
    /// Lines that were lost since the last one that was written.
    lost: u64,
    /// Whether the last line that was written is without its end.
    is_torn: bool,
}

impl<O: Out> Writer<O> {
    pub(super) fn new(out: O) -> Writer<O> {
        Writer { out, lines: Vec::new(), lost: 0, is_torn: false }
    }

    /// Begins anew where the log's name leads to now.
    pub(super) fn reopen(&mut self) {
        match self.out.reopen() {
            Ok(()) => self.is_torn = false,
            Err(error) => tracing::error!("the access log goes on in its old file: {error}"),
        }
    }

    /// Writes the lines. Gives how many of them are lost, which is told when it begins and
    /// when it is over.
    pub(super) fn write(&mut self) -> u64 {
        let lost = match self.try_write() {
            Ok(()) if self.lost > 0 => {
                tracing::warn!("the access log is written again: {} lines are lost", self.lost);
                self.lost = 0;
                0
            }
            Ok(()) => 0,
            Err(error) => {
                if self.lost == 0 {
                    tracing::error!("cannot write the access log, lines are lost: {error}");
                }
                count(&self.lines)
            }
        };
        self.lost += lost;
        self.lines.clear();
        lost
    }

    /// Gives up the lines that were not written, if there are any, and tells how many.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = count(&self.lines);
        self.lost += lost;
        self.lines.clear();
        lost
    }

    /// Writes what it can, and leaves the rest.
    fn try_write(&mut self) -> io::Result<()> {
        if self.is_torn {
            // What follows is not the rest of it.
            self.out.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut written = 0;
        let outcome = loop {
            if written == self.lines.len() {
                break self.out.flush();
            }
            match self.out.write(&self.lines[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if let Some(last) = self.lines[..written].last() {
            self.is_torn = *last != b'\n';
        }
        if outcome.is_err() {
            self.lines.drain(..written);
        }
        outcome
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::{Out, Writer};
    use std::io::{self, ErrorKind, Write};

    /// A disk with so much room.
    struct Disk {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out for Disk {
        fn reopen(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_by_a_full_disk_does_not_run_into_the_next() {
        let mut writer = Writer::new(Disk { content: Vec::new(), room: 6 });
        let mut write = |lines: &[u8], more_room| {
            writer.out.room += more_room;
            writer.lines = lines.to_vec();
            let lost = writer.write();
            (lost, String::from_utf8(writer.out.content.clone()).expect("text"))
        };
        assert_eq!(write(b"one\ntwo\nthree\n", 0), (2, "one\ntw".to_owned()));
        assert_eq!(write(b"four\n", 0), (1, "one\ntw".to_owned()));
        assert_eq!(write(b"five\n", 100), (0, "one\ntw\nfive\n".to_owned()));
        assert_eq!(write(b"six\n", 0), (0, "one\ntw\nfive\nsix\n".to_owned()));
    }
}
