//! Frees what was replaced, after its last request.

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

/// A generation that was replaced.
pub(super) struct Retired {
    /// What it served in.
    pub(super) active: Arc<Active>,
    pub(super) generation: Arc<Generation>,
    pub(super) at: Instant,
}

/// What waits for its last request, of all sites.
#[derive(Default)]
pub(super) struct Retirement {
    generations: Vec<Retired>,
    guests: Vec<(Arc<LoadedGuest>, Instant)>,
}

impl Retirement {
    /// Works until nothing can be replaced any more.
    pub(super) fn work(&mut self, retired: &Receiver<Retired>) {
        loop {
            let next = match self.generations.is_empty() && self.guests.is_empty() {
                true => retired.recv().map_err(RecvTimeoutError::from),
                false => retired.recv_timeout(DRAIN_TICK),
            };
            match next {
                Ok(retired) => self.generations.push(retired),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look();
        }
    }

    /// Frees what is not in use any longer.
    fn look(&mut self) {
        for Retired { active, generation, at } in std::mem::take(&mut self.generations) {
            match Arc::try_unwrap(generation) {
                Ok(Generation { guest, .. }) => self.wait_for(&active, guest, at),
                Err(generation) => self.generations.push(Retired { active, generation, at }),
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
