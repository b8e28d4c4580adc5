//! Diagnostics: what innkeeper says on standard error.
//!
//! While it serves, a line is handed over in memory and written by a thread of its own: who
//! reads standard error and stalls stops nobody, and neither does a client that asks for
//! what is worth a line, again and again. What does not fit into the bounded buffer
//! meanwhile is dropped and counted.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tracing::Level;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::prelude::*;

use crate::clock;
use crate::log::entry::escape;
use crate::supervise;
use crate::text::{Escaping, escaped, plain_json};

/// Bytes of lines that may wait to be written: a thousand and more.
const WAITING_BYTES: usize = 256 << 10;

/// How long the end waits for the last lines to be written: long enough for who reads, and
/// who stops the server wants it to stop also when nobody does.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How long it rests where standard error does not wait until there is room.
const FULL_REST: Duration = Duration::from_millis(10);

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A line for people, in colour on a terminal
    Text,
    /// A JSON object on each line
    Json,
}

/// There is one for a process, as there is one standard error.
static QUEUE: Queue = Queue {
    waiting: Mutex::new(Waiting { text: Vec::new(), lost: 0, is_writing: false }),
    changed: Condvar::new(),
    is_used: AtomicBool::new(false),
    is_json: AtomicBool::new(false),
    lost: AtomicU64::new(0),
};

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Whether there is a thread that writes.
    is_used: AtomicBool,
    is_json: AtomicBool,
    /// Lines that were dropped since the start.
    lost: AtomicU64,
}

struct Waiting {
    text: Vec<u8>,
    /// Lines that were dropped since some were written.
    lost: u64,
    is_writing: bool,
}

/// Begins, at these levels. Whoever has a line writes it.
pub fn start(levels: Targets, form: Form) {
    QUEUE.is_json.store(form == Form::Json, Ordering::Relaxed);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(|| Out)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    let layer = match form {
        // A line is one line, whatever is told.
        Form::Text => {
            let fields = debug_fn(|to, field, value| match field.name() {
                "message" => write!(Escaping(to), "{value:?}"),
                name => write!(Escaping(to), "{name}={value:?}"),
            });
            layer.fmt_fields(fields.delimited(" ")).boxed()
        }
        Form::Json => layer.json().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(levels)).init();
}

/// From now on a thread of its own writes them. It has what the calling thread has not given
/// up.
pub fn hand_over() -> io::Result<()> {
    let write = || {
        supervise::thread("diagnostics", || {
            // Not before it runs: without memory its start may end the process.
            QUEUE.is_used.store(true, Ordering::Release);
            QUEUE.write_to(&mut io::stderr());
            Ok(())
        });
    };
    thread::Builder::new().name("diagnostics".to_owned()).spawn(write).map(drop)
}

/// Says a line whatever the levels are.
pub fn say(line: fmt::Arguments<'_>) {
    told(Level::INFO, &escaped(&line.to_string()));
}

/// Says why the program ends.
pub fn complain(line: fmt::Arguments<'_>) {
    told(Level::ERROR, &escaped(&line.to_string()));
}

/// Shows lines of another program, whatever the levels are.
pub fn show(lines: &str) {
    let lines: Vec<_> =
        lines.lines().map(|line| escaped(&line.replace('\t', "    ")).into_owned()).collect();
    told(Level::INFO, &lines.join("\n"));
}

fn told(level: Level, line: &str) {
    let line = if QUEUE.is_json.load(Ordering::Relaxed) {
        // As the lines of `tracing` have it.
        let timestamp = clock::rfc3339_of(SystemTime::now());
        let fields = serde_json::json!({ "message": line });
        let level = level.as_str();
        serde_json::json!({ "timestamp": timestamp, "level": level, "fields": fields }).to_string()
    } else {
        line.to_owned()
    };
    // Where nothing can be said, as on a full disk, serving goes on all the same;
    // `eprintln` would panic.
    let _ = Out.write_all(format!("{line}\n").as_bytes());
}

