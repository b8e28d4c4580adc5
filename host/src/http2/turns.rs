//! The order in which the streams of a connection hand over their next piece of content (RFC 9218,
//! section 10): the most urgent first, those of use in parts in turns, the others one after
//! another.
//!
//! What was handed over cannot be called back, so a piece is handed over only when little of what
//! was before is still to be sent. A stream that waits for room in its own window, or for a disk,
//! does not wait here, and so holds up no other.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::priority::Priority;
use crate::lock::lock;

/// Urgencies that there are (RFC 9218, section 4.1).
const URGENCIES: usize = 8;

/// The order of one connection.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Bytes that may be handed over. One piece more than that is, as it is not cut to fit.
    room: usize,
    /// Pieces that were handed over so far.
    turns: u64,
    /// For each urgency, the last turn of those that are sent one after another. Together they
    /// have as many turns as one of the others.
    last_turns: [u64; URGENCIES],
    /// At most one for each stream.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    stream: u32,
    priority: Priority,
    last_turn: u64,
    waker: Waker,
}

/// The place of a stream in the order.
#[derive(Debug)]
pub(crate) struct Place<'t> {
    turns: &'t Turns,
    stream: u32,
    priority: Priority,
    /// Its last turn, or 0: the first piece of a response is sent before the second of another.
    last_turn: u64,
}

impl Turns {
    /// A place for this stream.
    pub(crate) fn place(&self, stream: u32, priority: Priority) -> Place<'_> {
        Place { turns: self, stream, priority, last_turn: 0 }
    }

    /// Notes how many bytes may be handed over from now on, and wakes who comes first.
    pub(crate) fn set_room(&self, bytes: usize) {
        let mut state = self.state();
        state.room = bytes;
        state.wake_first();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    /// The stream that comes first, by its index.
    fn first(&self) -> Option<usize> {
        let order = |&index: &usize| {
            let Waiting { stream, priority, last_turn, .. } = self.waiting[index];
            let last_turn = match priority.is_incremental {
                true => last_turn,
                false => self.last_turns[usize::from(priority.urgency) % URGENCIES],
            };
            (priority.urgency, last_turn, priority.is_incremental, stream)
        };
        (0..self.waiting.len()).min_by_key(order)
    }

    fn wake_first(&self) {
        if self.room > 0
            && let Some(first) = self.first()
        {
            self.waiting[first].waker.wake_by_ref();
        }
    }
}

impl Place<'_> {
    /// Waits for a turn to hand over a piece of this many bytes.
    pub(crate) async fn turn(&mut self, bytes: usize) {
        let mut wait = Wait(self);
        poll_fn(|context| wait.poll(bytes, context)).await;
    }
}

/// The wait for a turn. Dropping it gives up.
struct Wait<'p, 't>(&'p mut Place<'t>);

impl Wait<'_, '_> {
    fn poll(&mut self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let Place { turns, stream, priority, last_turn } = *self.0;
        let mut state = turns.state();
        let index = match state.waiting.iter().position(|one| one.stream == stream) {
            Some(index) => {
                state.waiting[index].waker.clone_from(context.waker());
                index
            }
            None => {
                let waker = context.waker().clone();
                state.waiting.push(Waiting { stream, priority, last_turn, waker });
                state.waiting.len() - 1
            }
        };
        if state.room == 0 || state.first() != Some(index) {
            return Poll::Pending;
        }
        state.waiting.swap_remove(index);
        state.room = state.room.saturating_sub(bytes);
        state.turns += 1;
        self.0.last_turn = state.turns;
        if !priority.is_incremental {
            state.last_turns[usize::from(priority.urgency) % URGENCIES] = state.turns;
        }
        state.wake_first();
        Poll::Ready(())
    }
}

