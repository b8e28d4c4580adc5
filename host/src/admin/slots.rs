//! The slots for connections to the administration, and which connection ends for a new one.
//!
//! Silent connections must not keep out a health probe: for a new connection the one ends that
//! has been idle for longest.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::lock::lock;
use crate::transport::eviction;

/// How long a connection may be silent, whatever waits: a request that was sent with it has
/// been read by then. 128 of them, as many as may wait to be accepted, and 32 at a time, make
/// room within a second.
const GRACE: Duration = Duration::from_millis(250);

/// All slots.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Vec<Arc<Use>>>>,
    epoch: Instant,
}

/// The use of a slot.
struct Use {
    /// Requests in progress.
    responding: AtomicUsize,
    /// When its last request ended, or it was taken, in milliseconds since the start.
    since: AtomicU64,
    wanted: Notify,
}

/// The slot of one connection, until it is dropped.
pub(super) struct Slot {
    used: Arc<Use>,
    taken: Arc<Mutex<Vec<Arc<Use>>>>,
    epoch: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A request in progress, until it is dropped.
pub(super) struct Responding(Arc<Use>, Instant);

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        let free = Arc::new(Semaphore::new(count));
        Slots { free, taken: Arc::default(), epoch: Instant::now() }
    }

    /// Takes one. If there is none, the connection that has been idle for longest ends.
    pub(super) async fn take(&self) -> Slot {
        let permit = eviction::take(&self.free, || self.want_one()).await;
        let now = milliseconds(self.epoch.elapsed());
        let used = Arc::new(Use {
            responding: AtomicUsize::new(0),
            since: AtomicU64::new(now),
            wanted: Notify::new(),
        });
        lock(&self.taken).push(Arc::clone(&used));
        Slot { used, taken: Arc::clone(&self.taken), epoch: self.epoch, _permit: permit }
    }

    /// Asks the connection that has been idle for longest to end. Returns how long to wait before
    /// asking again.
    fn want_one(&self) -> Duration {
        let taken = lock(&self.taken);
        let idle = taken.iter().filter(|used| used.responding.load(Ordering::Acquire) == 0);
        let Some(longest) = idle.min_by_key(|used| used.since.load(Ordering::Acquire)) else {
            return GRACE;
        };
        let since = Duration::from_millis(longest.since.load(Ordering::Acquire));
        let ready_in = (since + GRACE).saturating_sub(self.epoch.elapsed());
        if ready_in.is_zero() {
            longest.wanted.notify_one();
            return GRACE;
        }
        ready_in
    }
}

impl Slot {
    /// A request begins.
    pub(super) fn begin(&self) -> Responding {
        self.used.responding.fetch_add(1, Ordering::AcqRel);
        Responding(Arc::clone(&self.used), self.epoch)
    }

    /// Waits until another connection wants this slot and no request is in progress.
    pub(super) async fn is_wanted(&self) {
        loop {
            self.used.wanted.notified().await;
            if self.used.responding.load(Ordering::Acquire) == 0 {
                return;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.taken).retain(|used| !Arc::ptr_eq(used, &self.used));
    }
}

impl Drop for Responding {
    fn drop(&mut self) {
        let Responding(used, epoch) = self;
        used.since.store(milliseconds(epoch.elapsed()), Ordering::Release);
        used.responding.fetch_sub(1, Ordering::AcqRel);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{GRACE, Slots};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::{Instant, advance, timeout};

    #[tokio::test(start_paused = true)]
    async fn place_that_has_been_idle_for_longest_is_wanted() {
        let slots = Arc::new(Slots::new(3));
        let first = slots.take().await;
        advance(Duration::from_millis(10)).await;
        let second = slots.take().await;
        advance(Duration::from_millis(10)).await;
        let third = slots.take().await;
        // It was silent longest, but has a request.
        let responding = first.begin();
        let waits = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { drop(slots.take().await) }
        });
        let began = Instant::now();
        second.is_wanted().await;
        assert!(began.elapsed() >= GRACE - Duration::from_millis(20));
        drop(second);
        waits.await.expect("no panic");
        assert!(timeout(Duration::from_secs(5), first.is_wanted()).await.is_err());
        drop(responding);
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_ends_while_all_have_requests() {
        let slots = Slots::new(1);
        let only = slots.take().await;
        let responding = only.begin();
        assert!(timeout(Duration::from_secs(60), slots.take()).await.is_err());
        drop(responding);
        let waits = async { drop(slots.take().await) };
        tokio::join!(waits, async {
            only.is_wanted().await;
            drop(only);
        });
    }
}
