//! The access log: one line a request, in the combined format, on standard output.
//!
//! A line is handed over in memory and written by a thread of its own, many at a
//! time: a reader that stalls stops no worker. What does not fit into the bounded
//! buffer meanwhile is dropped and counted.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock;

/// Bytes of lines that may wait to be written: a few thousand requests, or a
/// tenth of a second at full speed. A reader that is slower than that for longer
/// loses lines.
const WAITING_BYTES: usize = 1 << 20;

/// How long a line waits for others, so that many are written at a time. Waking the
/// writer costs a worker more than answering a small request.
const GATHERING: Duration = Duration::from_millis(50);

/// So many bytes do not wait.
const ENOUGH_BYTES: usize = 64 << 10;

/// Where lines are handed over. Dropping it writes what is left and waits for it.
pub struct AccessLog {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// One request and its answer.
pub struct Entry<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The request line, as far as it was received.
    pub line: &'a [u8],
    /// The answer's status.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub body_bytes: u64,
    /// `Referer`, if there was one.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`, if there was one.
    pub user_agent: Option<&'a [u8]>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    closed: bool,
}

impl AccessLog {
    /// Starts the thread that writes to `out`.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<AccessLog> {
        let queue = Arc::new(Queue::default());
        let writer = thread::Builder::new().name("access-log".to_owned()).spawn({
            let queue = Arc::clone(&queue);
            move || queue.write_to(out)
        })?;
        Ok(AccessLog { queue, writer: Some(writer) })
    }

    /// Logs one request.
    pub fn request(&self, entry: &Entry) {
        let date = clock::log_date();
        self.queue.append(|text| write_combined(text, &date, entry));
    }

    /// Logs the head of a request as it came in, for who wants to see one. Bytes
    /// other than printable ASCII are escaped, line ends are kept.
    pub fn head(&self, client: IpAddr, head: &[u8]) {
        self.queue.append(|text| {
            text.extend_from_slice(format!("--- from {client}\n").as_bytes());
            for line in head.split(|&byte| byte == b'\n') {
                escape(text, line.strip_suffix(b"\r").unwrap_or(line));
                text.push(b'\n');
            }
        });
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
        if let Some(writer) = self.writer.take() {
            // It panics only if `out` does; there is nothing left to lose then.
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
            return;
        }
        let before = waiting.text.len();
        write(&mut waiting.text);
        let is_enough = before < ENOUGH_BYTES && waiting.text.len() >= ENOUGH_BYTES;
        drop(waiting);
        if before == 0 || is_enough {
            self.changed.notify_one();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        let mut out_is_broken = false;
        loop {
            let mut waiting = self
                .changed
                .wait_while(self.lock(), |waiting| waiting.text.is_empty() && !waiting.closed)
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.text.is_empty() {
                return;
            }
            (waiting, _) = self
                .changed
                .wait_timeout_while(waiting, GATHERING, |waiting| {
                    waiting.text.len() < ENOUGH_BYTES && !waiting.closed
                })
                .unwrap_or_else(PoisonError::into_inner);
            batch.clear();
            std::mem::swap(&mut batch, &mut waiting.text);
            let dropped = std::mem::take(&mut waiting.dropped);
            drop(waiting);
            if dropped > 0 {
                tracing::warn!("the access log's reader is too slow: {dropped} lines are lost");
            }
            match out.write_all(&batch).and_then(|()| out.flush()) {
                Ok(()) => out_is_broken = false,
                Err(_) if out_is_broken => {}
                Err(error) => {
                    tracing::warn!("cannot write the access log: {error}");
                    out_is_broken = true;
                }
            }
        }
    }
}

/// Writes one line: `client - - [date] "line" status bytes "referer" "agent"`.
fn write_combined(text: &mut Vec<u8>, date: &str, entry: &Entry) {
    let mut write = |part: std::fmt::Arguments| {
        text.write_fmt(part).expect("writing to memory cannot fail");
    };
    write(format_args!("{} - - [{date}] \"", entry.client));
    escape(text, entry.line);
    text.write_fmt(format_args!("\" {} {}", entry.status, entry.body_bytes))
        .expect("writing to memory cannot fail");
    for field in [entry.referer, entry.user_agent] {
        text.extend_from_slice(b" \"");
        escape(text, field.unwrap_or(b"-"));
        text.push(b'"');
    }
    text.push(b'\n');
}

/// Appends bytes so that they can neither end the line nor the quotes, nor mean
/// anything to a terminal: all but printable ASCII as `\xHH`, and `"` and `\`
/// with a backslash.
fn escape(text: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            _ => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessLog, Entry};
    use std::io::{self, Write};
    use std::net::{IpAddr, Ipv4Addr};
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

    fn entry(line: &[u8]) -> Entry<'_> {
        Entry {
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            line,
            status: 200,
            body_bytes: 12,
            referer: None,
            user_agent: Some(b"a\"b"),
        }
    }

    fn log(entries: &[Entry]) -> String {
        let (sender, receiver) = mpsc::sync_channel(100);
        let log = AccessLog::to(Pipe(sender)).expect("a thread");
        for entry in entries {
            log.request(entry);
        }
        drop(log);
        String::from_utf8(receiver.into_iter().flatten().collect()).expect("text")
    }

    #[test]
    fn the_combined_format() {
        let text = log(&[entry(b"GET / HTTP/1.1")]);
        let (client, rest) = text.split_once(" [").expect("a date");
        let (_, rest) = rest.split_once("] ").expect("the rest");
        assert_eq!(client, "127.0.0.1 - -");
        assert_eq!(rest, "\"GET / HTTP/1.1\" 200 12 \"-\" \"a\\\"b\"\n");
    }

    #[test]
    fn no_request_can_forge_a_line() {
        let text = log(&[entry(b"GET /\r\n127.0.0.1 \x1b[2J \xff HTTP/1.1")]);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains(r"GET /\x0d\x0a127.0.0.1 \x1b[2J \xff HTTP/1.1"));
    }

    #[test]
    fn a_reader_that_stalls_stops_no_one_and_costs_bounded_memory() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let log = AccessLog::to(Pipe(sender)).expect("a thread");
        let line = [b'a'; 1000];
        for _ in 0..5000 {
            log.request(&entry(&line));
        }
        let waiting = log.queue.lock().text.len();
        assert!((super::WAITING_BYTES..super::WAITING_BYTES + 2000).contains(&waiting));
        // The lines that were not dropped arrive once the reader goes on.
        let reader = std::thread::spawn(move || receiver.into_iter().flatten().count());
        drop(log);
        assert!(reader.join().expect("a count") >= waiting);
    }
}