impl Drop for Wait<'_, '_> {
    fn drop(&mut self) {
        let mut state = self.0.turns.state();
        let before = state.waiting.len();
        state.waiting.retain(|one| one.stream != self.0.stream);
        if state.waiting.len() < before {
            // It may have been woken, and another comes first now.
            state.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::Pin;

    use futures_util::StreamExt;
    use futures_util::future::{FutureExt, LocalBoxFuture, poll_immediate};
    use futures_util::stream::FuturesUnordered;

    use super::{Priority, Turns};

    const PIECE: usize = 1000;

    const fn incremental(urgency: u8) -> Priority {
        Priority { urgency, is_incremental: true }
    }

    const fn sequential(urgency: u8) -> Priority {
        Priority { urgency, is_incremental: false }
    }

    /// Streams that all have this many pieces to send, where there is room for one at a time; and
    /// what was sent, by its stream.
    fn sent(streams: &[(u32, Priority, usize)]) -> String {
        let turns = Turns::default();
        let sent = RefCell::new(String::new());
        let mut all: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        for &(stream, priority, pieces) in streams {
            let mut place = turns.place(stream, priority);
            let sent = &sent;
            all.push(Box::pin(async move {
                for _ in 0..pieces {
                    place.turn(PIECE).await;
                    sent.borrow_mut().push_str(&stream.to_string());
                }
            }));
        }
        for _ in 0..1000 {
            while let Some(Some(())) = poll_all(&mut all) {}
            if all.is_empty() {
                drop(all);
                return sent.into_inner();
            }
            let before = sent.borrow().len();
            turns.set_room(1);
            while let Some(Some(())) = poll_all(&mut all) {}
            assert_eq!(sent.borrow().len(), before + 1, "one piece for each room");
        }
        panic!("some are never sent: {}", sent.borrow());
    }

    fn poll_all(all: &mut FuturesUnordered<LocalBoxFuture<'_, ()>>) -> Option<Option<()>> {
        poll_immediate(Pin::new(all).next()).now_or_never().flatten()
    }

    #[test]
    fn urgent_streams_are_sent_first() {
        assert_eq!(
            sent(&[(1, sequential(5), 2), (3, incremental(1), 2), (5, sequential(0), 2)]),
            "553311"
        );
    }

    #[test]
    fn sequential_streams_are_sent_one_after_another() {
        assert_eq!(
            sent(&[(5, sequential(3), 2), (1, sequential(3), 3), (3, sequential(3), 1)]),
            "111355"
        );
    }

    #[test]
    fn incremental_streams_are_sent_in_turns() {
        assert_eq!(
            sent(&[(1, incremental(3), 3), (3, incremental(3), 2), (5, incremental(3), 3)]),
            "13513515"
        );
    }

    #[test]
    fn sequential_streams_together_have_as_many_turns_as_an_incremental_one() {
        assert_eq!(
            sent(&[(1, sequential(3), 2), (3, incremental(3), 4), (5, sequential(3), 2)]),
            "13135353"
        );
    }

    #[test]
    fn stream_that_comes_later_and_is_more_urgent_is_next() {
        let turns = Turns::default();
        turns.set_room(1);
        let mut picture = turns.place(1, incremental(5));
        assert!(picture.turn(PIECE).now_or_never().is_some());
        let mut picture_goes_on = Box::pin(picture.turn(PIECE));
        assert!(picture_goes_on.as_mut().now_or_never().is_none());
        let mut style = turns.place(3, sequential(1));
        let mut style = Box::pin(style.turn(PIECE));
        assert!(style.as_mut().now_or_never().is_none());
        turns.set_room(1);
        assert!(picture_goes_on.as_mut().now_or_never().is_none());
        assert!(style.as_mut().now_or_never().is_some());
        turns.set_room(1);
        assert!(picture_goes_on.as_mut().now_or_never().is_some());
    }

    #[test]
    fn stream_that_waits_elsewhere_holds_up_no_other() {
        let turns = Turns::default();
        // Its own window has no room, so it does not ask.
        let mut urgent = turns.place(1, sequential(0));
        let mut other = turns.place(3, sequential(7));
        turns.set_room(1);
        assert!(other.turn(PIECE).now_or_never().is_some());
        // It asked, and gave up.
        assert!(urgent.turn(PIECE).now_or_never().is_none());
        turns.set_room(1);
        assert!(other.turn(PIECE).now_or_never().is_some());
    }

    #[test]
    fn stream_that_gives_up_while_it_comes_first_wakes_the_next() {
        let turns = Turns::default();
        let mut urgent = turns.place(1, sequential(0));
        let mut urgent = Box::pin(urgent.turn(PIECE));
        assert!(urgent.as_mut().now_or_never().is_none());
        let mut all: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        let mut place = turns.place(3, sequential(7));
        all.push(Box::pin(async move { place.turn(PIECE).await }));
        assert_eq!(poll_all(&mut all), None);
        turns.set_room(1);
        assert_eq!(poll_all(&mut all), None);
        drop(urgent);
        assert_eq!(poll_all(&mut all), Some(Some(())));
    }

    #[test]
    fn room_is_used_up_by_the_bytes_of_pieces() {
        let turns = Turns::default();
        turns.set_room(2 * PIECE + 1);
        let mut places: Vec<_> =
            [1, 3, 5, 7].map(|stream| turns.place(stream, sequential(3))).into();
        let had: Vec<_> =
            places.iter_mut().map(|place| place.turn(PIECE).now_or_never().is_some()).collect();
        assert_eq!(had, [true, true, true, false]);
    }
}
