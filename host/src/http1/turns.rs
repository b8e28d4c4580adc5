//! Who goes first on a worker: whoever wants one small answer, before those who want much.
//!
//! All that goes on after a first answer or a first piece of a file waits for a turn, and
//! so does what has more than 64 KiB to send. A worker gives a few at a time, to those that
//! waited longest, and only once it has looked for new requests and answered them. So a new
//! request waits for a few such pieces, and not for one of each client that wants many.

use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::unsent::Unsent;

/// Bytes that need no turn: sending them takes no longer than another answer.
pub(super) const SMALL_BYTES: u64 = 64 << 10;

/// Turns that a worker gives between one look for new requests and the next.
const AT_A_TIME: usize = 4;

/// The turns of all workers.
#[derive(Debug)]
pub struct Turns(Box<[Turn]>);

/// The turns of one worker. On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Turn {
    next: Semaphore,
    /// What the kernel holds for the clients of this worker.
    pub(super) unsent: Unsent,
}

impl Turns {
    /// For so many workers.
    pub fn new(workers: usize) -> Turns {
        let turn = || Turn { next: Semaphore::new(AT_A_TIME), unsent: Unsent::default() };
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
}
