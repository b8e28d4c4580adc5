//! Who goes first on a worker: whoever wants one small answer, before those who want much.
//!
//! All that goes on after a first answer or a first piece of a file waits for a turn, and
//! so does what has more than 64 KiB to send. A worker gives a few at a time, to those that
//! waited longest, and only once it has looked for new requests and answered them. So a new
//! request waits for a few such pieces, and not for one of each client that wants many.
//!
//! And how much is made ready for them: the kernel takes up to 4 MiB of an answer in
//! advance, which for a thousand clients that read nothing is all the memory it has for
//! connections. Then it drops what arrives for others, too.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Bytes that need no turn: sending them takes no longer than another answer.
pub(super) const SMALL_BYTES: u64 = 64 << 10;

/// Turns that a worker gives between one look for new requests and the next.
const AT_A_TIME: usize = 4;

/// From so many clients of a worker on that do not take what was sent to them, others on it
/// have no more bytes of their answers made ready than this. It costs large files up to half
/// as much CPU time again, which is why there is no such limit beside a few; and each such
/// client takes up to 4 MiB, 0.3 MiB and 30 KiB of the kernel's memory (benches/README.md,
/// "Rude clients, and a long time").
const READY_BYTES: [(usize, u32); 2] = [(512, 16 << 10), (16, 128 << 10)];

/// The turns of all workers.
#[derive(Debug)]
pub struct Turns(Box<[Turn]>);

/// The turns of one worker. On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Turn {
    next: Semaphore,
    stalled: AtomicUsize,
}

/// A client that does not take what was sent to it, until this is dropped.
pub(super) struct Stalled<'a>(&'a AtomicUsize);

impl Turns {
    /// For so many workers.
    pub fn new(workers: usize) -> Turns {
        let turn = || Turn { next: Semaphore::new(AT_A_TIME), stalled: AtomicUsize::new(0) };
        Turns(std::iter::repeat_with(turn).take(workers).collect())
    }

    /// Those of the worker with this number, from 0.
    pub(super) fn of(&self, worker: usize) -> &Turn {
        &self.0[worker]
    }
}

impl Turn {
    /// Waits for a turn, which lasts until the task waits again.
    pub(super) async fn wait(&self) {
        // An error would mean that the semaphore was closed, which nobody does.
        let _one = self.next.acquire().await;
        // tokio goes on with this when nothing else can be done, after a look at the sockets.
        yield_now().await;
    }

    /// Counts a client that takes nothing more at the moment.
    pub(super) fn stalled(&self) -> Stalled<'_> {
        self.stalled.fetch_add(1, Ordering::Relaxed);
        Stalled(&self.stalled)
    }

    /// How many bytes of an answer may be made ready, beside as many of them as there are.
    /// `None` for as many as the kernel wants.
    pub(super) fn ready_bytes(&self) -> Option<u32> {
        let stalled = self.stalled.load(Ordering::Relaxed);
        READY_BYTES.iter().find(|(crowd, _)| stalled >= *crowd).map(|&(_, bytes)| bytes)
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    use super::{AT_A_TIME, Turns};

    #[test]
    fn what_arrives_waits_for_a_few_turns_and_not_for_one_of_each() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.expect("a runtime");
        let one_who_asks = runtime.spawn(async {
            let turns = Arc::new((Turns::new(1), AtomicUsize::new(0)));
            for _ in 0..200 {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    loop {
                        turns.0.of(0).wait().await;
                        turns.1.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let (mut client, server) = std::os::unix::net::UnixStream::pair().expect("sockets");
            server.set_nonblocking(true).expect("a socket");
            let mut server = UnixStream::from_std(server).expect("a socket");
            let mut given = 0;
            for _ in 0..100 {
                // A look at an empty socket, so that it has to wait for what arrives.
                assert!(server.try_read(&mut [0]).is_err());
                client.write_all(b"?").expect("sent");
                server.read_u8().await.expect("received");
                let now = turns.1.load(Ordering::Relaxed);
                assert!(now - given <= 2 * AT_A_TIME, "{} turns came first", now - given);
                given = now;
            }
            assert!(given >= 100, "whoever waits for a turn gets one, too: {given}");
        });
        runtime.block_on(one_who_asks).expect("no fault");
    }

    #[test]
    fn the_larger_the_crowd_the_less_is_made_ready_as_long_as_it_is_there() {
        let turns = Turns::new(2);
        let mut stalled = Vec::new();
        for count in 1..=512 {
            stalled.push(turns.of(1).stalled());
            let expected = match count {
                ..16 => None,
                16..512 => Some(128 << 10),
                _ => Some(16 << 10),
            };
            assert_eq!(turns.of(1).ready_bytes(), expected, "beside {count}");
        }
        assert_eq!(turns.of(0).ready_bytes(), None);
        stalled.pop();
        assert_eq!(turns.of(1).ready_bytes(), Some(128 << 10));
        stalled.truncate(15);
        assert_eq!(turns.of(1).ready_bytes(), None);
    }
}
