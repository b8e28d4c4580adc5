//! How what serves a connection learns that the server is about to stop.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::sync::watch;

/// Becomes ready when the server is about to stop.
pub(crate) trait Signal: Future<Output = ()> + Send {}

impl<F: Future<Output = ()> + Send> Signal for F {}

/// The stop of a server, as one connection sees it.
pub(crate) struct Stop<'a> {
    /// Waited for by one future for the whole life of a connection, which is registered once.
    signal: Pin<&'a mut dyn Signal>,
    stopping: &'a watch::Receiver<bool>,
    is_noticed: bool,
}

impl<'a> Stop<'a> {
    /// Both tell when the server is about to stop.
    pub(crate) fn new(
        signal: Pin<&'a mut dyn Signal>,
        stopping: &'a watch::Receiver<bool>,
    ) -> Stop<'a> {
        Stop { signal, stopping, is_noticed: false }
    }

    /// Whether the server is about to stop.
    pub(crate) fn has_begun(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Whether [`unless_begun`](Stop::unless_begun) has told so.
    pub(crate) fn is_noticed(&self) -> bool {
        self.is_noticed
    }

    /// Waits for a future. `None`, once, if the server is about to stop before it is ready.
    pub(crate) async fn unless_begun<F: Future>(&mut self, future: F) -> Option<F::Output> {
        if self.is_noticed {
            return Some(future.await);
        }
        let mut future = pin!(future);
        let output = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.signal.as_mut().poll(context).map(|()| None),
        })
        .await;
        self.is_noticed = output.is_none();
        output
    }
}
