//! How long a connection may do nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::shared::Shared;
use crate::lock::lock;
use crate::transport::Limits;
use crate::transport::progress::{FIRST_LOOK, Look};

/// The deadlines of a connection.
pub(super) struct Timers {
    limits: Limits,
    /// When it was last found to be doing something.
    last_active: Instant,
    had_request: bool,
    /// When the client was told to send no more requests.
    leaves_since: Option<Instant>,
    /// Bytes of bodies that had been written, and when the client was last found to take some, or
    /// to have nothing to take.
    written: (u64, Instant),
    pause: Duration,
    alarm: Instant,
    /// Whether it was told that the connection ends.
    is_ending: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// It is idle, and nothing more is to be expected: it ends.
    End,
    /// The client takes nothing for too long: it is reset.
    Stalled,
}

impl Timers {
    pub(super) fn new(limits: Limits, now: Instant) -> Timers {
        Timers {
            limits,
            last_active: now,
            had_request: false,
            leaves_since: None,
            written: (0, now),
            pause: FIRST_LOOK,
            alarm: now + limits.first_byte,
            is_ending: false,
        }
    }

    /// When to look at what is due.
    pub(super) fn alarm(&self) -> Instant {
        self.alarm
    }

    /// The connection was doing something.
    pub(super) fn active(&mut self, served: bool) {
        let now = Instant::now();
        // What is no request keeps no connection.
        if served {
            self.had_request = true;
            self.last_active = now;
        }
        self.pause = FIRST_LOOK;
        self.alarm = self.alarm.min(now + FIRST_LOOK);
    }

    /// The client was told to send no more requests.
    pub(super) fn leave(&mut self) {
        let now = Instant::now();
        self.leaves_since = Some(now);
        self.alarm = self.alarm.min(now + self.limits.linger);
    }

    /// Whether it was told so long ago that a client which goes on does so on purpose: it had the
    /// time of a round trip to acknowledge that.
    pub(super) fn has_left(&self) -> bool {
        self.leaves_since.is_some_and(|since| since.elapsed() >= self.limits.linger)
    }

    /// Looks at what is due. It is idle where no stream `is_open`. The end is told once: what is
    /// left to send by then takes as long as the client does, if it takes something.
    pub(super) fn look(&mut self, shared: &Shared<'_, '_>, is_open: bool) -> Due {
        let now = Instant::now();
        let is_over = {
            let wire = lock(&shared.wire);
            wire.is_flushed() && wire.stream.progress().is_over()
        };
        let look = if is_over { Look::Empty } else { shared.look() };
        let buffered = shared.buffered.bytes();
        let mut wire = lock(&shared.wire);
        let written = shared.buffered.written();
        // What the line has is a matter of acknowledgements. Beyond it content waits for a window
        // that was made smaller.
        let is_line_idle = look == Look::Empty && wire.is_flushed();
        if buffered == 0 || written != self.written.0 || !is_line_idle {
            self.written = (written, now);
        }
        if look == Look::Stalled || now >= self.written.1 + self.limits.stall {
            return Due::Stalled;
        }
        if self.is_ending {
            self.alarm = match look {
                Look::Empty => now + FIRST_LOOK,
                _ => wire.stream.next_look(now, &mut self.pause),
            };
            return Due::Nothing;
        }
        let begun = wire.meter.begun();
        if let Some(begun) = begun
            && now >= begun + self.limits.head
        {
            tracing::debug!("frame or field section did not arrive in time");
            return self.end(now);
        }
        let is_idle = !is_open && buffered == 0 && wire.is_flushed();
        if look == Look::Left || !is_idle {
            self.last_active = now;
        }
        let patience = if self.had_request { self.limits.idle } else { self.limits.first_byte };
        let mut end = self.last_active + patience;
        if let Some(since) = self.leaves_since {
            end = end.min(since + self.limits.linger);
        }
        if is_idle && now >= end {
            return self.end(now);
        }
        if is_idle && look == Look::Empty {
            wire.stream.rest();
            wire.shrink();
        }
        self.alarm = match look {
            Look::Empty => end.max(now + FIRST_LOOK),
            _ => wire.stream.next_look(now, &mut self.pause),
        };
        if let Some(begun) = begun {
            self.alarm = self.alarm.min(begun + self.limits.head);
        }
        if buffered > 0 {
            self.alarm = self.alarm.min(self.written.1 + self.limits.stall);
        }
        Due::Nothing
    }

    fn end(&mut self, now: Instant) -> Due {
        self.is_ending = true;
        self.alarm = now + FIRST_LOOK;
        Due::End
    }
}