/// Says the head of a request as it came in, for who wants to see one. No line of it looks
/// like one of another client's; bytes other than printable ASCII are escaped.
pub fn head(client: IpAddr, head: &[u8]) {
    let mut text = format!("--- from {client}").into_bytes();
    let lines = head.trim_ascii_end().split(|&byte| byte == b'\n');
    for line in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        text.extend_from_slice(b"\n> ");
        escape(&mut text, line);
    }
    told(Level::INFO, &String::from_utf8_lossy(&text));
}

/// Lines that were lost since the start: their reader was too slow.
pub fn lost() -> u64 {
    QUEUE.lost.load(Ordering::Relaxed)
}

/// Calls [`finish`] when it is dropped, also by a panic.
pub struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        finish();
    }
}

/// Waits until all is written, for a second at most. To be called at the end.
pub fn finish() {
    let is_left = |waiting: &mut Waiting| waiting.is_writing || !waiting.text.is_empty();
    if QUEUE.is_used.load(Ordering::Acquire) {
        drop(QUEUE.changed.wait_timeout_while(QUEUE.lock(), LAST_WRITE, is_left));
    }
}

/// Takes lines, one in each write. To write one does not fail: there is nobody to tell.
struct Out;

impl Write for Out {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let json;
        let text = match std::str::from_utf8(line) {
            Ok(text) if QUEUE.is_json.load(Ordering::Relaxed) => {
                json = plain_json(text);
                json.as_bytes()
            }
            _ => line,
        };
        if QUEUE.is_used.load(Ordering::Acquire) {
            QUEUE.append(text);
        } else {
            // On a full disk nothing can be said.
            let _ = io::stderr().write_all(text);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Lines are appended whole or not at all, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() >= WAITING_BYTES {
            waiting.lost += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.text.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Writes what comes, for ever.
    fn write_to(&self, out: &mut impl Write) {
        let mut text = Vec::new();
        let mut untold = 0;
        loop {
            let mut waiting = self.lock();
            waiting.is_writing = false;
            self.changed.notify_all();
            let is_empty = |waiting: &mut Waiting| waiting.text.is_empty();
            waiting =
                self.changed.wait_while(waiting, is_empty).unwrap_or_else(PoisonError::into_inner);
            text.clear();
            std::mem::swap(&mut text, &mut waiting.text);
            waiting.is_writing = true;
            untold += std::mem::take(&mut waiting.lost);
            drop(waiting);
            let lost = write(out, &text);
            self.lost.fetch_add(lost, Ordering::Relaxed);
            untold += lost;
            // Only once something can be written again.
            if lost == 0 && untold > 0 {
                tracing::warn!("nobody read standard error for a while: {untold} lines are lost");
                untold = 0;
            }
        }
    }
}

/// Writes lines. Gives how many of them are lost, as it fails: nobody could be told.
fn write(out: &mut impl Write, mut text: &[u8]) -> u64 {
    while !text.is_empty() {
        match out.write(text) {
            Ok(written) if written > 0 => text = &text[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody else who has it may have made it so.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_REST),
            Ok(_) | Err(_) => {
                // What was begun must not run into what follows.
                let _ = out.write(b"\n");
                return text.iter().filter(|&&byte| byte == b'\n').count() as u64;
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::write;
    use std::io;

    /// Takes a few bytes at a time, and fails in these ways before some of them.
    struct Moody(Vec<u8>, Vec<Option<io::ErrorKind>>);

    impl io::Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(Some(kind)) = self.1.pop() {
                return Err(kind.into());
            }
            let count = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_can_be_written_after_a_while_is_not_lost() {
        use io::ErrorKind::{Interrupted, WouldBlock};
        let mut out = Moody(Vec::new(), vec![Some(WouldBlock), None, Some(Interrupted)]);
        assert_eq!(write(&mut out, b"one\ntwo\n"), 0);
        assert_eq!(out.0, b"one\ntwo\n");
    }

    #[test]
    fn what_is_lost_is_counted_and_does_not_run_into_what_follows() {
        let mut out = Moody(Vec::new(), vec![Some(io::ErrorKind::StorageFull), None, None]);
        assert_eq!(write(&mut out, b"one\ntwo\nthree\n"), 2);
        assert_eq!(write(&mut out, b"four\n"), 0);
        assert_eq!(out.0, b"one\ntw\nfour\n");
    }
}
