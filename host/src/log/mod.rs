//! The access log: one line a request.
//!
//! A line is handed over in memory and written by a thread of its own, many at a
//! time: a reader that stalls stops no worker. What does not fit into the bounded
//! buffer meanwhile is dropped and counted.
//!
//! - [`entry`]: what a line holds, in either of two formats.
//! - [`mod@file`]: a log file, which can be opened anew.
//! - `writer`: writes lines, and knows which of them are lost.

pub mod entry;
pub mod file;
mod writer;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::supervise;
pub use entry::{Draft, Entry, Format};
use file::Out;
use writer::Writer;

/// Bytes of lines that may wait to be written: a few thousand requests, or a
/// tenth of a second at full speed. A reader that is slower than that for longer
/// loses lines.
const WAITING_BYTES: usize = 1 << 20;

/// How long a line waits for others, so that many are written at a time. Waking the
/// writer costs a worker more than answering a small request.
const GATHERING: Duration = Duration::from_millis(50);

/// So many bytes do not wait.
const ENOUGH_BYTES: usize = 64 << 10;

/// How long the end waits for the last lines to be written. Whoever stops the server wants
/// it to stop, also when nobody reads the log.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Where lines are handed over. Dropping it [finishes](AccessLog::finish).
pub struct AccessLog {
    format: Format,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Lines that were dropped since the start.
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    closed: bool,
    /// Whether all is written that ever will be.
    finished: bool,
    /// Whether the file is to be opened anew before more is written.
    reopen: bool,
}

impl AccessLog {
    /// Starts the thread that writes to `out`.
    pub fn to(out: impl Out + 'static, format: Format) -> io::Result<AccessLog> {
        let queue = Arc::new(Queue::default());
        let writer = thread::Builder::new().name("access-log".to_owned()).spawn({
            let queue = Arc::clone(&queue);
            let mut writer = Writer::new(out);
            move || {
                supervise::thread("access-log", || {
                    queue.write_with(&mut writer);
                    Ok(())
                });
            }
        })?;
        Ok(AccessLog { format, queue, writer: Some(writer) })
    }

    /// Writes what is known of a request before the client took its response, in the room of
    /// one that is logged.
    pub fn draft(&self, room: Draft, entry: &Entry) -> Draft {
        self.format.draft(room, entry)
    }

    /// Logs it: the client took `body_bytes` of the response's body, and the response was cut
    /// before its end if `is_cut`.
    pub fn append(&self, draft: &Draft, body_bytes: u64, is_cut: bool) {
        self.queue.append(|text| self.format.finish(text, draft, body_bytes, is_cut));
    }

    /// Has the log's file opened anew, for who has moved it away.
    pub fn reopen(&self) {
        self.queue.lock().reopen = true;
        self.queue.changed.notify_one();
    }

    /// Writes what is left and waits for it, for two seconds at most. Nothing is logged after
    /// that. False if nobody takes the lines.
    pub fn finish(&self) -> bool {
        let mut waiting = self.queue.lock();
        waiting.closed = true;
        self.queue.changed.notify_all();
        let (waiting, _) = self
            .queue
            .changed
            .wait_timeout_while(waiting, LAST_WRITE, |waiting| !waiting.finished)
            .unwrap_or_else(PoisonError::into_inner);
        if !waiting.finished {
            let lines = waiting.text.iter().filter(|&&byte| byte == b'\n').count();
            let lost = self.lost() + lines as u64;
            tracing::warn!(
                "nobody reads the access log: {lost} lines are lost, and what was being written"
            );
        }
        waiting.finished
    }

