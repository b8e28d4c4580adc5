//! The one timer of a connection, which bounds each of its waits.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is moved as rarely as possible: that costs more than most reads and
/// writes. It may go off too early, and then is moved to where it should be.
pub(crate) struct Alarm {
    /// Made when something is waited for.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(crate) fn new() -> Alarm {
        Alarm { sleep: None }
    }

    /// Waits for a future until the deadline. `None` if it is not ready by then.
    pub(crate) async fn limit<F: Future>(
        &mut self,
        deadline: Instant,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(deadline, context).map(|()| None),
        })
        .await
    }

    /// Waits until then.
    pub(crate) async fn sleep(&mut self, deadline: Instant) {
        poll_fn(|context| self.poll(deadline, context)).await;
    }

    /// Whether it is past the deadline. If not, the task is woken when it is.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
