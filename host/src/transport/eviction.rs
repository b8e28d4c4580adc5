//! A place for a newcomer where all are taken: the longest holder gives its own up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Takes a place. If none is free `want_one` asks a holder to end, unless none has had its for long
/// enough, and tells how long to wait before it is asked again. `None` is never: the semaphore is
/// not closed.
pub(crate) async fn take(
    free: &Arc<Semaphore>,
    want_one: impl Fn() -> Duration,
) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = Arc::clone(free).try_acquire_owned() {
            return Some(permit);
        }
        let ready_in = want_one();
        if let Ok(permit) = timeout(ready_in, Arc::clone(free).acquire_owned()).await {
            return permit.ok();
        }
    }
}