    /// Lines that were lost since the start: their reader was too slow, or they could
    /// not be written.
    pub fn lost(&self) -> u64 {
        self.queue.lost.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        if !self.finish() {
            return;
        }
        if let Some(writer) = self.writer.take() {
            // It has finished.
            let _ = writer.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Lines are appended whole or not at all, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.lock();
        if waiting.text.len() >= WAITING_BYTES {
            waiting.dropped += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = waiting.text.len();
        write(&mut waiting.text);
        let is_enough = before < ENOUGH_BYTES && waiting.text.len() >= ENOUGH_BYTES;
        drop(waiting);
        if before == 0 || is_enough {
            self.changed.notify_all();
        }
    }

    fn write_with(&self, writer: &mut Writer<impl Out>) {
        // Lines that a panic kept from being written.
        self.lost.fetch_add(writer.give_up(), Ordering::Relaxed);
        loop {
            let is_still = |waiting: &mut Waiting| {
                waiting.text.is_empty() && !waiting.closed && !waiting.reopen
            };
            let mut waiting = self
                .changed
                .wait_while(self.lock(), is_still)
                .unwrap_or_else(PoisonError::into_inner);
            let reopen = std::mem::take(&mut waiting.reopen);
            if waiting.text.is_empty() && !reopen {
                waiting.finished = true;
                self.changed.notify_all();
                return;
            }
            if !reopen {
                (waiting, _) = self
                    .changed
                    .wait_timeout_while(waiting, GATHERING, |waiting| {
                        waiting.text.len() < ENOUGH_BYTES && !waiting.closed && !waiting.reopen
                    })
                    .unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut writer.lines, &mut waiting.text);
            let dropped = std::mem::take(&mut waiting.dropped);
            drop(waiting);
            if dropped > 0 {
                tracing::warn!("the access log's reader is too slow: {dropped} lines are lost");
            }
            if reopen {
                writer.reopen();
            }
            self.lost.fetch_add(writer.write(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::entry::tests::entry;
    use super::file::Out;
    use super::{AccessLog, Draft, Entry, Format};
    use std::io::{self, Write};
    use std::sync::mpsc;

    /// Hands over what is written, and waits for each piece to be taken.
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

    impl Out for Pipe {
        fn reopen(&mut self) -> io::Result<()> {
            self.write_all(b"reopened\n")
        }
    }

    fn request(log: &AccessLog, entry: &Entry) {
        log.append(&log.draft(Draft::default(), entry), 12, false);
    }

    fn log(entries: &[Entry]) -> String {
        let (sender, receiver) = mpsc::sync_channel(100);
        let log = AccessLog::to(Pipe(sender), Format::Combined).expect("a thread");
        for entry in entries {
            request(&log, entry);
        }
        drop(log);
        String::from_utf8(receiver.into_iter().flatten().collect()).expect("text")
    }

    #[test]
    fn all_lines_are_written_before_it_is_gone() {
        let text = log(&[entry(b"GET /a HTTP/1.1"), entry(b"GET /b HTTP/1.1")]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("GET /a") && text.ends_with("\n"));
    }

    #[test]
    fn it_is_opened_anew_when_asked_to() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let log = AccessLog::to(Pipe(sender), Format::Combined).expect("a thread");
        log.reopen();
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

    impl Out for Panicking {
        fn reopen(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_costs_the_lines_that_were_being_written() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let out = Panicking(Pipe(sender), false);
        let log = AccessLog::to(out, Format::Combined).expect("a thread");
        request(&log, &entry(b"GET /a HTTP/1.1"));
        let began = std::time::Instant::now();
        while log.lost() == 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(20), "it does not go on");
            std::thread::yield_now();
        }
        request(&log, &entry(b"GET /b HTTP/1.1"));
        let line = String::from_utf8(receiver.recv().expect("a line")).expect("text");
        assert!(line.contains("GET /b") && !line.contains("GET /a"), "{line}");
        assert_eq!(log.lost(), 1);
    }

    #[test]
    fn a_reader_that_stalls_stops_no_one_and_costs_bounded_memory() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let log = AccessLog::to(Pipe(sender), Format::Combined).expect("a thread");
        let line = [b'a'; 1000];
        for _ in 0..5000 {
            request(&log, &entry(&line));
        }
        let waiting = log.queue.lock().text.len();
        assert!((super::WAITING_BYTES..super::WAITING_BYTES + 2000).contains(&waiting));
        assert!(log.lost() > 3000);
        // The lines that were not dropped arrive once the reader goes on.
        let reader = std::thread::spawn(move || receiver.into_iter().flatten().count());
        drop(log);
        assert!(reader.join().expect("a count") >= waiting);
    }
}
