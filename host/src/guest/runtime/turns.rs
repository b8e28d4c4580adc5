//! Who works next, where one works at a time: what is not urgent gives way to what is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::helper::CancelToken;
use crate::lock::lock;

/// Turns at work that needs this.
#[derive(Default)]
pub(super) struct Turns<T> {
    /// Locked during a turn.
    at_work: Mutex<T>,
    waiting: Mutex<Waiting>,
    /// Told when less waits.
    changed: Condvar,
}

/// What waits for a turn.
#[derive(Default)]
struct Waiting {
    count: usize,
    /// Cancels what is at work, if nothing waits for that.
    yielding: Option<CancelToken>,
}

impl<T> Turns<T> {
    /// Waits for a turn, and has what is not urgent give way.
    pub(super) fn next(&self) -> MutexGuard<'_, T> {
        {
            let mut waiting = lock(&self.waiting);
            waiting.count += 1;
            if let Some(yielding) = &waiting.yielding {
                yielding.cancel();
            }
        }
        // Each change of it is one step, whoever panicked.
        let turn = lock(&self.at_work);
        lock(&self.waiting).count -= 1;
        self.changed.notify_all();
        turn
    }

    /// Works when nobody else does, nor waits to. Who comes then cancels this.
    pub(super) fn when_idle<R>(&self, work: impl FnOnce(&CancelToken) -> R) -> R {
        let cancel = CancelToken::default();
        let _turn = self.wait_until_idle(&cancel);
        let result = work(&cancel);
        lock(&self.waiting).yielding = None;
        result
    }

    fn wait_until_idle(&self, cancel: &CancelToken) -> MutexGuard<'_, T> {
        loop {
            let mut waiting = lock(&self.waiting);
            while waiting.count > 0 {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            let turn = lock(&self.at_work);
            let mut waiting = lock(&self.waiting);
            if waiting.count == 0 {
                waiting.yielding = Some(cancel.clone());
                return turn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::Turns;
    use crate::lock::lock;

    #[test]
    fn what_is_not_urgent_gives_way_and_comes_after_all_that_is() {
        let turns = Turns::<()>::default();
        let (sender, order) = mpsc::channel();
        let tell = |what| sender.send(what).expect("the test listens");
        thread::scope(|scope| {
            turns.when_idle(|cancel| {
                tell("idle");
                for _ in 0..2 {
                    scope.spawn(|| {
                        let _turn = turns.next();
                        tell("urgent");
                    });
                }
                while lock(&turns.waiting).count < 2 {
                    thread::yield_now();
                }
                assert!(cancel.is_canceled());
            });
            turns.when_idle(|cancel| {
                tell("idle again");
                assert!(!cancel.is_canceled());
            });
        });
        assert_eq!(
            order.try_iter().collect::<Vec<_>>(),
            ["idle", "urgent", "urgent", "idle again"]
        );
    }
}
