//! The streams of a connection that are being responded to.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::places::Place;
use crate::diagnostics::context;

/// Such streams, each polled when it can go on.
pub(super) struct Streams<F> {
    waiting: FuturesUnordered<Waiting<F>>,
    /// Memory of one that is over, for the next.
    spare: Option<Pin<Box<F>>>,
}

/// One of them, and what its events are to tell: the task works for others meanwhile.
struct Waiting<F> {
    stream: Pin<Box<F>>,
    context: Option<Box<context::Kept>>,
    /// Its place among those of the server, unless it was the first of its connection.
    _place: Option<Place>,
}

impl<F: Future<Output = ()>> Future for Waiting<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if let Some(kept) = &self.context {
            context::go_on(kept);
        }
        self.stream.as_mut().poll(task)
    }
}

impl<F: Future<Output = ()>> Streams<F> {
    pub(super) fn new() -> Streams<F> {
        Streams { waiting: FuturesUnordered::new(), spare: None }
    }

    /// Begins one. Most are over at once.
    pub(super) fn begin(&mut self, stream: F, place: Option<Place>, task: &mut Context<'_>) {
        let mut stream = match self.spare.take() {
            Some(mut spare) => {
                spare.set(stream);
                spare
            }
            None => Box::pin(stream),
        };
        match stream.as_mut().poll(task) {
            Poll::Ready(()) => self.spare = Some(stream),
            Poll::Pending => {
                self.waiting.push(Waiting { stream, context: context::keep(), _place: place })
            }
        }
    }

    /// Goes on with those that can. Whether one was finished.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> bool {
        let before = self.waiting.len();
        if before > 0 {
            while let Poll::Ready(Some(())) = self.waiting.poll_next_unpin(task) {}
        }
        self.waiting.len() < before
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Gives back the memory that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        self.spare = None;
    }
}
