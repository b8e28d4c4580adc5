//! The driver of a connection: takes all requests that are there, has each responded to, and hands
//! over what they have to send once nothing more can be done.

use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, server};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

use super::connection::Connection;
use super::end::End;
use super::exchange::exchange;
use super::io::Io;
use super::nudge::Nudge;
use super::piece::Piece;
use super::shared::Shared;
use super::streams::Streams;
use super::timers::{Due, Timers};
use crate::lock::lock;
use crate::transport::progress::{FIRST_LOOK_IN_HASTE, Look};
use crate::transport::send_scheduler::UNSCHEDULED_BYTES;
use crate::transport::stop::Stop;

/// Requests that are answered before others get their turn.
const REQUESTS_A_TURN: u32 = 128;

impl Connection<'_, '_> {
    /// Serves requests until the connection ends.
    pub(super) async fn drive(&mut self) -> End {
        let (shared, stop) = (&self.shared, &mut *self.stop);
        let mut timers = Timers::new(*shared.limits, Instant::now());
        let h2 = match shake_hands(shared, stop, &mut timers).await {
            Ok(h2) => h2,
            Err(end) => return end,
        };
        let (nudge, waker) = Nudge::new();
        let exchange = |request, respond| exchange(shared, request, respond);
        let streams = Streams::new();
        let mut driver = Driver {
            shared,
            h2,
            streams,
            exchange,
            nudge,
            waker,
            timers,
            served: 0,
            requests: 0,
            is_quiet: true,
            leaves: false,
            is_calmed: false,
        };
        driver.run(stop).await
    }
}

type H2<'s, 'c, 'a> = server::Connection<Io<'s, 'c, 'a>, Piece<'s>>;

/// Reads the preface of the client.
async fn shake_hands<'s, 'c, 'a>(
    shared: &'s Shared<'c, 'a>,
    stop: &mut Stop<'_>,
    timers: &mut Timers,
) -> Result<H2<'s, 'c, 'a>, End> {
    let mut handshake = builder(shared).handshake(Io(&shared.wire));
    if stop.is_noticed() {
        timers.leave();
    }
    loop {
        let shaken = poll_fn(|context| {
            let shaken = Pin::new(&mut handshake).poll(context);
            let mut wire = lock(&shared.wire);
            // What fails is told by the next turn.
            let _ = wire.poll_flush(context);
            match shaken {
                Poll::Ready(shaken) => Poll::Ready(Some(shaken)),
                Poll::Pending => wire.stream.poll_deadline(context, timers.alarm()).map(|()| None),
            }
        });
        match stop.unless_begun(shaken).await {
            Some(Some(Ok(h2))) => return Ok(h2),
            Some(Some(Err(error))) => return Err(shared.end(Some(&error))),
            Some(None) => return Err(End::Close),
            // The client may be sending a request.
            None => timers.leave(),
        }
    }
}

/// How `h2` is to be.
fn builder(shared: &Shared<'_, '_>) -> Builder {
    let limits = &shared.http2.limits;
    // Beyond ours `h2` responds itself, with nothing but the status.
    let head_bytes = limits.request.head_bytes.saturating_mul(2);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.concurrent_streams)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(limits.send_buffer)
        .max_pending_accept_reset_streams(limits.pending_accept_resets)
        .max_local_error_reset_streams(Some(limits.local_resets))
        .header_table_size(limits.header_table);
    builder
}

/// What a turn of the driver ends with.
enum Event {
    /// The connection ended.
    Ended(Result<(), h2::Error>),
    /// There is more to do than others should wait for.
    Slot,
    /// The client has to take something before there is room for more lines of the log.
    Unlogged,
    /// The client sends too much that is no request.
    Flood,
    /// It is time to look at what is due.
    Alarm,
}

