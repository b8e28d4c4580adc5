//! Whether `h2` has something to do. It asks to be polled whenever a stream gives it something to
//! send, which the driver of a connection does anyway before it waits: a second poll of the task
//! for each response would be for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// What wakes the task of a connection, unless it is being polled.
#[derive(Default)]
pub(super) struct Nudge {
    task: AtomicWaker,
    /// Whether `h2` is to be polled.
    is_due: AtomicBool,
    /// Whether the driver looks at that before it waits.
    is_polled: AtomicBool,
}

impl Nudge {
    /// With something to do, and what `h2` is polled with.
    pub(super) fn new() -> (Arc<Nudge>, Waker) {
        let nudge = Arc::new(Nudge { is_due: AtomicBool::new(true), ..Nudge::default() });
        let waker = Arc::clone(&nudge).into();
        (nudge, waker)
    }

    /// The driver begins to poll.
    pub(super) fn begin(&self, context: &Context<'_>) {
        self.task.register(context.waker());
        self.is_polled.store(true, Ordering::SeqCst);
    }

    /// Whether `h2` is to be polled, which is done now.
    pub(super) fn take(&self) -> bool {
        self.is_due.swap(false, Ordering::SeqCst)
    }

    /// The driver is about to wait. False if `h2` has something to do.
    pub(super) fn end(&self) -> bool {
        self.is_polled.store(false, Ordering::SeqCst);
        !self.is_due.load(Ordering::SeqCst)
    }

    /// Whether `h2` is to be polled.
    pub(super) fn is_set(&self) -> bool {
        self.is_due.load(Ordering::SeqCst)
    }

    /// There is something to do.
    pub(super) fn set(&self) {
        self.is_due.store(true, Ordering::SeqCst);
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::SeqCst);
        if !self.is_polled.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}
