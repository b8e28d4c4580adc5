//! Writes lines: those of the access log and of diagnostics.
//!
//! A line is appended to a bounded queue in memory. A thread writes the queue, many lines at a
//! time: a reader or a disk that stalls stops no worker. Lines that find the queue full, and
//! lines that cannot be written, are lost and counted.
//!
//! - `queue`: the lines that wait.
//! - `output`: writes a batch of lines, and counts those that are lost.
//! - [`mod@file`]: a file of lines, which can be reopened.

pub mod file;
mod output;
mod queue;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::supervise;
use output::Batch;
pub use output::{Notice, Output};
use queue::Queue;
pub use queue::{Bounds, Unwritten};

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Name of the thread, at most 15 bytes.
    pub name: &'static str,
    /// Bounds of the queue.
    pub bounds: Bounds,
    /// Logs what happens to the lines. It is called on the thread that writes.
    pub notify: fn(Notice),
}

/// A queue of lines and the thread that writes them. Dropped, it writes what waits unless a
/// write is stuck: call [`flush`](LineWriter::flush) before.
pub struct LineWriter {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    /// Starts the thread that writes to `out`.
    pub fn start(out: impl Output + 'static, options: Options) -> io::Result<LineWriter> {
        let queue = Arc::new(Queue::new(options.bounds));
        let thread = thread::Builder::new().name(options.name.to_owned()).spawn({
            let queue = Arc::clone(&queue);
            let mut batch = Batch::new(out, options.notify);
            move || {
                supervise::thread(options.name, || {
                    write_all(&queue, &mut batch);
                    Ok(())
                });
            }
        })?;
        Ok(LineWriter { queue, thread: Some(thread) })
    }

    /// Whether the thread has begun. Near the end of memory it may never do so; lines that
    /// must not be lost are then written by whoever has them.
    pub fn is_running(&self) -> bool {
        self.queue.is_running()
    }

    /// Appends lines of at most `max_bytes`, which `write` appends to the queue. Without room
    /// or memory for them they are lost.
    pub fn append(&self, max_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.queue.append(max_bytes, write);
    }

    /// Has the output reopened before more is written.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Waits until the lines that were appended so far are written or lost, for `patience` at
    /// most. On the thread that writes them it does not wait.
    pub fn flush(&self, patience: Duration) -> Result<(), Unwritten> {
        let writes = self.thread.as_ref().map(|thread| thread.thread().id());
        if writes == Some(thread::current().id()) {
            return Ok(());
        }
        self.queue.flush(patience)
    }

    /// The number of lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let is_stuck = self.queue.close();
        if let (Some(thread), false) = (self.thread.take(), is_stuck) {
            // It ends; a panic was logged.
            let _ = thread.join();
        }
    }
}

/// Writes until the queue is closed and empty.
fn write_all(queue: &Queue, batch: &mut Batch<impl Output>) {
    // Lines that a panic kept from being written.
    queue.written(batch.give_up());
    while let Some(order) = queue.take(&mut batch.lines) {
        if order.reopen {
            batch.reopen();
        }
        queue.written(batch.write(order.dropped));
    }
    batch.report_rest();
}

#[cfg(test)]
mod tests {
    use super::{Bounds, LineWriter, Options, Output, Unwritten};
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Sends what is written, and waits for each piece to be received.
    struct Pipe(mpsc::SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Pipe {
        fn reopen(&mut self) -> io::Result<()> {
            self.write_all(b"reopened\n")
        }
    }

    fn start(out: impl Output + 'static, gather: Duration, enough_bytes: usize) -> LineWriter {
        let bounds = Bounds { waiting_bytes: 10_000, gather, enough_bytes };
        let options = Options { name: "test", bounds, notify: |_| {} };
        LineWriter::start(out, options).expect("a thread")
    }

    /// Long enough for a test to notice.
    const GATHER: Duration = Duration::from_millis(50);

    fn append(writer: &LineWriter, line: &str) {
        writer.append(line.len(), |text| text.extend_from_slice(line.as_bytes()));
    }

    #[test]
    fn all_lines_are_written_before_it_is_dropped() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let writer = start(Pipe(sender), GATHER, 1000);
        append(&writer, "one\n");
        append(&writer, "two\n");
        assert_eq!(writer.flush(PATIENCE), Ok(()));
        append(&writer, "three\n");
        assert_eq!(writer.flush(PATIENCE), Ok(()));
        drop(writer);
        let text: Vec<_> = receiver.into_iter().flatten().collect();
        assert_eq!(text, b"one\ntwo\nthree\n");
    }

    #[test]
    fn flush_does_not_wait_for_lines_to_gather() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let writer = start(Pipe(sender), Duration::from_secs(3600), 1000);
        append(&writer, "one\n");
        assert_eq!(writer.flush(PATIENCE), Ok(()));
        assert_eq!(receiver.recv().expect("a line"), b"one\n");
    }

    #[test]
    fn output_is_reopened_without_a_line_to_write() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let writer = start(Pipe(sender), GATHER, 1000);
        writer.reopen();
        assert_eq!(receiver.recv().expect("a write"), b"reopened\n");
    }

    /// Panics at its first line.
    struct Panicking(Pipe, bool);

    impl Write for Panicking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::mem::replace(&mut self.1, true), "on purpose");
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Panicking {
        fn reopen(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn panic_costs_the_lines_that_were_being_written() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let out = Panicking(Pipe(sender), false);
        let writer = start(out, GATHER, 1000);
        append(&writer, "one\n");
        let began = Instant::now();
        while writer.lost() == 0 {
            assert!(began.elapsed() < PATIENCE, "it does not restart");
            std::thread::yield_now();
        }
        append(&writer, "two\n");
        assert_eq!(receiver.recv().expect("a line"), b"two\n");
        assert_eq!(writer.lost(), 1);
    }

    #[test]
    fn stalled_reader_stops_no_one_and_costs_bounded_memory() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let writer = start(Pipe(sender), GATHER, 1);
        let line = format!("{}\n", "a".repeat(999));
        append(&writer, &line);
        let flush = || writer.flush(Duration::from_millis(1));
        let began = Instant::now();
        // From then on it is stuck.
        while flush() != Err(Unwritten { lines: 0 }) {
            assert!(began.elapsed() < PATIENCE, "it takes no line");
        }
        for _ in 0..100 {
            append(&writer, &line);
        }
        assert_eq!(flush(), Err(Unwritten { lines: 10 }));
        assert_eq!(writer.lost(), 90);
        // The lines that were not lost arrive once the reader goes on.
        let reader = std::thread::spawn(move || receiver.into_iter().flatten().count());
        assert_eq!(writer.flush(PATIENCE), Ok(()));
        drop(writer);
        assert_eq!(reader.join().expect("a count"), 11 * line.len());
    }
}