/// The driver of one connection, whose streams are such futures.
struct Driver<'s, 'c, 'a, E, F> {
    shared: &'s Shared<'c, 'a>,
    h2: H2<'s, 'c, 'a>,
    streams: Streams<F>,
    /// Makes them.
    exchange: E,
    nudge: Arc<Nudge>,
    /// What `h2` is polled with.
    waker: Waker,
    timers: Timers,
    /// Requests since others had their turn, and in all.
    served: u32,
    requests: u32,
    /// Whether all requests had been responded to when it last waited.
    is_quiet: bool,
    /// Whether the client was told to send no more requests.
    leaves: bool,
    /// Whether the client was told that it sends too much.
    is_calmed: bool,
}

impl<'s, E, F> Driver<'s, '_, '_, E, F>
where
    E: Fn(::http::Request<RecvStream>, SendResponse<Piece<'s>>) -> F,
    F: Future<Output = ()>,
{
    async fn run(&mut self, stop: &mut Stop<'_>) -> End {
        let limits = &self.shared.http2.limits;
        loop {
            let event = stop.unless_begun(poll_fn(|context| self.poll(context))).await;
            match event {
                Some(Event::Ended(ended)) => return self.shared.end(ended.as_ref().err()),
                Some(Event::Slot) => {
                    self.shared.slot().await;
                    self.served = 0;
                    self.nudge.set();
                }
                Some(Event::Unlogged) => match self.wait_for_room_to_log().await {
                    true => {}
                    false => return End::Reset,
                },
                Some(Event::Flood) => {
                    self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    self.nudge.set();
                }
                Some(Event::Alarm) => match self.timers.look(self.shared, self.is_open()) {
                    Due::Nothing if self.is_open() => {}
                    Due::Nothing => self.streams.shrink(),
                    Due::End => {
                        self.h2.abrupt_shutdown(Reason::NO_ERROR);
                        self.nudge.set();
                    }
                    Due::Stalled => {
                        self.shared.log_stall();
                        return End::Reset;
                    }
                },
                None => {}
            }
            let is_due = self.requests >= limits.requests
                || stop.is_noticed()
                || self.shared.closes.load(Ordering::Relaxed);
            if is_due && !std::mem::replace(&mut self.leaves, true) {
                self.h2.graceful_shutdown();
                self.timers.leave();
                self.nudge.set();
            }
        }
    }

    fn is_open(&self) -> bool {
        self.streams.count() > 0
    }

    /// One turn: does all that can be done.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let shared = self.shared;
        let (before, handed) = (self.served, lock(&shared.wire).stream.handed());
        let mut is_active = false;
        // Whether so much waits to be logged that no more requests are begun.
        let mut is_full;
        loop {
            self.nudge.begin(context);
            if self.nudge.take() {
                is_active = true;
                // What is more urgent may come with what is read now.
                if self.is_open() {
                    shared.turns.set_room(0);
                }
                if let Poll::Ready(ended) = self.poll_h2(context) {
                    return Poll::Ready(Event::Ended(ended));
                }
                if self.is_open() {
                    let room = shared.http2.limits.send_buffer;
                    shared.turns.set_room(room.saturating_sub(shared.buffered.bytes()));
                }
            }
            if self.streams.poll(context) {
                // There may be requests that waited for one to end.
                self.nudge.set();
            }
            is_full = lock(&shared.deliveries).is_full();
            if is_full || self.served >= REQUESTS_A_TURN {
                break;
            }
            if self.nudge.is_set() {
                continue;
            }
            let mut wire = lock(&shared.wire);
            match wire.poll_flush(context) {
                Poll::Ready(Err(_)) => return Poll::Ready(Event::Ended(Ok(()))),
                Poll::Ready(Ok(())) if std::mem::take(&mut wire.is_full) => self.nudge.set(),
                _ if wire.wants_slot => break,
                _ => {}
            }
            if self.nudge.end() {
                break;
            }
        }
        let served = self.served - before;
        self.requests = self.requests.saturating_add(served);
        if is_active {
            self.timers.active(served > 0);
            if self.settle(served > 0, handed) {
                return Poll::Ready(Event::Unlogged);
            }
        }
        let mut wire = lock(&shared.wire);
        if wire.is_flooded && !std::mem::replace(&mut self.is_calmed, true) {
            return Poll::Ready(Event::Flood);
        }
        if wire.wants_slot || is_full || self.served >= REQUESTS_A_TURN {
            return Poll::Ready(Event::Slot);
        }
        if shared.closes.load(Ordering::Relaxed) && !self.leaves {
            return Poll::Ready(Event::Alarm);
        }
        self.is_quiet = !self.is_open() && wire.is_flushed();
        if self.is_quiet {
            self.served = 0;
            wire.rest();
        }
        wire.stream.poll_deadline(context, self.timers.alarm()).map(|()| Event::Alarm)
    }

    /// Logs what the client took, as far as that is known. Whether too many lines wait for it.
    ///
    /// A client that asks again has taken what was small, if it waits for its responses; that is
    /// not worth a system call.
    fn settle(&self, has_asked: bool, handed: u64) -> bool {
        let mut deliveries = lock(&self.shared.deliveries);
        if deliveries.is_empty() {
            return false;
        }
        if has_asked && deliveries.has_sent() {
            let unseen = lock(&self.shared.wire).stream.progress().unseen();
            if self.is_quiet && unseen <= UNSCHEDULED_BYTES {
                deliveries.settle(handed);
            } else {
                drop(deliveries);
                self.shared.look();
                deliveries = lock(&self.shared.deliveries);
            }
        }
        deliveries.written(lock(&self.shared.wire).written());
        deliveries.are_too_many()
    }

    /// Waits until the client has taken enough for the lines that wait to be logged to be within
    /// their bound. False if it takes nothing for too long, or is gone.
    async fn wait_for_room_to_log(&mut self) -> bool {
        let mut pause = FIRST_LOOK_IN_HASTE;
        loop {
            if self.shared.look() == Look::Stalled {
                self.shared.log_stall();
                return false;
            }
            if !lock(&self.shared.deliveries).are_too_many() {
                self.nudge.set();
                return true;
            }
            let next_look = lock(&self.shared.wire).stream.next_look(Instant::now(), &mut pause);
            let flushed = poll_fn(|context| {
                let mut wire = lock(&self.shared.wire);
                match wire.poll_flush(context) {
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    _ if wire.wants_slot => return Poll::Ready(true),
                    _ => {}
                }
                wire.stream.poll_deadline(context, next_look).map(|()| true)
            });
            if !flushed.await || lock(&self.shared.wire).stream.is_broken() {
                return false;
            }
            self.shared.slot().await;
        }
    }

    /// Has `h2` read and write, and begins to respond to all requests that are there.
    fn poll_h2(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let context_of_h2 = &mut Context::from_waker(&self.waker);
        // More may be in hand than at a time: those that the client has reset do not count for it.
        let is_full = |shared: &Shared<'_, '_>| lock(&shared.deliveries).is_full();
        let most = self.shared.http2.limits.concurrent_streams as usize;
        while self.streams.count() < most && !is_full(self.shared) {
            if self.served >= REQUESTS_A_TURN {
                return Poll::Pending;
            }
            // What streams gave it since the last time it takes now.
            self.nudge.take();
            match self.h2.poll_accept(context_of_h2) {
                Poll::Ready(Some(Ok((request, mut respond)))) => {
                    self.served += 1;
                    // `h2` takes streams until the client has acknowledged that it is to send no
                    // more, which one may never do.
                    let has_left = self.timers.has_left();
                    let takes_place = !has_left && self.is_open();
                    let place = takes_place.then(|| self.shared.http2.places.take()).flatten();
                    if has_left || (takes_place && place.is_none()) {
                        lock(&self.shared.wire).meter.accepted();
                        respond.send_reset(Reason::REFUSED_STREAM);
                        if let Some(metrics) = &self.shared.service.metrics {
                            metrics.refused_stream(self.shared.peer.worker);
                        }
                        continue;
                    }
                    let stream = (self.exchange)(request, respond);
                    self.streams.begin(stream, place, context);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.nudge.take();
        self.h2.poll_closed(context_of_h2)
    }
}
