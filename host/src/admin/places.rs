//! How many connections the administration has at a time, and which one makes room.
//!
//! Who asks for the server's health must not be kept out by connections that are silent: for
//! a new one that connection ends which has asked for nothing for longest.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a connection may be silent, whoever waits: a request that was sent with it has
/// been read by then. 128 of them, as many as may wait to be accepted, and 32 at a time, make
/// room within a second.
const GRACE: Duration = Duration::from_millis(250);

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Vec<Arc<Use>>>>,
    epoch: Instant,
}

/// How a place is used.
struct Use {
    /// Requests that are being answered.
    answering: AtomicUsize,
    /// When it last began or ended to be used, in milliseconds of its places.
    since: AtomicU64,
    wanted: Notify,
}

/// A place for one connection, until it is dropped.
pub(super) struct Place {
    used: Arc<Use>,
    taken: Arc<Mutex<Vec<Arc<Use>>>>,
    epoch: Instant,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A request that is being answered, until it is dropped.
pub(super) struct Answering(Arc<Use>, Instant);

impl Places {
    pub(super) fn new(count: usize) -> Places {
        let free = Arc::new(Semaphore::new(count));
        Places { free, taken: Arc::default(), epoch: Instant::now() }
    }

    /// Takes one, and has one that is idle given back if there is no other.
    pub(super) async fn take(&self) -> Place {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break Some(permit);
            }
            let ready_in = self.want_one();
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(ready_in, free).await {
                // It is never closed.
                break permit.ok();
            }
        };
        let now = milliseconds(self.epoch.elapsed());
        let used = Arc::new(Use {
            answering: AtomicUsize::new(0),
            since: AtomicU64::new(now),
            wanted: Notify::new(),
        });
        lock(&self.taken).push(Arc::clone(&used));
        Place { used, taken: Arc::clone(&self.taken), epoch: self.epoch, _permit: permit }
    }

    /// Asks the one that has been idle for longest to end. Tells how long it may take until
    /// asking again may help.
    fn want_one(&self) -> Duration {
        let taken = lock(&self.taken);
        let idle = taken.iter().filter(|used| used.answering.load(Ordering::Acquire) == 0);
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

impl Place {
    /// A request is answered from now on.
    pub(super) fn begin(&self) -> Answering {
        self.used.answering.fetch_add(1, Ordering::AcqRel);
        Answering(Arc::clone(&self.used), self.epoch)
    }

    /// Waits until somebody else wants this place and nothing is being answered here.
    pub(super) async fn is_wanted(&self) {
        loop {
            self.used.wanted.notified().await;
            if self.used.answering.load(Ordering::Acquire) == 0 {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).retain(|used| !Arc::ptr_eq(used, &self.used));
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Answering(used, epoch) = self;
        used.since.store(milliseconds(epoch.elapsed()), Ordering::Release);
        used.answering.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change of a list is one step, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{GRACE, Places};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::{Instant, advance, timeout};

    #[tokio::test(start_paused = true)]
    async fn place_that_has_been_idle_for_longest_is_wanted() {
        let places = Arc::new(Places::new(3));
        let first = places.take().await;
        advance(Duration::from_millis(10)).await;
        let second = places.take().await;
        advance(Duration::from_millis(10)).await;
        let third = places.take().await;
        // It was silent longest, but is being answered.
        let answering = first.begin();
        let waits = tokio::spawn({
            let places = Arc::clone(&places);
            async move { drop(places.take().await) }
        });
        let began = Instant::now();
        second.is_wanted().await;
        assert!(began.elapsed() >= GRACE - Duration::from_millis(20));
        drop(second);
        waits.await.expect("no panic");
        assert!(timeout(Duration::from_secs(5), first.is_wanted()).await.is_err());
        drop(answering);
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_makes_room_while_all_are_answered() {
        let places = Places::new(1);
        let only = places.take().await;
        let answering = only.begin();
        assert!(timeout(Duration::from_secs(60), places.take()).await.is_err());
        drop(answering);
        let waits = async { drop(places.take().await) };
        tokio::join!(waits, async {
            only.is_wanted().await;
            drop(only);
        });
    }
}
