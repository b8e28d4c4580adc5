//! The order in which the connections of a worker send: small responses before large ones.
//!
//! All that goes on after a first response or a first piece of a file waits for a slot, and
//! so does what has more than 64 KiB to send. A worker has a few slots, for those that
//! waited longest, and gives them only once it has looked for new requests and answered them. So
//! a new request waits for a few such pieces, and not for one of each client that wants many.

use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::unsent::Unsent;

/// Bytes that need no slot: sending them takes no longer than another response.
pub(crate) const UNSCHEDULED_BYTES: u64 = 64 << 10;

/// Slots that a worker gives between one look for new requests and the next.
const SLOTS: usize = 4;

/// The schedulers of all workers.
#[derive(Debug)]
pub struct SendScheduler(Box<[WorkerScheduler]>);

/// The scheduler of one worker. On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct WorkerScheduler {
    slots: Semaphore,
    /// What the kernel holds for the clients of this worker.
    pub(super) unsent: Unsent,
}

impl SendScheduler {
    /// For this number of workers.
    pub fn new(workers: usize) -> SendScheduler {
        let scheduler =
            || WorkerScheduler { slots: Semaphore::new(SLOTS), unsent: Unsent::default() };
        SendScheduler(std::iter::repeat_with(scheduler).take(workers).collect())
    }

    /// That of the worker with this number, from 0.
    pub(crate) fn of(&self, worker: usize) -> &WorkerScheduler {
        &self.0[worker]
    }
}

impl WorkerScheduler {
    /// Waits for a slot, which lasts until the task waits again.
    pub(crate) async fn slot(&self) {
        // An error would mean that the semaphore was closed, which never happens.
        let _one = self.slots.acquire().await;
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

    use super::{SLOTS, SendScheduler};

    #[test]
    fn new_request_waits_for_a_few_slots_and_not_for_one_of_each_client() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.expect("a runtime");
        let one_client = runtime.spawn(async {
            let slots = Arc::new((SendScheduler::new(1), AtomicUsize::new(0)));
            for _ in 0..200 {
                let slots = Arc::clone(&slots);
                tokio::spawn(async move {
                    loop {
                        slots.0.of(0).slot().await;
                        slots.1.fetch_add(1, Ordering::Relaxed);
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
                let now = slots.1.load(Ordering::Relaxed);
                assert!(now - given <= 2 * SLOTS, "{} slots came first", now - given);
                given = now;
            }
            assert!(given >= 100, "those that wait for a slot get one, too: {given}");
        });
        runtime.block_on(one_client).expect("no fault");
    }
}
