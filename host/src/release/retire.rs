//! Frees what was replaced, after its last request.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::active::Active;
use super::generation::Generation;
use crate::clock;
use crate::guest::LoadedGuest;

/// How often what was replaced is looked at, whether its last request is done. None takes longer
/// than its wait for a thread and its deadline, and than a disk.
const DRAIN_TICK: Duration = Duration::from_millis(1);

/// The same for a site that was removed: a download of it may take hours.
const SITE_TICK: Duration = Duration::from_millis(100);

/// What was replaced.
pub(super) enum Retired {
    Generation(RetiredGeneration),
    /// A site, with all that it has.
    Site(Arc<dyn Any + Send + Sync>),
}

/// A generation that was replaced.
pub(super) struct RetiredGeneration {
    /// What it served in.
    pub(super) active: Arc<Active>,
    pub(super) generation: Arc<Generation>,
    pub(super) at: Instant,
}

/// What waits for its last request, of all sites.
#[derive(Default)]
pub(super) struct Retirement {
    generations: Vec<RetiredGeneration>,
    guests: Vec<(Arc<LoadedGuest>, Instant)>,
    sites: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Retirement {
    /// Works until nothing can be replaced any more.
    pub(super) fn work(&mut self, retired: &Receiver<Retired>) {
        loop {
            let is_soon = !(self.generations.is_empty() && self.guests.is_empty());
            let next = match (is_soon, self.sites.is_empty()) {
                (true, _) => retired.recv_timeout(DRAIN_TICK),
                (false, false) => retired.recv_timeout(SITE_TICK),
                (false, true) => retired.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(Retired::Generation(retired)) => self.generations.push(retired),
                Ok(Retired::Site(site)) => self.sites.push(site),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look();
        }
    }

    /// Frees what is not in use any longer.
    fn look(&mut self) {
        self.sites.retain(|site| Arc::strong_count(site) > 1);
        for RetiredGeneration { active, generation, at } in std::mem::take(&mut self.generations) {
            match Arc::try_unwrap(generation) {
                Ok(Generation { guest, .. }) => self.wait_for(&active, guest, at),
                Err(generation) => {
                    self.generations.push(RetiredGeneration { active, generation, at })
                }
            }
        }
        for (guest, at) in std::mem::take(&mut self.guests) {
            let digest = guest.digest();
            match Arc::try_unwrap(guest) {
                Ok(unused) => {
                    drop(unused);
                    let elapsed_ms = clock::millis(at.elapsed());
                    tracing::info!(guest = %digest, elapsed_ms, "guest freed");
                }
                Err(guest) => self.guests.push((guest, at)),
            }
        }
    }

    /// A guest is in use longer than its generation: by another one, or by a decision that no
    /// client waits for any more.
    fn wait_for(&mut self, active: &Active, guest: Arc<LoadedGuest>, at: Instant) {
        let is_known = self.guests.iter().any(|(known, _)| Arc::ptr_eq(known, &guest));
        if !is_known && !active.keeps(&guest) {
            self.guests.push((guest, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Retired, Retirement};
    use std::sync::{Arc, mpsc};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    /// Tells the thread that frees it.
    struct Noting(mpsc::Sender<ThreadId>);

    impl Drop for Noting {
        fn drop(&mut self) {
            // The test may be over.
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn removed_site_is_freed_by_the_thread_for_that() {
        let (retired, receiver) = mpsc::channel();
        let thread = thread::spawn(move || Retirement::default().work(&receiver));
        let (sender, freed) = mpsc::channel();
        let site = Arc::new(Noting(sender));
        // A request has it.
        let in_use = Arc::clone(&site);
        retired.send(Retired::Site(site)).expect("a thread");
        assert!(freed.recv_timeout(Duration::from_millis(50)).is_err());
        drop(in_use);
        assert_eq!(freed.recv_timeout(Duration::from_secs(20)), Ok(thread.thread().id()));
        drop(retired);
        thread.join().expect("it ends");
    }
}
