//! Writes a batch of lines, and counts those that are lost: a disk may be full for a while, and
//! take a part of a line before it says so.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::queue::{count, room};
use crate::throttle::Throttle;

/// The pause before an output that does not wait until there is room is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// What lines are written to.
pub trait Output: Write + Send {
    /// Opens what its name leads to now. Without a name it does nothing.
    fn reopen(&mut self) -> io::Result<()>;
}

impl Output for io::Stdout {
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for io::Stderr {
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Box<dyn Output> {
    fn reopen(&mut self) -> io::Result<()> {
        (**self).reopen()
    }
}

/// An event to log. Repeated ones come once a minute.
#[derive(Debug)]
pub enum Notice {
    /// Lines were lost and others are written: the reader is too slow, or there are failures
    /// time and again.
    Lost {
        /// Lines lost since the last notice.
        lines: u64,
    },
    /// Lines cannot be written; they are lost until this is over.
    Failed(io::Error),
    /// Lines are written again.
    Recovered {
        /// Lines lost since the last notice.
        lost_lines: u64,
    },
    /// The output cannot be reopened; the old one is used.
    ReopenFailed(io::Error),
}

/// Lines to write, and what they are written to.
pub(super) struct Batch<O> {
    out: O,
    notify: fn(Notice),
    /// Whole lines.
    pub(super) lines: Vec<u8>,
    /// Whether the last line that was written is without its end.
    is_torn: bool,
    /// Whether there was a notice of a failure that is not over.
    is_failing: bool,
    /// Lines that were lost since the last notice.
    unreported: u64,
    failures: Throttle,
    losses: Throttle,
}

impl<O: Output> Batch<O> {
    pub(super) fn new(out: O, notify: fn(Notice)) -> Batch<O> {
        Batch {
            out,
            notify,
            lines: room(),
            is_torn: false,
            is_failing: false,
            unreported: 0,
            failures: Throttle::new(),
            losses: Throttle::new(),
        }
    }

    pub(super) fn reopen(&mut self) {
        match self.out.reopen() {
            Ok(()) => self.is_torn = false,
            Err(error) => (self.notify)(Notice::ReopenFailed(error)),
        }
    }

    /// Writes the lines. So many others were lost before them. Gives how many of these are
    /// lost.
    pub(super) fn write(&mut self, dropped: u64) -> u64 {
        self.unreported += dropped;
        if self.lines.is_empty() {
            return 0;
        }
        let lost = match self.try_write() {
            Ok(()) => {
                self.report_losses();
                0
            }
            Err(error) => {
                if !self.is_failing {
                    self.failures.log(|_| {
                        (self.notify)(Notice::Failed(error));
                        self.is_failing = true;
                    });
                }
                count(&self.lines)
            }
        };
        self.unreported += lost;
        self.lines.clear();
        lost
    }

    /// Lines are written: losses are reported.
    fn report_losses(&mut self) {
        if self.is_failing {
            self.is_failing = false;
            (self.notify)(Notice::Recovered { lost_lines: std::mem::take(&mut self.unreported) });
        } else if self.unreported > 0 {
            let (notify, unreported) = (self.notify, &mut self.unreported);
            self.losses.log(|_| notify(Notice::Lost { lines: std::mem::take(unreported) }));
        }
    }

    /// Reports the losses that are left, at the end.
    pub(super) fn report_rest(&mut self) {
        if self.unreported > 0 && !self.is_failing {
            (self.notify)(Notice::Lost { lines: std::mem::take(&mut self.unreported) });
        }
    }

    /// Gives up the lines that were not written, and gives how many.
    pub(super) fn give_up(&mut self) -> u64 {
        let lost = count(&self.lines);
        self.unreported += lost;
        self.lines.clear();
        lost
    }

    /// Writes what it can, and leaves the rest.
    fn try_write(&mut self) -> io::Result<()> {
        if self.is_torn {
            // What follows is not the rest of it.
            while until_ready(|| self.out.write(b"\n"))? == 0 {}
            self.is_torn = false;
        }
        let mut written = 0;
        let outcome = loop {
            if written == self.lines.len() {
                break until_ready(|| self.out.flush());
            }
            match until_ready(|| self.out.write(&self.lines[written..])) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
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

/// Tries again while it is interrupted, or has no room for now: another process that shares the
/// output may have made it so that writes do not wait.
fn until_ready<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Output};
    use std::io::{self, ErrorKind, Write};
    use std::sync::Mutex;

    /// A disk with this much room, which fails so before some writes.
    #[derive(Default)]
    struct Disk {
        content: Vec<u8>,
        room: usize,
        failures: Vec<Option<ErrorKind>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(Some(kind)) = self.failures.pop() {
                return Err(kind.into());
            }
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

    impl Output for Disk {
        fn reopen(&mut self) -> io::Result<()> {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn write(batch: &mut Batch<Disk>, lines: &str, more_room: usize) -> (u64, String) {
        batch.out.room += more_room;
        batch.lines = lines.into();
        let lost = batch.write(0);
        (lost, String::from_utf8(batch.out.content.clone()).expect("text"))
    }

    #[test]
    fn line_cut_by_a_full_disk_does_not_run_into_the_next() {
        let mut batch = Batch::new(Disk { room: 6, ..Disk::default() }, |_| {});
        let mut write = |lines, room| write(&mut batch, lines, room);
        assert_eq!(write("one\ntwo\nthree\n", 0), (2, "one\ntw".to_owned()));
        assert_eq!(write("four\n", 0), (1, "one\ntw".to_owned()));
        assert_eq!(write("five\n", 100), (0, "one\ntw\nfive\n".to_owned()));
        assert_eq!(write("six\n", 0), (0, "one\ntw\nfive\nsix\n".to_owned()));
    }

    #[test]
    fn output_without_room_for_a_while_loses_nothing() {
        use ErrorKind::{Interrupted, WouldBlock};
        let failures = vec![Some(WouldBlock), None, Some(Interrupted)];
        let mut batch = Batch::new(Disk { failures, room: 100, ..Disk::default() }, |_| {});
        assert_eq!(write(&mut batch, "one\n", 0), (0, "one\n".to_owned()));
        assert_eq!(write(&mut batch, "two\n", 0), (0, "one\ntwo\n".to_owned()));
    }

    #[test]
    fn repeated_failures_and_losses_are_reported_once_a_minute() {
        static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let notify = |notice| REPORTED.lock().expect("no panic").push(format!("{notice:?}"));
        let mut batch = Batch::new(Disk::default(), notify);
        for _ in 0..3 {
            write(&mut batch, "one\n", 0);
        }
        write(&mut batch, "one\n", 4);
        for _ in 0..3 {
            write(&mut batch, "one\n", 0);
            write(&mut batch, "one\n", 4);
        }
        for _ in 0..2 {
            batch.lines = b"one\n".to_vec();
            batch.out.room += 4;
            assert_eq!(batch.write(1), 0);
        }
        batch.reopen();
        batch.report_rest();
        let reported = REPORTED.lock().expect("no panic");
        assert_eq!(
            reported.as_slice(),
            [
                "Failed(Kind(StorageFull))",
                "Recovered { lost_lines: 3 }",
                "Lost { lines: 1 }",
                "ReopenFailed(Kind(NotFound))",
                "Lost { lines: 4 }"
            ]
        );
    }
}
