//! The lines that wait to be written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lock::lock;

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of lines that may wait. Lines that come while there are more are lost.
    pub waiting_bytes: usize,
    /// How long a line waits for others, so that one write takes many. Waking the thread costs
    /// more than a small response.
    pub gather: Duration,
    /// Bytes that do not wait for others.
    pub enough_bytes: usize,
}

/// Lines that were not written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// Those that wait. What is being written is not among them.
    pub lines: u64,
}

/// The lines between the threads that append and the thread that writes.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to do for the thread that writes.
    more: Condvar,
    /// Lines were written or lost.
    written: Condvar,
    is_running: AtomicBool,
    /// Lines lost since the start.
    lost: AtomicU64,
    bounds: Bounds,
}

#[derive(Default)]
struct Waiting {
    /// Whole lines.
    text: Vec<u8>,
    /// Bytes of lines that are being written.
    taken: u64,
    /// Bytes of lines that were appended since the start.
    appended: u64,
    /// How much of `appended` a flush waits for.
    wanted: u64,
    /// Lines that were lost since some were taken.
    dropped: u64,
    reopen: bool,
    closed: bool,
}

/// What to do besides writing the lines that were taken.
pub(super) struct Order {
    /// Reopen the output before.
    pub(super) reopen: bool,
    /// Lines that were lost since the last order: there was no room.
    pub(super) dropped: u64,
}

impl Waiting {
    /// Bytes of lines that were written or lost since the start.
    fn done(&self) -> u64 {
        self.appended - self.text.len() as u64 - self.taken
    }
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Queue {
        Queue {
            waiting: Mutex::new(Waiting { text: room(), ..Waiting::default() }),
            more: Condvar::new(),
            written: Condvar::new(),
            is_running: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            bounds,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Lines are appended whole or not at all, whoever panicked.
        lock(&self.waiting)
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn append(&self, max_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.lock();
        let before = waiting.text.len();
        // Near the end of memory a line is lost, and not the process.
        if before >= self.bounds.waiting_bytes || waiting.text.try_reserve(max_bytes).is_err() {
            waiting.dropped += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        write(&mut waiting.text);
        let now = waiting.text.len();
        waiting.appended += (now - before) as u64;
        drop(waiting);
        if before == 0 || before < self.bounds.enough_bytes && now >= self.bounds.enough_bytes {
            self.more.notify_one();
        }
    }

    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.more.notify_one();
    }

    /// No more lines come. Gives whether a write is stuck: lines that were appended are
    /// neither written nor lost.
    pub(super) fn close(&self) -> bool {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.more.notify_one();
        waiting.done() < waiting.appended
    }

    pub(super) fn flush(&self, patience: Duration) -> Result<(), Unwritten> {
        let mut waiting = self.lock();
        let wanted = waiting.appended;
        waiting.wanted = wanted;
        self.more.notify_one();
        let (waiting, _) = self
            .written
            .wait_timeout_while(waiting, patience, |waiting| waiting.done() < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.done() < wanted {
            return Err(Unwritten { lines: count(&waiting.text) });
        }
        Ok(())
    }

    /// Waits for lines and takes them, in exchange for this room. `None` at the end: the queue
    /// is closed and empty.
    pub(super) fn take(&self, lines: &mut Vec<u8>) -> Option<Order> {
        self.is_running.store(true, Ordering::Release);
        let is_idle =
            |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.closed && !waiting.reopen;
        let mut waiting =
            self.more.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.text.is_empty() && !waiting.reopen {
            return None;
        }
        if !waiting.reopen && !self.bounds.gather.is_zero() {
            let is_early = |waiting: &mut Waiting| {
                waiting.text.len() < self.bounds.enough_bytes
                    && waiting.wanted <= waiting.done()
                    && !waiting.closed
                    && !waiting.reopen
            };
            (waiting, _) = self
                .more
                .wait_timeout_while(waiting, self.bounds.gather, is_early)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(lines, &mut waiting.text);
        waiting.taken = lines.len() as u64;
        Some(Order {
            reopen: std::mem::take(&mut waiting.reopen),
            dropped: std::mem::take(&mut waiting.dropped),
        })
    }

    /// The lines that were taken are written, but for so many, which are lost.
    pub(super) fn written(&self, lost: u64) {
        self.lost.fetch_add(lost, Ordering::Relaxed);
        self.lock().taken = 0;
        self.written.notify_all();
    }
}

/// Room for lines, so that a few can be written when there is no more memory to be had. Lines
/// that wait and lines that are being written exchange theirs.
pub(super) fn room() -> Vec<u8> {
    const BYTES: usize = 16 << 10;
    Vec::with_capacity(BYTES)
}

/// The number of lines.
pub(super) fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}
