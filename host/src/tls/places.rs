//! The places for handshakes in progress, of one worker.
//!
//! A flood of connections that begin a handshake and never end it must not have all places: once
//! there is none left, the handshake ends that has been in progress for longest. Those of a crowd of
//! honest clients take less time than [`GRACE`], and wait for one another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::lock::lock;
use crate::transport::eviction;

/// How long a handshake has a place whoever waits for one: three exchanges with the far side of
/// the world.
const GRACE: Duration = Duration::from_secs(1);

/// The places of one worker.
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

/// Those that are taken, oldest first.
#[derive(Default)]
struct Taken {
    next: u64,
    handshakes: BTreeMap<u64, (Instant, oneshot::Sender<()>)>,
}

/// The place of one handshake, until it is dropped.
pub(super) struct Place<'p> {
    places: &'p Places,
    number: u64,
    wanted: oneshot::Receiver<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(count: usize) -> Places {
        Places { free: Arc::new(Semaphore::new(count)), taken: Mutex::default() }
    }

    /// Takes one, and waits for it if there is none.
    pub(super) async fn take(&self) -> Place<'_> {
        let permit = eviction::take(&self.free, || self.want_one()).await;
        let (sender, wanted) = oneshot::channel();
        let mut taken = self.taken();
        let number = taken.next;
        taken.next += 1;
        taken.handshakes.insert(number, (Instant::now(), sender));
        Place { places: self, number, wanted, _permit: permit }
    }

    /// Ends the handshake that has been in progress for longest, if that is too long. Returns how
    /// long to wait before asking again.
    fn want_one(&self) -> Duration {
        let mut taken = self.taken();
        let Some(oldest) = taken.handshakes.first_entry() else { return GRACE };
        let age = oldest.get().0.elapsed();
        if age < GRACE {
            return GRACE - age;
        }
        let (_, sender) = oldest.remove();
        // It may have just ended.
        let _ = sender.send(());
        GRACE
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }
}

impl Place<'_> {
    /// Waits until another handshake wants this place.
    pub(super) async fn is_wanted(&mut self) {
        // An error would mean that it was given away without a word, which never happens.
        let _ = (&mut self.wanted).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.taken().handshakes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::{GRACE, Places};

    #[tokio::test(start_paused = true)]
    async fn crowd_waits_and_handshake_that_lasts_gives_way() {
        let places = Places::new(2);
        let mut first = places.take().await;
        let second = places.take().await;
        assert!(timeout(GRACE / 2, places.take()).await.is_err(), "both are in time");
        drop(second);
        let mut third = places.take().await;
        assert!(timeout(Duration::ZERO, first.is_wanted()).await.is_err());
        advance(GRACE).await;
        let (fourth, ()) = tokio::join!(places.take(), async {
            first.is_wanted().await;
            drop(first);
        });
        assert!(timeout(Duration::ZERO, third.is_wanted()).await.is_err(), "it is younger");
        drop((third, fourth));
        assert_eq!(places.taken().handshakes.len(), 0);
        assert_eq!(places.free.available_permits(), 2);
    }
}
